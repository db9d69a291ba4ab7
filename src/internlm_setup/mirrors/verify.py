"""What is in force after writing, and whether the chosen sites answer: real programs and the network are asked."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from internlm_setup.core.child import running
from internlm_setup.core.parallel import each
from internlm_setup.core.text import Text
from internlm_setup.mirrors import probe
from internlm_setup.mirrors.model import Effective, Target, Wish
from internlm_setup.mirrors.plan import Plan, Step
from internlm_setup.mirrors.world import World, read

SITE_PATIENCE_S = 0.7
PROGRAM_PATIENCE_S = 20.0
# pip's own word for the index it uses where nobody says anything.
_BUILT_IN = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a tool uses now.

    Attributes:
        tool: The target's id.
        effective: What it uses, and why.
        ours: Whether that is what was wished for.
        installed: Whether its program is there.
    """

    tool: str
    effective: Effective
    ours: bool
    installed: bool


@dataclass(frozen=True, slots=True)
class Reach:
    """Whether a site that a tool was led to answers.

    Attributes:
        tool: The target's id.
        site: The site's id.
        silence: Why it does not; None where it does.
        stranded: It does not, and what the tool used until now does.
    """

    tool: str
    site: str
    silence: Text | None
    stranded: bool


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found after writing."""

    standings: tuple[Standing, ...]
    reaches: tuple[Reach, ...]


def verified(planned: Plan, world: World) -> Verified:
    """Ask the real programs, and the sites, at the same time."""
    asked: list[Callable[[], list[Standing] | list[Reach]]] = [
        lambda: standings(planned, world),
        lambda: reach(planned, world),
    ]
    found = [one for part in each(lambda ask: ask(), asked, 2) for one in part]
    return Verified(
        tuple(one for one in found if isinstance(one, Standing)),
        tuple(one for one in found if isinstance(one, Reach)),
    )


def standings(planned: Plan, world: World) -> list[Standing]:
    """Ask every tool's real program what it uses now, at the same time; work it out where there is none."""

    def ask(step: Step) -> Standing:
        found = effective(step.target, world)
        ours = bool(found.urls) and step.wish is not None and _leads_to(step.wish, found.urls[0])
        return Standing(step.target.id, found, ours, step.installed)

    written = [step for step in planned.steps if step.scope]
    return each(ask, written, len(written))


def effective(target: Target, world: World) -> Effective:
    """Return what a tool uses now: by its own word where it can be asked, else by its rules."""
    ask = target.ask(world.machine)
    answer = None if ask is None else said(ask.command, world, PROGRAM_PATIENCE_S)
    if ask is not None and answer is not None:
        with suppress(ValueError):
            return ask.read(answer)
    return target.effective(world.machine, read)


def reach(planned: Plan, world: World) -> list[Reach]:
    """Ask the sites that something was written for, and what the tools used until now, at the same time.

    Returns:
        One for each tool whose files differ, within about `SITE_PATIENCE_S`.
    """

    def ask(step: Step, wish: Wish) -> Reach:
        def knock(url: str | None) -> Text | None:
            return None if url is None else probe.answers(url, world.network, SITE_PATIENCE_S)

        present = step.before.urls[0] if step.before.urls else built_in(step.target.id, world)
        led_to = wish.channels[0].url if wish.channels else wish.site.families[step.target.families[0]].url
        silence, silent_before = each(knock, [front(step.target, led_to), present], 2)
        stranded = silence is not None and present is not None and silent_before is None
        return Reach(step.target.id, wish.site.id, silence, stranded)

    written = [(s, s.wish) for s in planned.steps if s.wish and any(c.before != c.after for c in s.changes)]
    return each(lambda pair: ask(*pair), written, len(written))


def built_in(tool: str, world: World) -> str | None:
    """Return the index that pip uses where nobody says anything, by its own word; None where nobody knows it."""
    python = world.machine.programs.get("python")
    if tool != "pip" or python is None:
        return None
    answer = said((str(python), "-c", _BUILT_IN), world, SITE_PATIENCE_S)
    return answer.strip() if answer else None


def _leads_to(wish: Wish, url: str) -> bool:
    """Tell whether an address is below one that was wished for."""
    wished = [*(channel.url for channel in wish.channels), *(has.url for has in wish.site.families.values())]
    return any(f"{url}/".startswith(f"{base}/") for base in wished)


def front(target: Target, url: str) -> str:
    """Return what a tool that is led to an address will ask for sooner or later."""
    ends = {"conda": "/noarch/repodata.json.zst", "pypi": "/pip/"}
    return url.rstrip("/") + ends.get(target.families[0], "/")


def said(command: Sequence[str], world: World, patience_s: float) -> str | None:
    """Return what a program printed, or None where it failed or took too long."""
    with suppress(OSError, subprocess.TimeoutExpired), running(command, world.machine.env, world.cwd) as child:
        printed, _ = child.communicate(timeout=patience_s)
        if child.returncode == 0:
            return str(printed, "utf-8", "replace")
    return None
