"""Tools side by side: the table of one comparison, and who was fastest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import peers
import plots
import results
import rounds
from origin import Origin
from peers import Tool
from results import Wish
from rounds import Run, Spread, ratio
from session import Session

Runs = Mapping[str, Sequence[Run]]


def take_turns(
    here: Session, origin: Origin, tools: Sequence[Tool], *, to: Path | None = None, enter: Sequence[str] = ()
) -> tuple[list[Tool], Runs, str]:
    """Run all tools in turn; return those that never failed, all runs, and what there is to say of the others."""
    known = {tool.name: tool for tool in tools}

    def run(name: str) -> Run:
        return here.measure(known[name], origin, to=to, enter=enter)

    runs = rounds.take_turns(list(known), here.options.rounds, run)
    good, failures = without_failures(tools, runs)
    return good, runs, failures


def without_failures(tools: Sequence[Tool], runs: Runs) -> tuple[list[Tool], str]:
    """Leave out the tools that failed in any round; return the others, and a sentence about each that was left out."""
    failed = {name: next((run.failure for run in its if run.failure), "") for name, its in runs.items()}
    said = [f"Not compared, because it failed: {name}: {why}." for name, why in failed.items() if why]
    return [tool for tool in tools if not failed[tool.name]], "\n".join(said)


def walls(runs: Sequence[Run]) -> list[float]:
    """Return the seconds of some runs."""
    return [run.wall_s for run in runs]


def fastest_peer(tools: Sequence[Tool], runs: Runs) -> str | None:
    """Name the peer with the smallest median, of those that verify what they fetch."""
    names = [tool.name for tool in tools if tool.peer and tool.checks != peers.NO_CHECK]
    return min(names, key=lambda name: Spread.of(walls(runs[name])).median, default=None)


def wishes_against(name: str | None, limit: float, tools: Sequence[Tool], runs: Runs) -> list[Wish]:
    """Want each way of ours to need at most so many times another tool's seconds; nothing when that one is missing."""
    if name not in {tool.name for tool in tools}:
        return []
    mine = [tool.name for tool in tools if tool.ours]
    found = {own: ratio(walls(runs[own]), walls(runs[name])).median for own in mine}
    return [results.at_most(f"{own} ÷ {name}", limit, number) for own, number in found.items()]


def table(tools: Sequence[Tool], runs: Runs, size_bytes: int | None = None) -> str:
    """Draw a row for each tool: our seconds divided by its own, and what its run cost; CPU seconds a GB of a size."""
    mine = [tool.name for tool in tools if tool.ours]
    heads = [
        "Tool",
        "Checks",
        *(f"{own} ÷ it" for own in mine),
        "Seconds",
        "CPU s a GB" if size_bytes else "CPU s",
        "Peak MB",
        "Requests",
    ]
    rows = []
    for tool in tools:
        its = runs[tool.name]
        ratios = ["" if tool.ours else str(ratio(walls(runs[own]), walls(its))) for own in mine]
        cost = [
            str(Spread.of(walls(its))),
            f"{Spread.of([run.cpu_s for run in its]).median / (size_bytes / 1e9 if size_bytes else 1):.2f}",
            f"{max(run.peak_bytes for run in its) / 1e6:.0f}",
            f"{Spread.of([run.requests for run in its]).median:.0f}",
        ]
        rows.append([tool.name, tool.checks, *ratios, *cost])
    return results.table(heads, rows)


def group(tools: Sequence[Tool], spreads: Mapping[str, Spread], goal: float | None = None) -> plots.Group:
    """Return rows of a plot: each tool's figure."""
    dots = [plots.Dot(tool.name, spreads[tool.name], str(spreads[tool.name]), tool.ours) for tool in tools]
    return plots.Group("", dots, goal, "" if goal is None else f"goal {goal:g}")


def our_peaks(tools: Sequence[Tool], runs: Runs) -> list[int]:
    """Return the peak memory of every run of ours."""
    return [run.peak_bytes for tool in tools if tool.ours for run in runs[tool.name]]
