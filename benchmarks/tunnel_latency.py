"""How soon does a tunnel answer? Pings, new connections, and the time from the start of the client to the first byte.

On loopback, and for the start also from 50 ms away, over the link of `netlink.py`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import netlink
import rounds
import session
import tunnel_course
import tunnel_figures
from rounds import Spread
from servers.rude import closed_port
from session import Session
from tunnel_course import GCM, SSH, Client, Course
from tunnel_figures import Figure, Found, Goal, Runs

MICRO = 1e6
ROUND_TRIP_S = 0.05
CONGESTION = "bbr"
PAGES_LESS = 4  # of them, since each may take 40 ms
PING_50 = Figure("ping of 1 KiB, p50", "µs", "less")
PING_99 = Figure("ping of 1 KiB, p99", "µs", "less")
CONNECTIONS = Figure("new connections, ended here", "a second")
PAGES = Figure("new connections, ended there", "a second")
CONNECTION_50 = Figure("new connection, p50", "µs", "less")
CONNECTION_99 = Figure("new connection, p99", "µs", "less")
START = Figure("start to first byte, loopback", "ms", "less")
FAR_START = Figure("start to first byte, 50 ms away", "ms", "less")
FIGURES = (PING_50, PING_99, CONNECTIONS, PAGES, CONNECTION_50, CONNECTION_99, START, FAR_START)
GOALS = (
    Goal(PING_50, 1.25),
    Goal(PING_99, 0.05),
    Goal(CONNECTIONS, 3),
    Goal(PAGES, 3),
    Goal(START, 1.5),
    Goal(FAR_START, 1.0),
)


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = tunnel_course.parser(__doc__)
    parser.add_argument("--pings", type=int, default=2000, help="answers on one connection (%(default)s)")
    parser.add_argument("--connections", type=int, default=400, help="one after the other (%(default)s)")
    parser.add_argument("--starts", type=int, default=3, help="a round; the median counts (%(default)s)")
    return session.parse(parser, words, pings=300, connections=100, starts=1, rounds=1)


def main(words: Sequence[str] | None = None) -> int:
    """Compare."""
    options = parse(words)
    if lacking := tunnel_course.missing():
        return session.skip("tunnel_latency", lacking)
    with session.opened("tunnel_latency", options) as here:
        clients, parts = tunnel_figures.contestants(here, SSH, GCM), list[Runs]()
        with tunnel_course.loopback(here.folder / "near") as course:
            direct = Spread.of([one * MICRO for one in course.ask("pings", course.service, options.pings)])
            parts.append(tunnel_figures.take_turns(here, clients, lambda client: measure(here, course, client)))
            parts.append(tunnel_figures.take_turns(here, clients, lambda client: starts(here, course, client, START)))
        if lacking := netlink.missing():
            session.tell(f"skipped: the start from afar: {lacking}")
        else:
            with tunnel_course.far(here.folder / "far", ROUND_TRIP_S, 0, CONGESTION) as far:
                parts.append(tunnel_figures.take_turns(here, clients, lambda one: starts(here, far, one, FAR_START)))
        notes = f"{options.pings} pings, {options.connections} connections and {options.starts} starts a round. "
        notes += f"Without a tunnel a ping takes {direct.median:.0f} µs.\n"
        notes += "A new connection is asked something and answered. It is ended here, or there as a web page is; "
        notes += "the server's last packets then wait for a late acknowledgement of those before, in some clients."
        runs = tunnel_figures.merged(*parts)
        tunnel_figures.publish(here, "A tunnel on loopback: latency", runs, FIGURES, GOALS, notes)
    return 0


def measure(here: Session, course: Course, client: Client) -> Found:
    """Ping through one client, then open connections."""
    options = here.options
    with tunnel_course.held(course, client, here.folder / "said") as held:
        pings = course.ask("pings", held.port, options.pings)
        opened = course.ask("connections", held.port, options.connections)
        pages = course.ask("pages", held.port, options.connections // PAGES_LESS)
    return {
        PING_50.name: rounds.percentile(pings, 50) * MICRO,
        PING_99.name: rounds.percentile(pings, 99) * MICRO,
        CONNECTIONS.name: len(opened) / sum(opened),
        PAGES.name: len(pages) / sum(pages),
        CONNECTION_50.name: rounds.percentile(opened, 50) * MICRO,
        CONNECTION_99.name: rounds.percentile(opened, 99) * MICRO,
    }


def starts(here: Session, course: Course, client: Client, figure: Figure) -> Found:
    """Start one client some times, and return the middle."""
    taken_s = []
    for _ in range(here.options.starts):
        port = closed_port()
        taken_s.append(course.ask("start", port, *client.command(course, port, inside=True), env=course.environment()))
    return {figure.name: Spread.of(taken_s).median * 1000}


if __name__ == "__main__":
    sys.exit(main())
