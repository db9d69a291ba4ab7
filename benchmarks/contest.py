"""Runs of tools that download from several hubs: what each hub brought, and when, beside what a run costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import goodput
import results
import rounds
import session
import star
from origin import Origin
from peers import Tool
from rounds import Run, Spread, Started
from session import Session
from star import Sample, Star, Watch

MB = 1_000_000
LONGEST_SAID = 80
Meddling = Callable[[Watch, Started], None]


@dataclass(frozen=True, slots=True)
class Pull(goodput.Pull):
    """One run, and what each hub had brought, moment by moment."""

    samples: tuple[Sample, ...]

    @property
    def came_bytes(self) -> int:
        """What all hubs sent, answers' heads and listings included."""
        return self.samples[-1].all_bytes


Pulls = Mapping[str, Sequence[Pull]]


@dataclass(frozen=True, slots=True)
class Ring:
    """Where they compete: the hubs' links, their servers, and how long a run may take."""

    star: Star
    origins: tuple[Origin, ...]
    limit_s: float


def measure(
    here: Session, ring: Ring, tool: Tool, meddling: Meddling | None = None, *, keep: Path | None = None
) -> Pull:
    """Download everything into an empty folder and check the bytes.

    Args:
        here: The program's session.
        ring: Where.
        tool: Who.
        meddling: What happens to the hubs meanwhile.
        keep: A folder that is neither emptied before nor after; a fresh one unless given.
    """
    to, origin = keep or here.folder / "to", ring.origins[0]
    if keep is None:
        session.empty(to)
    with Watch(ring.star) as watch, here.running(tool, origin, to, ring.star.client.enter) as started:
        if meddling is not None:
            meddling(watch, started)
        cut = not started.wait_at_most(ring.limit_s)
        started.kill()
        run = started.wait()
    failure = "cut off" if cut else _failure(origin, tool, to, run)
    if keep is None:
        session.empty(to)
    rate = origin.model.size_bytes / run.wall_s
    session.tell(f"{tool.name}: {run.wall_s:.2f} s, {rate / MB:.1f} MB/s" + (f" FAILED: {failure}" if failure else ""))
    return Pull(run, rate, cut, failure, tuple(watch.samples))


def _failure(origin: Origin, tool: Tool, to: Path, run: Run) -> str:
    if run.exit_code:
        last = next((line for line in reversed(run.said.splitlines()) if line.strip()), "")
        return f"exit code {run.exit_code}" + (f": {last.strip()[:LONGEST_SAID]}" if last else "")
    return (session.difference(origin.model, to) or "") if tool.keeps else ""


def take_turns(here: Session, ring: Ring, tools: Sequence[Tool]) -> Pulls:
    """Run all tools in turn."""
    known = {tool.name: tool for tool in tools}
    return rounds.take_turns(list(known), here.options.rounds, lambda name: measure(here, ring, known[name]))


def tails(ring: Ring, pulls: Sequence[Pull]) -> list[float]:
    """Return how many seconds the last hub was waited for in each run."""
    return [star.tail_s(pull.samples, ring.star.rates_bytes_per_s) for pull in pulls]


def table(ring: Ring, tools: Sequence[Tool], pulls: Pulls) -> str:
    """Draw a row for each tool: its rate, ours divided by it, what each hub brought, its tail, and what it cost."""
    mine = [tool.name for tool in tools if tool.ours]
    heads = ["Tool", "Checks", "MB/s", *(f"rate of {own} ÷ its" for own in mine)]
    heads += ["MB from each hub", "Tail, s", "CPU s", "Peak MB"]
    rows = []
    for tool in tools:
        its = pulls[tool.name]
        ratios = ["" if tool.ours else str(rounds.ratio(goodput.rates(pulls[own]), goodput.rates(its))) for own in mine]
        parts = " + ".join(f"{came / MB:.0f}" for came in its[-1].samples[-1].came_bytes)
        cost = [f"{Spread.of([pull.run.cpu_s for pull in its]).median:.2f}"]
        cost += [f"{max(pull.run.peak_bytes for pull in its) / 1e6:.0f}"]
        rows.append(
            [tool.name, tool.checks, str(Spread.of(goodput.rates(its))), *ratios, parts, _tail(ring, its), *cost]
        )
    return results.table(heads, rows)


def _tail(ring: Ring, its: Sequence[Pull]) -> str:
    """Tell the tail of who took from several hubs."""
    several = all(min(pull.samples[-1].came_bytes) > MB for pull in its)
    return str(Spread.of(tails(ring, its))) if several else ""
