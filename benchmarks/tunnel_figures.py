"""Figures of tunnels: each client's in every round, beside those of the same round's `ssh -NL`; goals, table, plot."""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import peers
import plots
import results
import rounds
import session
import tunnel_course
from plots import Dot, Group
from results import Wish
from rounds import Spread
from session import Session
from tunnel_course import GCM, SSH, Client

Found = Mapping[str, float]
Runs = Mapping[str, Sequence[Found]]


@dataclass(frozen=True, slots=True)
class Figure:
    """Something that is measured of every client.

    Attributes:
        name: As in the tables and in what a run found.
        unit: Of the absolute number.
        better: Whether more or less of it is.
        drawn: Whether the plot shows it.
    """

    name: str
    unit: str
    better: Literal["more", "less"] = "more"
    drawn: bool = True


@dataclass(frozen=True, slots=True)
class Goal:
    """What is wanted of internlm-setup: a limit on a figure, or on its ratio to a peer's of the same round."""

    figure: Figure
    limit: float
    peer: str | None = SSH.name


def take_turns(here: Session, clients: Sequence[Client], measure: Callable[[Client], Found]) -> Runs:
    """Measure all clients in turn.

    A client that fails is told of and has no figures at all.
    """
    known, failed = {client.name: client for client in clients}, set[str]()

    def run(name: str) -> Found:
        if name in failed:
            return {}
        try:
            found = measure(known[name])
        except (RuntimeError, OSError) as error:
            failed.add(name)
            session.tell(f"{name}: FAILED: {error}")
            return {}
        session.tell(f"{name}: " + ", ".join(f"{figure} {number:.4g}" for figure, number in found.items()))
        return found

    runs = rounds.take_turns(list(known), here.options.rounds, run)
    return {name: found for name, found in runs.items() if name not in failed}


def contestants(here: Session, *others: Client) -> list[Client]:
    """Return ours and others, without those that were not asked for or cannot be had."""
    mine = [tunnel_course.ours(here.ours, engine) for engine in here.options.engine or (None,)]
    kept = []
    for client in (*others, *mine):
        if here.options.only and not any(word in client.name for word in here.options.only):
            continue
        if client.needs and (lacking := peers.absent(client.needs)):
            session.tell(f"skipped: {client.name}: {lacking}")
        else:
            kept.append(client)
    return kept


def of(runs: Runs, client: str, figure: Figure, peer: str | None = None) -> Spread | None:
    """Return the spread of a figure, or of its ratio to a peer's; None where one of them has none."""
    mine = [found[figure.name] for found in runs.get(client, ()) if figure.name in found]
    theirs = [found[figure.name] for found in runs.get(peer, ()) if figure.name in found] if peer else [1.0] * len(mine)
    if not mine or len(mine) != len(theirs) or not all(0 < other < math.inf for other in theirs):
        return None
    return rounds.ratio(mine, theirs)


def mine(runs: Runs) -> list[str]:
    """Return the names that are ours."""
    return [name for name in runs if name.startswith("internlm-setup")]


def table(runs: Runs, figures: Sequence[Figure], peers: Sequence[str] = (SSH.name, GCM.name)) -> str:
    """Draw a row for each figure: what every client reached, and ours divided by the peers'."""
    beside = [(own, peer) for own in mine(runs) for peer in peers if peer in runs]
    rows = []
    for figure in figures:
        cells = [_shown(of(runs, name, figure)) for name in runs]
        cells += [_shown(of(runs, own, figure, peer)) for own, peer in beside]
        rows.append([", ".join(filter(None, (figure.name, figure.unit))), *cells])
    return results.table(["", *runs, *(f"{own} ÷ {peer}" for own, peer in beside)], rows)


def wishes(runs: Runs, goals: Sequence[Goal]) -> list[Wish]:
    """Hold ours against the goals; one whose peer is missing is left out."""
    found = []
    for goal in goals:
        for own in mine(runs):
            spread = of(runs, own, goal.figure, goal.peer)
            if spread is None:
                continue
            more, unit = (
                goal.figure.better == "more",
                f" {goal.figure.unit}" if goal.figure.unit and not goal.peer else "",
            )
            met = spread.median >= goal.limit if more else spread.median <= goal.limit
            what = f"{goal.figure.name}: {own}" + (f" ÷ {goal.peer}" if goal.peer else "")
            found.append(Wish(what, f"{'≥' if more else '≤'} {goal.limit:g}{unit}", f"{_shown(spread)}{unit}", met))
    return found


def merged(*several: Runs) -> Runs:
    """Put runs on several courses side by side: what a client found in one round of each is one run."""
    names = list(dict.fromkeys(name for runs in several for name in runs))
    return {
        name: [
            dict(ChainMap(*map(dict, its)))
            for its in zip(*(runs[name] for runs in several if name in runs), strict=True)
        ]
        for name in names
    }


def publish(
    here: Session,
    title: str,
    runs: Runs,
    figures: Sequence[Figure],
    goals: Sequence[Goal],
    *notes: str,
    peer: str | None = SSH.name,
) -> None:
    """Publish a section: plot, table, notes, goals.

    Args:
        here: Whose.
        title: Its heading.
        runs: What was found.
        figures: What to show.
        goals: What ours is held against.
        notes: What else there is to say.
        peer: What the plot's figures are divided by; None draws them as they are.
    """
    shown = plots.publish(here.name, plot(title, runs, figures, goals, peer), title, write=here.options.write)
    ratios = table(runs, figures, (SSH.name, GCM.name) if peer else ())
    verdict = here.acceptance(wishes(runs, goals))
    here.publish(title, shown, ratios, *notes, verdict, versions=tunnel_course.versions(here.ours))


def plot(title: str, runs: Runs, figures: Sequence[Figure], goals: Sequence[Goal], peer: str | None) -> str:
    """Draw every client's figures, divided by a peer's unless there is none."""
    groups = []
    for figure in (figure for figure in figures if figure.drawn):
        spreads = {name: spread for name in runs if (spread := of(runs, name, figure, peer)) is not None}
        dots = [Dot(name, spread, _shown(spread), ours=name in mine(runs)) for name, spread in spreads.items()]
        goal = next((goal for goal in goals if (goal.figure, goal.peer) == (figure, peer)), None)
        sign = "≥" if figure.better == "more" else "≤"
        wanted = (goal.limit, f"goal {sign} {goal.limit:g}") if goal else (None, "")
        groups.append(Group(figure.name if peer else f"{figure.name}, {figure.unit}", dots, *wanted))
    axis = f"ratio to {peer} in the same round" if peer else "less is better"
    return plots.draw(title, axis, groups, base=1 if peer else None)


def _shown(spread: Spread | None) -> str:
    """Return a median with its least and greatest, to three digits."""
    if spread is None:
        return ""
    if math.isinf(spread.low):
        return "never"
    return f"{_digits(spread.median)} ({_digits(spread.low)}–{_digits(spread.high)})"


def _digits(number: float) -> str:
    if math.isinf(number):
        return "never"
    return f"{number:.3g}" if number < 1000 else f"{number:.0f}"
