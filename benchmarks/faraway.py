"""200 ms away, 200 Mbit/s, 0.5 % loss: who still gets the file, with bbr and with cubic?

Each tool has the same time; how many connections it opens is its own affair. The official clients and ours first ask
for a listing, which costs round trips; aria2c, curl and wget are given the file's own address.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import goodput
import linkcheck
import models
import netlink
import peers
import results
import session
from goodput import Course
from models import Model
from origin import Origin
from peers import Tool
from session import Session

MB = 1_000_000
MBIT = 125_000
WAYS = ("bbr", "cubic")


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = session.parser(__doc__)
    parser.add_argument("--size-mb", type=int, default=1000, help="size of the file (%(default)s)")
    parser.add_argument("--limit-s", type=float, default=75, help="cut a run off after this time (%(default)s)")
    parser.add_argument("--round-trip-ms", type=float, default=200, help="(%(default)s)")
    parser.add_argument("--mbit", type=float, default=200, help="(%(default)s)")
    parser.add_argument("--loss", type=float, default=0.005, help="(%(default)s)")
    parser.add_argument("--congestion", nargs="+", metavar="NAME", default=WAYS, help="(%(default)s)")
    return session.parse(parser, words, size_mb=20, limit_s=5, rounds=1, congestion=["bbr"])


def main(words: Sequence[str] | None = None) -> int:
    """Measure the link, then compare under each congestion control."""
    options = parse(words)
    if lacking := peers.absent("nginx", "unshare", "ip") or netlink.missing():
        return session.skip("faraway", lacking)
    with session.opened("faraway", options) as here:
        model = models.weights(here.folder / "model", options.size_mb * MB)
        check_s = 1.0 if options.short else 5.0
        parts = [linkcheck.describe(options.round_trip_ms / 1000, options.mbit * MBIT, options.loss, check_s)]
        parts.append(f"Socket buffers of this machine, in bytes: {buffers('tcp_rmem')} and {buffers('tcp_wmem')}.")
        there = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text(encoding="utf-8").split()
        title = f"{options.size_mb} MB from {options.round_trip_ms:.0f} ms away"
        line = f"{title}, {options.mbit:.0f} Mbit/s, {options.loss:.1%} loss"
        for name in options.congestion:
            found = under(here, model, name) if name in there else [f"Not in this kernel: {name}."]
            replace(here, name=f"faraway_{name}").publish(f"{line}: {name}", *parts, *found)
    return 0


def under(here: Session, model: Model, congestion: str) -> list[str]:
    """Compare with the server sending by one congestion control."""
    options, tools = here.options, here.chosen(contestants(here))
    with netlink.far(here.folder, options.round_trip_ms / 1000, options.mbit * MBIT, options.loss) as link:
        link.network.send_by(congestion)
        with Origin(model, here.folder / f"nginx-{congestion}", link.network.where) as origin:
            course = Course(origin, link.network, options.limit_s, netlink.OVERHEAD_BYTES)
            pulls = goodput.take_turns(here, course, tools)
    report = link.report()
    carried = f"The link carried {report.size_bytes / MB:.0f} MB; {report.lost / max(report.packets, 1):.2%} of packets"
    carried += f" vanished, {report.overflowed / max(report.packets, 1):.2%} found its queue full."
    tools, failures = goodput.without_failures(tools, pulls)
    return [goodput.table(tools, pulls), carried, failures, verdict(here, tools, pulls)]


def buffers(name: str) -> str:
    """Quote the limits on what one connection may have under way."""
    numbers = Path("/proc/sys/net/ipv4", name).read_text(encoding="utf-8").split()
    return f"`{name} {' '.join(numbers)}`"


def contestants(here: Session) -> list[Tool]:
    """Return ours as it comes and with 16 connections, aria2c with 16, and those with one connection."""
    return [
        peers.ours(here.ours, "huggingface"),
        peers.ours(here.ours, "huggingface", "--jobs", "16"),
        peers.aria2c(),
        *single(),
    ]


def single() -> list[Tool]:
    """Return the tools that use one connection."""
    return [peers.curl(), peers.wget(), peers.huggingface()]


def verdict(here: Session, tools: Sequence[Tool], pulls: goodput.Pulls) -> str:
    """Hold ours against the acceptance figures."""
    wishes = goodput.wishes_against(peers.aria2c().name, 1.0, tools, pulls)
    alone = {tool.name for tool in single()} & {tool.name for tool in tools}
    best = max(alone, key=lambda name: max(goodput.rates(pulls[name])), default=None)
    wishes += goodput.wishes_against(best, 2.0, tools, pulls)
    return here.acceptance([*wishes, *results.memory(goodput.our_peaks(tools, pulls))])


if __name__ == "__main__":
    sys.exit(main())
