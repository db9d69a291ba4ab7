"""Begun at one hub, killed at half, that hub gone, resumed at the other: how many bytes does it take in all?"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import comparison
import contest
import models
import networks
import peers
import plots
import results
import rounds
import session
import several
import star
from contest import Ring
from origin import Origin
from peers import Tool
from rounds import Spread
from session import Session
from star import MBIT

MB = 1_000_000
SAVES = "--auto-save-interval=1"
MOST_TIMES = 1.02
LOOK_EVERY_S = 0.002


@dataclass(frozen=True, slots=True)
class Plan:
    """How somebody begins, and how he goes on."""

    name: str
    first: Tool
    then: Tool


@dataclass(frozen=True, slots=True)
class Story:
    """What one went through."""

    came_bytes: tuple[int, ...]
    wall_s: float
    peak_bytes: int
    failure: str


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = session.parser(__doc__, rounds=3)
    parser.add_argument("--size-mb", type=int, default=500, help="size of the file (%(default)s)")
    parser.add_argument("--mbit", type=int, default=300, help="what each hub's link carries (%(default)s)")
    parser.add_argument("--limit-s", type=float, default=90, help="cut a run off after this time (%(default)s)")
    return session.parse(parser, words, size_mb=60, limit_s=30, rounds=1)


def main(words: Sequence[str] | None = None) -> int:
    """Let everybody change the hub."""
    options = parse(words)
    if lacking := peers.absent("nginx", "unshare", "ip") or networks.missing():
        return session.skip("changed_hub", lacking)
    rate = options.mbit * MBIT
    with session.opened("changed_hub", options) as here, star.star(rate, rate) as net:
        model = models.weights(here.folder / "model", options.size_mb * MB)
        with (
            Origin(model, here.folder / "first", net.where(0)) as first,
            Origin(model, here.folder / "second", net.where(1)) as second,
        ):
            ring = Ring(net, (first, second), options.limit_s)
            known = {plan.name: plan for plan in plans(here, ring)}
            stories = rounds.take_turns(list(known), options.rounds, lambda name: story(here, ring, known[name]))
        title = f"{options.size_mb} MB begun at one hub, killed at half, resumed at another"
        size_bytes = model.size_bytes
        tools = [replace(plan.first, name=name) for name, plan in known.items()]
        group = comparison.group(tools, {name: times(its, size_bytes) for name, its in stories.items()}, MOST_TIMES)
        svg = plots.draw(title, "bytes that came ÷ bytes of the file", [group], base=1)
        picture = plots.publish("changed_hub", svg, title, write=options.write)
        here.publish(title, table(stories, size_bytes), picture, verdict(here, known, stories, size_bytes))
    return 0


def plans(here: Session, ring: Ring) -> list[Plan]:
    """Return ours, told of one hub after the other and of both each time; aria2c, curl, and the official clients."""
    first, second = ring.origins
    chosen = [
        one_after_the_other(here, first, second),
        Plan("internlm-setup, both each time", *[several.ours(here.ours, ring.origins)] * 2),
        Plan("aria2c -c, another address", *(several.aria2c([hub], options=[SAVES]) for hub in (first, second))),
        Plan("curl -C -, another address", peers.curl("-C", "-"), several.at(peers.curl("-C", "-"), second)),
        Plan("hf, then modelscope", peers.huggingface(), several.at(peers.modelscope(parallel=True), second)),
    ]
    there = {tool.name for tool in here.chosen([tool for plan in chosen for tool in (plan.first, plan.then)])}
    return [plan for plan in chosen if {plan.first.name, plan.then.name} <= there]


def one_after_the_other(here: Session, first: Origin, second: Origin) -> Plan:
    """Return ours: begun at Hugging Face alone, resumed at ModelScope alone."""
    begin, end = (replace(peers.ours(here.ours, hub), env=several.endpoints(first, second)) for hub in several.HUBS)
    return Plan("internlm-setup, one hub after the other", begin, end)


def story(here: Session, ring: Ring, plan: Plan) -> Story:
    """Begin, kill at half, take the first hub away, and go on."""
    to, half, begun_s = here.folder / "to", ring.origins[0].model.size_bytes / 2, time.monotonic()
    session.empty(to)
    with star.Watch(ring.star) as watch:
        with here.running(plan.first, ring.origins[0], to, ring.star.client.enter) as started:
            while watch.now().all_bytes < half and not started.is_over():
                time.sleep(LOOK_EVERY_S)
            started.kill()
            killed = started.wait()
        ring.origins[0].signal(signal.SIGKILL)
        pull = contest.measure(here, ring, plan.then, keep=to)
    ring.origins[0].restart()
    session.empty(to)
    came = watch.samples[-1].came_bytes
    session.tell(f"{plan.name}: {' + '.join(f'{part / MB:.1f}' for part in came)} MB")
    peak = max(killed.peak_bytes, pull.run.peak_bytes)
    return Story(came, time.monotonic() - begun_s, peak, pull.failure)


def times(its: Sequence[Story], size_bytes: int) -> Spread:
    """Return how many times the file's size came."""
    return Spread.of([sum(one.came_bytes) / size_bytes for one in its])


def table(stories: dict[str, list[Story]], size_bytes: int) -> str:
    """Draw a row for each."""
    rows = []
    for name, its in stories.items():
        share = (
            f"{times(its, size_bytes).median:.3f} ({times(its, size_bytes).low:.3f}–{times(its, size_bytes).high:.3f})"
        )
        parts = " + ".join(f"{part / MB:.1f}" for part in its[-1].came_bytes)
        rows.append([name, share, parts, "; ".join(sorted({one.failure or "right" for one in its}))])
    return results.table(["Who", "Bytes ÷ size", "MB from each hub", "End"], rows)


def verdict(here: Session, known: dict[str, Plan], stories: dict[str, list[Story]], size_bytes: int) -> str:
    """Hold ours against the acceptance figure; the worst run counts."""
    wishes, peaks = [], []
    for name, its in stories.items():
        if known[name].first.ours:
            wish = results.at_most(f"{name}: bytes ÷ size", MOST_TIMES, times(its, size_bytes).high)
            wishes += [wish, results.finishes(name, next((one.failure for one in its if one.failure), ""))]
            peaks += [one.peak_bytes for one in its]
    return here.acceptance([*wishes, *results.memory(peaks)])


if __name__ == "__main__":
    sys.exit(main())
