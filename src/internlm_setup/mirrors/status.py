"""What every tool uses now, what decides it, and whether the site answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from internlm_setup.core.parallel import each
from internlm_setup.core.text import Text
from internlm_setup.mirrors import probe, targets, verify
from internlm_setup.mirrors.model import Effective, Target
from internlm_setup.mirrors.world import World

_AT_ONCE = 12


@dataclass(frozen=True, slots=True)
class Status:
    """One tool.

    Attributes:
        target: The tool.
        installed: Whether its program is there.
        effective: What it uses, by its own word where it can be asked.
        site: The mirror site that this leads to first; None for the built-in default and for anybody else.
        health: `answers`, `silent`, or `not asked`.
        silence: Why the site is of no use now.
    """

    target: Target
    installed: bool
    effective: Effective
    site: str | None
    health: str
    silence: Text | None = None

    @property
    def is_set(self) -> bool:
        """Whether anybody said what the tool is to use."""
        return self.effective.decided_by is not None


def statuses(tools: Sequence[str], world: World, *, online: bool) -> list[Status]:
    """Ask all real programs at the same time, and then the sites that they are led to.

    Args:
        tools: Their ids; empty for all.
        world: The run's.
        online: Whether the sites are asked, each for at most `verify.SITE_PATIENCE_S`.

    Raises:
        UnknownTool: With what is close to it.
    """
    chosen = [targets.get(tool) for tool in dict.fromkeys(tools)] or list(targets.known().values())
    return each(lambda target: _status(target, world, online=online), chosen, _AT_ONCE)


def _status(target: Target, world: World, *, online: bool) -> Status:
    installed = target.program in world.machine.programs
    found = verify.effective(target, world)
    site = world.sites.of(found.urls[0]) if found.urls else None
    if site is None or not online:
        return Status(target, installed, found, site.id if site else None, "not asked")
    silence = probe.answers(verify.front(target, found.urls[0]), world.network, verify.SITE_PATIENCE_S)
    return Status(target, installed, found, site.id, "silent" if silence else "answers", silence)
