"""How fast do tools get a file through a link? For links that would keep a slow tool busy for an hour.

A run is cut off when its time is over; its rate is what had come by then. The bytes of a finished run are the file's,
those of one that was cut off are counted at the client's network card.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import networks
import results
import rounds
import session
from networks import Network
from origin import Origin
from peers import Tool
from results import Wish
from rounds import Run, Spread
from session import Session

MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Course:
    """A link to compare tools on: between whom, how long a run may take, and what a packet's heads take."""

    origin: Origin
    network: Network
    limit_s: float
    overhead_bytes: int


@dataclass(frozen=True, slots=True)
class Pull:
    """One run: what it cost, and its rate; `cut` when it was not done in time."""

    run: Run
    bytes_per_s: float
    cut: bool
    failure: str


Pulls = Mapping[str, Sequence[Pull]]


def take_turns(here: Session, course: Course, tools: Sequence[Tool]) -> Pulls:
    """Run all tools in turn."""
    known = {tool.name: tool for tool in tools}
    return rounds.take_turns(list(known), here.options.rounds, lambda name: measure(here, course, known[name]))


def measure(here: Session, course: Course, tool: Tool) -> Pull:
    """Run one tool on the course, for at most its time; what it finished is checked."""
    to, client = here.folder / "to", course.network.client
    session.empty(to)
    before = client.received(networks.CLIENT_END)
    with here.running(tool, course.origin, to, client.enter) as started:
        cut = not started.wait_at_most(course.limit_s)
        came = client.received(networks.CLIENT_END).payload_since(before, course.overhead_bytes)
        started.kill()
        run = started.wait()
    failure = "" if cut else _failure(course, tool, to, run)
    size_bytes = came if cut else course.origin.model.size_bytes
    session.empty(to)
    words = f"FAILED: {failure}" if failure else "cut off" if cut else "done"
    session.tell(f"{tool.name}: {size_bytes / run.wall_s / MB:.2f} MB/s, {words}")
    return Pull(run, size_bytes / run.wall_s, cut, failure)


def _failure(course: Course, tool: Tool, to: Path, run: Run) -> str:
    if run.exit_code:
        return f"exit code {run.exit_code}: {run.said.strip()}"
    return (session.difference(course.origin.model, to) or "") if tool.keeps else ""


def rates(pulls: Sequence[Pull]) -> list[float]:
    """Return megabytes a second."""
    return [pull.bytes_per_s / MB for pull in pulls]


def without_failures(tools: Sequence[Tool], pulls: Pulls) -> tuple[list[Tool], str]:
    """Leave out the tools that failed in any round; return the others, and a sentence about each that was left out."""
    failed = {name: failure(its) for name, its in pulls.items()}
    said = [f"Not compared, because it failed: {name}: {why}." for name, why in failed.items() if why]
    return [tool for tool in tools if not failed[tool.name]], "\n".join(said)


def failure(pulls: Sequence[Pull]) -> str:
    """Return why the first of the runs that failed did; empty when none did."""
    return next((pull.failure for pull in pulls if pull.failure), "")


def table(tools: Sequence[Tool], pulls: Pulls) -> str:
    """Draw a row for each tool: its rate, ours divided by it, and what its runs cost."""
    mine = [tool.name for tool in tools if tool.ours]
    heads = ["Tool", "Checks", "MB/s", *(f"rate of {own} ÷ its" for own in mine), "CPU s", "Peak MB", "Cut off"]
    rows = []
    for tool in tools:
        its = pulls[tool.name]
        ratios = ["" if tool.ours else str(rounds.ratio(rates(pulls[own]), rates(its))) for own in mine]
        cost = [f"{Spread.of([pull.run.cpu_s for pull in its]).median:.2f}", f"{max(peaks(its)) / 1e6:.0f}"]
        cut = f"{sum(pull.cut for pull in its)} of {len(its)}"
        rows.append([tool.name, tool.checks, str(Spread.of(rates(its))), *ratios, *cost, cut])
    return results.table(heads, rows)


def peaks(pulls: Sequence[Pull]) -> list[int]:
    """Return the peak memory of each run."""
    return [pull.run.peak_bytes for pull in pulls]


def our_peaks(tools: Sequence[Tool], pulls: Pulls) -> list[int]:
    """Return the peak memory of every run of ours."""
    return [peak for tool in tools if tool.ours for peak in peaks(pulls[tool.name])]


def wishes_against(name: str | None, limit: float, tools: Sequence[Tool], pulls: Pulls) -> list[Wish]:
    """Want each way of ours to get at least so many times another tool's rate; nothing when that one is missing."""
    if name not in {tool.name for tool in tools}:
        return []
    mine = [tool.name for tool in tools if tool.ours]
    found = {own: rounds.ratio(rates(pulls[own]), rates(pulls[name])).median for own in mine}
    return [results.at_least(f"rate of {own} ÷ {name}", limit, number) for own, number in found.items()]
