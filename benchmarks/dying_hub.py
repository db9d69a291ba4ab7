"""One of two hubs dies when half of the file is there: how long does that hold up the rest, and what comes twice?

It dies in three ways: its server is killed, so that connections are closed; its server is stopped, so that connections
stay open and new ones are greeted, but nothing is sent any more; and its packets vanish without a word.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import contest
import goodput
import models
import networks
import peers
import plots
import results
import rounds
import session
import several
import star
from contest import Pull, Ring
from origin import Origin
from peers import Tool
from rounds import Spread, Started
from session import Session
from star import MBIT, Sample, Watch

MB = 1_000_000
DYING = 0
LOOK_EVERY_S = 0.005
LOST_S, TWICE_MB = 5.0, 8 * (4 << 20) / MB  # eight connections, each with one of the smallest pieces


@dataclass(frozen=True, slots=True)
class Death:
    """A way to die, and how to live again."""

    words: str
    strike: Callable[[Ring], None]
    revive: Callable[[Ring], None]


def _kill(ring: Ring) -> None:
    ring.origins[DYING].signal(signal.SIGKILL)


def _restart(ring: Ring) -> None:
    ring.origins[DYING].restart()


def _stop(ring: Ring) -> None:
    ring.origins[DYING].signal(signal.SIGSTOP)


def _go_on(ring: Ring) -> None:
    ring.origins[DYING].signal(signal.SIGCONT)


def _silence(ring: Ring) -> None:
    ring.star.silence(DYING)


def _restore(ring: Ring) -> None:
    ring.star.restore(DYING)


DEATHS = {
    "killed": Death("its server is killed", _kill, _restart),
    "stopped": Death("its server is stopped", _stop, _go_on),
    "vanished": Death("its packets vanish", _silence, _restore),
}


@dataclass(frozen=True, slots=True)
class Story:
    """One run, and what had come when the hub died; None when the run was over before."""

    pull: Pull
    death: Sample | None

    def lost_s(self, survivor_bytes_per_s: float, size_bytes: int) -> float:
        """Return how much longer it took than the survivor needed for what was missing when the hub died."""
        if self.death is None:
            return 0.0
        missing_bytes = size_bytes - self.death.all_bytes
        return self.pull.run.wall_s - self.death.at_s - missing_bytes / survivor_bytes_per_s


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = session.parser(__doc__, rounds=3)
    parser.add_argument("--size-mb", type=int, default=1000, help="size of the file (%(default)s)")
    parser.add_argument("--mbit", type=int, default=300, help="what each hub's link carries (%(default)s)")
    parser.add_argument("--limit-s", type=float, default=90, help="cut a run off after this time (%(default)s)")
    parser.add_argument("--deaths", nargs="+", choices=DEATHS, default=list(DEATHS), help="(%(default)s)")
    return session.parse(parser, words, size_mb=60, limit_s=10, rounds=1, deaths=["killed"])


def main(words: Sequence[str] | None = None) -> int:
    """Let it die in every way."""
    options = parse(words)
    if lacking := peers.absent("nginx", "unshare", "ip") or networks.missing():
        return session.skip("dying_hub", lacking)
    rate = options.mbit * MBIT
    with session.opened("dying_hub", options) as here, star.star(rate, rate) as net:
        model = models.weights(here.folder / "model", options.size_mb * MB)
        with (
            Origin(model, here.folder / "first", net.where(0)) as first,
            Origin(model, here.folder / "second", net.where(1)) as second,
        ):
            ring = Ring(net, (first, second), options.limit_s)
            for name in options.deaths:
                die(replace(here, name=f"dying_hub_{name}"), ring, DEATHS[name])
    return 0


def die(here: Session, ring: Ring, death: Death) -> None:
    """Compare under one kind of death."""
    alone = several.discarding(ring.origins[1 - DYING :][:1], [1])
    known = {tool.name: tool for tool in here.chosen([*contestants(here, ring), alone])}

    def story(name: str) -> Story:
        return run(here, ring, known[name], None if name == alone.name else death)

    stories = rounds.take_turns(list(known), here.options.rounds, story)
    survivor = Spread.of([one.pull.bytes_per_s for one in stories.pop(alone.name)]).median
    tools = [tool for tool in known.values() if tool.name in stories]
    title = f"{here.options.size_mb} MB from two hubs of {here.options.mbit} Mbit/s; at half, one dies: {death.words}"
    picture = plots.publish(here.name, draw(title, stories[tools[0].name][0]), title, write=here.options.write)
    said = f"The one that lives brings {survivor / MB:.1f} MB/s to sockets that throw everything away."
    shown = table(tools, stories, survivor, ring)
    here.publish(title, said, shown, picture, verdict(here, tools, stories, survivor, ring))


def contestants(here: Session, ring: Ring) -> list[Tool]:
    """Return ours, and aria2c with both addresses: as it comes, and told not to wait long for an answer."""
    both = several.aria2c(ring.origins)
    impatient = several.aria2c(ring.origins, options=("--timeout=3", "--connect-timeout=3", "--max-tries=0"))
    return [several.ours(here.ours, ring.origins), both, impatient]


def run(here: Session, ring: Ring, tool: Tool, death: Death | None) -> Story:
    """Run a tool, and let the hub die when half of the file is there."""
    noted: list[Sample] = []

    def strike(watch: Watch, started: Started) -> None:
        while (now := watch.now()).all_bytes < ring.origins[0].model.size_bytes / 2:
            if started.is_over() or now.at_s > ring.limit_s:
                return
            time.sleep(LOOK_EVERY_S)
        if death is not None:
            death.strike(ring)
            noted.append(now)

    try:
        pull = contest.measure(here, ring, tool, strike)
    finally:
        if noted and death is not None:
            death.revive(ring)  # a server that is stopped cannot be ended either
    return Story(pull, noted[0] if noted else None)


def table(tools: Sequence[Tool], stories: dict[str, list[Story]], survivor: float, ring: Ring) -> str:
    """Draw a row for each tool."""
    size_bytes = ring.origins[0].model.size_bytes
    heads = ["Tool", "Seconds", "Lost seconds", "MB too many", "MB from each hub", "CPU s", "End"]
    rows = []
    for tool in tools:
        its = stories[tool.name]
        ends = sorted({one.pull.failure or "right" for one in its})
        rows.append([
            tool.name,
            str(Spread.of([one.pull.run.wall_s for one in its])),
            "" if ends != ["right"] else str(Spread.of([one.lost_s(survivor, size_bytes) for one in its])),
            "" if ends != ["right"] else str(Spread.of([too_many_mb(one, size_bytes) for one in its])),
            " + ".join(f"{came / MB:.0f}" for came in its[-1].pull.samples[-1].came_bytes),
            f"{Spread.of([one.pull.run.cpu_s for one in its]).median:.2f}",
            "; ".join(ends),
        ])  # fmt: skip
    return results.table(heads, rows)


def too_many_mb(one: Story, size_bytes: int) -> float:
    """Return what came beyond the file's size."""
    return (one.pull.came_bytes - size_bytes) / MB


def draw(title: str, one: Story) -> str:
    """Draw what each hub brought over time in one run."""
    lines = {name: star.speeds(one.pull.samples, number) for number, name in enumerate(several.HUBS)}
    marks = [(one.death.at_s, "dies")] if one.death else []
    return plots.curves(title, ("seconds", "MB/s"), lines, marks)


def verdict(here: Session, tools: Sequence[Tool], stories: dict[str, list[Story]], survivor: float, ring: Ring) -> str:
    """Hold ours against the acceptance figures; the worst run counts."""
    wishes, size_bytes, ours = [], ring.origins[0].model.size_bytes, [tool.name for tool in tools if tool.ours]
    for name in ours:
        its = stories[name]
        lost_s = max(one.lost_s(survivor, size_bytes) for one in its)
        wishes += [
            results.finishes(name, goodput.failure([one.pull for one in its])),
            results.at_most(f"{name}: lost", LOST_S, lost_s, " s"),
            results.at_most(
                f"{name}: comes twice", round(TWICE_MB), max(too_many_mb(o, size_bytes) for o in its), " MB"
            ),
        ]
    peaks = {tool.name: [one.pull for one in stories[tool.name]] for tool in tools}
    return here.acceptance([*wishes, *results.memory(goodput.our_peaks(tools, peaks))])


if __name__ == "__main__":
    sys.exit(main())
