"""Thousands of small files from a hub that answers 50 requests a second: how near does one come, and who storms it?

Above that rate the hub says 429, and to come again in a second. A request within that second, which was not under way
already, is what makes a storm. Ours runs to its end; peers are cut off when their
time is over, and their rate is what had come by then.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import models
import peers
import plots
import results
import rounds
import session
from nginx_conf import Where
from origin import Origin, Request
from peers import Tool
from rounds import Run, Spread
from session import Session

LEAST_SHARE = 0.9
MOST_IMPATIENT = 0.01
TOLD_TO_WAIT_S, UNDER_WAY_S = 0.9, 0.1
CURVE_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Story:
    """One run: its cost, what the hub answered and when, and how it ended; what counts are files, not requests."""

    run: Run
    asked: tuple[Request, ...]
    files: int
    end: str

    @property
    def refused(self) -> int:
        """How many requests were answered with 429."""
        return sum(request.status == 429 for request in self.asked)

    @property
    def impatient(self) -> int:
        """How many requests came while all had been told to wait; those under way at that moment are forgiven."""
        told_s, count = float("-inf"), 0
        for request in sorted(self.asked, key=lambda one: one.ended_s):
            since_s = request.ended_s - told_s
            count += UNDER_WAY_S < since_s < TOLD_TO_WAIT_S
            if request.status == 429 and since_s >= TOLD_TO_WAIT_S:
                told_s = request.ended_s
        return count

    @property
    def files_per_s(self) -> float:
        """Files by the seconds of the whole process."""
        return self.files / self.run.wall_s


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = session.parser(__doc__, rounds=1)
    parser.add_argument("--files", type=int, default=20_000, help="how many, of 4 to 64 KiB (%(default)s)")
    parser.add_argument("--allowed", type=int, default=50, help="requests a second (%(default)s)")
    parser.add_argument("--limit-s", type=float, default=900, help="cut ours off after this time (%(default)s)")
    parser.add_argument("--peers-limit-s", type=float, default=120, help="and peers after this (%(default)s)")
    return session.parse(parser, words, files=200, peers_limit_s=8)


def main(words: Sequence[str] | None = None) -> int:
    """Compare the tools that know a hub."""
    options = parse(words)
    if lacking := peers.absent("nginx"):
        return session.skip("rate_limited", lacking)
    with session.opened("rate_limited", options) as here:
        model = models.small_files(here.folder / "model", options.files)
        tools = here.chosen(peers.usual(here.ours))
        known = {tool.name: tool for tool in tools}
        place = here.folder / "nginx"
        with Origin(model, place, Where.loopback(), requests_per_s=options.allowed) as origin:
            stories = rounds.take_turns(list(known), options.rounds, lambda name: story(here, origin, known[name]))
        title = f"{options.files} files from a hub that answers {options.allowed} requests a second"
        svg = plots.curves(
            title, ("seconds", "requests refused"), {tool.name: storm(stories[tool.name][0]) for tool in tools}
        )
        picture = plots.publish("rate_limited", svg, title, write=options.write)
        here.publish(title, table(here, tools, stories), picture, verdict(here, tools, stories))
    return 0


def story(here: Session, origin: Origin, tool: Tool) -> Story:
    """Run a tool for at most its time, and read in the log what it was told."""
    to = here.folder / "to"
    session.empty(to)
    origin.requests()
    with here.running(tool, origin, to) as started:
        cut = not started.wait_at_most(here.options.limit_s if tool.ours else here.options.peers_limit_s)
        started.kill()
        run = started.wait()
    asked = tuple(origin.requests())
    files = sum((to / entry.path).is_file() for entry in origin.model.entries)
    end = "cut off" if cut else f"exit code {run.exit_code}" if run.exit_code else wrong(origin, to)
    session.empty(to)
    found = Story(run, asked, files, end)
    session.tell(f"{tool.name}: {found.files_per_s:.1f} files/s, {found.refused} of {len(asked)} refused, {end}")
    return found


def wrong(origin: Origin, to: Path) -> str:
    """Compare the files with the originals."""
    return session.difference(origin.model, to) or "right"


def storm(one: Story) -> list[tuple[float, float]]:
    """Return a curve: seconds since the first request, and how many had been refused by then."""
    begun_s = one.asked[0].ended_s if one.asked else 0.0
    moments = [request.ended_s - begun_s for request in one.asked if request.status == 429]
    points = [(0.0, 0.0)]
    for number, at_s in enumerate(sorted(moments), 1):
        if at_s - points[-1][0] >= CURVE_EVERY_S:
            points.append((at_s, float(number)))
    return [*points, (one.run.wall_s, float(one.refused))]


def table(here: Session, tools: Sequence[Tool], stories: dict[str, list[Story]]) -> str:
    """Draw a row for each tool."""
    rows = []
    for tool in tools:
        its = stories[tool.name]
        rows.append([
            tool.name,
            str(Spread.of([one.files_per_s for one in its])),
            str(Spread.of([one.files_per_s / here.options.allowed for one in its])),
            f"{Spread.of([len(one.asked) / max(one.files, 1) for one in its]).median:.2f}",
            f"{Spread.of([one.refused for one in its]).median:.0f}",
            f"{Spread.of([one.refused / max(len(one.asked), 1) for one in its]).median:.1%}",
            f"{Spread.of([one.impatient for one in its]).median:.0f}",
            f"{Spread.of([one.run.wall_s for one in its]).median:.0f}",
            "; ".join(sorted({one.end for one in its})),
        ])  # fmt: skip
    heads = ["Tool", "Files a second", "÷ allowed", "Requests a file", "Refused", "of requests"]
    heads += ["Came while told to wait", "Seconds", "End"]
    return results.table(heads, rows)


def verdict(here: Session, tools: Sequence[Tool], stories: dict[str, list[Story]]) -> str:
    """Hold ours against the acceptance figures; the worst run counts."""
    wishes, ours = [], [tool.name for tool in tools if tool.ours]
    for name in ours:
        its = stories[name]
        share = min(one.files_per_s for one in its) / here.options.allowed
        impatient = max(one.impatient / max(len(one.asked), 1) for one in its)
        wishes += [
            results.finishes(name, next((one.end for one in its if one.end != "right"), "")),
            results.at_least(f"{name}: files a second ÷ allowed", LEAST_SHARE, share),
            results.at_most(f"{name}: requests while told to wait", MOST_IMPATIENT * 100, impatient * 100, " %"),
        ]
    peaks = [one.run.peak_bytes for name in ours for one in stories[name]]
    return here.acceptance([*wishes, *results.memory(peaks)])


if __name__ == "__main__":
    sys.exit(main())
