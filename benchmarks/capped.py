"""A server that gives each connection 20 MB/s, behind 1 Gbit/s: how much of the link is used?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import goodput
import models
import networks
import peers
import results
import session
from goodput import Course
from origin import Origin
from peers import Tool
from session import Session

MB = 1_000_000
MIB = 1 << 20
LINK_BYTES_PER_S = 125 * MB
CONNECTION_BYTES_PER_S = 20 * MB


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = session.parser(__doc__)
    parser.add_argument("--size-mib", type=int, default=2048, help="size of the file (%(default)s)")
    parser.add_argument("--limit-s", type=float, default=40, help="cut a run off after this time (%(default)s)")
    return session.parse(parser, words, size_mib=256, limit_s=5, rounds=1)


def main(words: Sequence[str] | None = None) -> int:
    """Compare the tools and the sockets."""
    options = parse(words)
    if lacking := peers.absent("nginx", "unshare", "ip") or networks.missing():
        return session.skip("capped", lacking)
    with session.opened("capped", options) as here, networks.wire(LINK_BYTES_PER_S) as network:
        model = models.weights(here.folder / "model", options.size_mib * MIB)
        place = here.folder / "nginx"
        with Origin(model, place, network.where, limit_bytes_per_s=CONNECTION_BYTES_PER_S) as origin:
            course = Course(origin, network, options.limit_s, networks.OVERHEAD_BYTES)
            pulls = goodput.take_turns(here, course, here.chosen(contestants(here)))
        tools, failures = goodput.without_failures(here.chosen(contestants(here)), pulls)
        title = f"{options.size_mib} MiB at 20 MB/s a connection, over 1 Gbit/s"
        here.publish(title, goodput.table(tools, pulls), failures, verdict(here, tools, pulls))
    return 0


def contestants(here: Session) -> list[Tool]:
    """Return ours from both hubs, what the link gives at most, and the peers."""
    return [
        peers.ours(here.ours, "huggingface"),
        peers.ours(here.ours, "modelscope"),
        peers.discarding(),
        peers.aria2c(),
        peers.modelscope(parallel=True),
        peers.huggingface(),
    ]


def verdict(here: Session, tools: Sequence[Tool], pulls: goodput.Pulls) -> str:
    """Hold ours against the acceptance figures."""
    wishes = goodput.wishes_against(peers.discarding().name, 0.95, tools, pulls)
    wishes += goodput.wishes_against(peers.aria2c().name, 1.0, tools, pulls)
    return here.acceptance([*wishes, *results.memory(goodput.our_peaks(tools, pulls))])


if __name__ == "__main__":
    sys.exit(main())
