"""How fast does a tunnel move random data on loopback, and at what cost to the client?

Up, down, and down in eight streams, beside OpenSSH's own client with its default cipher and with the one that ours
asks for.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import session
import tunnel_course
import tunnel_figures
from session import Session
from tunnel_course import GCM, SSH, Client, Course
from tunnel_figures import Figure, Found, Goal

MIB, MB, GB = 1 << 20, 1e6, 1e9
WARM_MIB = 8
DOWN = Figure("download, 1 stream", "MB/s")
DOWN_8 = Figure("download, 8 streams", "MB/s")
UP = Figure("upload, 1 stream", "MB/s")
CPU_DOWN = Figure("client's CPU, download", "s/GB", "less")
CPU_UP = Figure("client's CPU, upload", "s/GB", "less")
FIGURES = (DOWN, DOWN_8, UP, CPU_DOWN, CPU_UP)
LOADS = {DOWN: ("d", 1), DOWN_8: ("d", 8), UP: ("u", 1)}
COSTS = {DOWN: CPU_DOWN, UP: CPU_UP}
GOALS = (
    Goal(DOWN, 1.2),
    Goal(DOWN_8, 1.5),
    Goal(UP, 1.3),
    *(Goal(figure, 0.9, GCM.name) for figure in (DOWN, DOWN_8, UP)),
    Goal(CPU_DOWN, 0.65),
    Goal(CPU_UP, 0.65),
)


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = tunnel_course.parser(__doc__)
    parser.add_argument("--size-mib", type=int, default=512, help="moved for each figure (%(default)s)")
    return session.parse(parser, words, size_mib=64, rounds=1)


def main(words: Sequence[str] | None = None) -> int:
    """Compare."""
    options = parse(words)
    if lacking := tunnel_course.missing():
        return session.skip("tunnel_throughput", lacking)
    with session.opened("tunnel_throughput", options) as here, tunnel_course.loopback(here.folder / "server") as course:
        size = options.size_mib * MIB
        direct = [f"{figure.name} {rate(course, course.service, *load, size):.0f}" for figure, load in LOADS.items()]
        clients = tunnel_figures.contestants(here, SSH, GCM)
        runs = tunnel_figures.take_turns(here, clients, lambda client: measure(here, course, client))
        note = f"{options.size_mib} MiB of random data a figure. Without a tunnel, in MB/s: {', '.join(direct)}."
        tunnel_figures.publish(here, "A tunnel on loopback: throughput", runs, FIGURES, GOALS, note)
    return 0


def measure(here: Session, course: Course, client: Client) -> Found:
    """Move the data through one client, in each way."""
    found, size = dict[str, float](), here.options.size_mib * MIB
    with tunnel_course.held(course, client, here.folder / "said") as held:
        rate(course, held.port, "d", 1, WARM_MIB * MIB)
        for figure, (kind, streams) in LOADS.items():
            before_s = held.cpu_s()
            found[figure.name] = rate(course, held.port, kind, streams, size)
            if cost := COSTS.get(figure):
                found[cost.name] = (held.cpu_s() - before_s) / (size / GB)
    return found


def rate(course: Course, port: int, kind: str, streams: int, size: int) -> float:
    """Return MB/s."""
    seconds: float = course.ask("load", port, kind, size, streams)
    return size / MB / seconds


if __name__ == "__main__":
    sys.exit(main())
