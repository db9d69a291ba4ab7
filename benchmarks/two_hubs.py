"""Two hubs, each behind a link of its own: how much of both is used, and how long is the last one waited for?

First both carry 300 Mbit/s in all, then one 300 and the other 30. The measure is what sockets get through the same
links in the same run that throw everything away and know each link's share beforehand.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import comparison
import contest
import goodput
import models
import networks
import peers
import plots
import results
import session
import several
import star
import trace_picture
import traces
from contest import Pulls, Ring
from models import Model
from origin import Origin
from peers import Tool
from results import Wish
from rounds import Spread
from session import Session
from star import MBIT

MB = 1_000_000
LINKS = ("300+300", "300+30")
TAIL_S = 2.0
ORDERS = (several.HUBS, several.HUBS[::-1])


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = session.parser(__doc__)
    parser.add_argument("--size-mb", type=int, default=1000, help="size of the file (%(default)s)")
    parser.add_argument("--limit-s", type=float, default=90, help="cut a run off after this time (%(default)s)")
    parser.add_argument("--links", nargs="+", metavar="MBIT+MBIT", default=LINKS, help="(%(default)s)")
    parser.add_argument("--traces", type=Path, metavar="DIR", help="leave the traces of our last runs there")
    return session.parse(parser, words, size_mb=60, limit_s=10, rounds=1, links=["300+30"])


def main(words: Sequence[str] | None = None) -> int:
    """Compare over each pair of links."""
    options = parse(words)
    if lacking := peers.absent("nginx", "unshare", "ip") or networks.missing():
        return session.skip("two_hubs", lacking)
    with session.opened("two_hubs", options) as here:
        model = models.weights(here.folder / "model", options.size_mb * MB)
        for links in options.links:
            rates = [int(mbit) * MBIT for mbit in links.split("+")]
            over(replace(here, name=f"two_hubs_{links.replace('+', '_')}"), model, links, rates)
    return 0


def over(here: Session, model: Model, links: str, rates: Sequence[int]) -> None:
    """Compare over one pair of links; those who take from one hub take from the first."""
    with ExitStack() as stack:
        net = stack.enter_context(star.star(*rates))
        places = [here.folder / f"{here.name}-{number}" for number in range(len(rates))]
        origins = tuple(
            stack.enter_context(Origin(model, place, net.where(number))) for number, place in enumerate(places)
        )
        ring = Ring(net, origins, here.options.limit_s)
        chosen = here.chosen(contestants(here, ring))
        pulls = contest.take_turns(here, ring, chosen)
    tools, failures = goodput.without_failures(chosen, pulls)
    title = f"{here.options.size_mb} MB from two hubs, {links.replace('+', ' and ')} Mbit/s"
    rates_of = {tool.name: Spread.of(goodput.rates(pulls[tool.name])) for tool in tools}
    svg = plots.draw(title, "MB/s", [comparison.group(tools, rates_of)])
    picture = plots.publish(here.name, svg, title, write=here.options.write)
    shown = [contest.table(ring, tools, pulls), failures, picture, by_trace(here, title)]
    ends = [results.finishes(tool.name, goodput.failure(pulls[tool.name])) for tool in chosen if tool.ours]
    here.publish(title, *shown, verdict(here, ring, tools, pulls, ends))


def contestants(here: Session, ring: Ring) -> list[Tool]:
    """Return ours with either hub named first, the sockets, aria2c with both addresses, and who takes from one hub."""
    return [
        *(several.ours(here.ours, ring.origins, order=order, trace=trace_of(here, order)) for order in ORDERS),
        several.discarding(ring.origins, ring.star.rates_bytes_per_s),
        several.aria2c(ring.origins),
        several.aria2c(ring.origins, 2 * peers.CONNECTIONS),
        *several.single(),
    ]


def trace_of(here: Session, order: Sequence[str]) -> Path:
    """Return where the trace of our last run lies."""
    folder = Path(here.options.traces or here.folder).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{here.name}-{order[0]}-first.jsonl"


def by_trace(here: Session, title: str) -> str:
    """Draw the trace of our last run; return what it says and the line that shows it, nothing where there is none."""
    if not (spans := traces.read(trace_of(here, ORDERS[0]))):
        return ""
    svg = trace_picture.draw(title, spans)
    picture = plots.publish(f"{here.name}_trace", svg, "pieces by hub and connection", write=here.options.write)
    said = f"By our own trace of the last round, {len(spans)} requests, and a tail of {traces.tail_s(spans):.2f} s."
    return f"{said}\n\n{picture}".strip()


def verdict(here: Session, ring: Ring, tools: Sequence[Tool], pulls: Pulls, ends: Sequence[Wish]) -> str:
    """Hold ours against the acceptance figures."""
    wishes = [*ends, *goodput.wishes_against(peers.discarding().name, 0.95, tools, pulls)]
    rates = ring.star.rates_bytes_per_s
    if len(set(rates)) == 1:
        alone = {tool.name for tool in several.single()} & {tool.name for tool in tools}
        best = max(alone, key=lambda name: Spread.of(goodput.rates(pulls[name])).median, default=None)
        wishes += goodput.wishes_against(best, 1.8, tools, pulls)
    both = {several.aria2c(ring.origins, count).name for count in (peers.CONNECTIONS, 2 * peers.CONNECTIONS)}
    rival = max(both & {tool.name for tool in tools}, key=lambda name: max(goodput.rates(pulls[name])), default=None)
    wishes += goodput.wishes_against(rival, 1.0, tools, pulls)
    wishes += waits(ring, tools, pulls)
    return here.acceptance([*wishes, *results.memory(goodput.our_peaks(tools, pulls))])


def waits(ring: Ring, tools: Sequence[Tool], pulls: Pulls) -> list[Wish]:
    """Want no hub to be waited for; the longest wait of all runs counts."""
    found = {tool.name: max(contest.tails(ring, pulls[tool.name])) for tool in tools if tool.ours}
    return [results.at_most(f"{own}: the tail", TAIL_S, longest, " s") for own, longest in found.items()]


if __name__ == "__main__":
    sys.exit(main())
