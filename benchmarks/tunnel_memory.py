"""How much memory does a tunnel take: after some work, and while many who asked for data do not read it?"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence

import session
import tunnel_course
import tunnel_figures
from session import Session
from tunnel_course import GCM, SSH, Client, Course
from tunnel_figures import Figure, Found, Goal

MIB, MB = 1 << 20, 1e6
STREAMS = 8
LOOK_EVERY_S = 0.1
RESIDENT = Figure("resident after work", "MB", "less")
STALLED = Figure("with stalled readers", "MB", "less")
FIGURES = (RESIDENT, STALLED)
GOALS = (Goal(RESIDENT, 70, None), Goal(STALLED, 110, None))


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = tunnel_course.parser(__doc__)
    parser.add_argument("--size-mib", type=int, default=256, help="downloaded before, twice (%(default)s)")
    parser.add_argument("--readers", type=int, default=20, help="that do not read (%(default)s)")
    parser.add_argument("--settle-s", type=float, default=5, help="how long they are watched (%(default)s)")
    return session.parse(parser, words, size_mib=64, settle_s=2, rounds=1)


def main(words: Sequence[str] | None = None) -> int:
    """Compare."""
    options = parse(words)
    if lacking := tunnel_course.missing():
        return session.skip("tunnel_memory", lacking)
    with session.opened("tunnel_memory", options) as here, tunnel_course.loopback(here.folder / "server") as course:
        clients = tunnel_figures.contestants(here, SSH, GCM)
        runs = tunnel_figures.take_turns(here, clients, lambda client: measure(here, course, client))
        note = f"The work: {options.size_mib} MiB down in one stream, and again in {STREAMS}. Then {options.readers} "
        note += f"readers ask for data without end and read none, for {options.settle_s:g} s; the most that was seen."
        tunnel_figures.publish(here, "A tunnel's memory", runs, FIGURES, GOALS, note, peer=None)
    return 0


def measure(here: Session, course: Course, client: Client) -> Found:
    """Let one client work, then let its readers stall."""
    options = here.options
    with tunnel_course.held(course, client, here.folder / "said") as held:
        for streams in (1, STREAMS):
            course.ask("load", held.port, "d", options.size_mib * MIB, streams)
        resident = held.resident_bytes()
        stall = course.role("stall", held.port, options.readers)
        readers = subprocess.Popen(stall, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
        try:
            assert readers.stdout is not None
            if readers.stdout.readline() != "stalled\n":
                raise RuntimeError("no readers")
            most, until_s = 0, time.monotonic() + options.settle_s
            while time.monotonic() < until_s:
                most = max(most, held.resident_bytes())
                time.sleep(LOOK_EVERY_S)
        finally:
            readers.communicate()
    return {RESIDENT.name: resident / MB, STALLED.name: most / MB}


if __name__ == "__main__":
    sys.exit(main())
