"""What is left of a tunnel over a long or a slow way: one download, pings beside a download, and text?

Two ways are tried. The relay of `tunnel_relay.py` delays bytes and does nothing else, so that only windows count. The
link of `netlink.py` carries packets between two namespaces, where TCP's congestion control and its buffers have their
say.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import netlink
import rounds
import session
import tunnel_course
import tunnel_ends
import tunnel_figures
from session import Session
from tunnel_course import COMPRESSED, GCM, SSH, Client, Course
from tunnel_figures import Figure, Found, Goal, Runs

MIB, MB = 1 << 20, 1e6
BUFFER_BYTES = 64 << 20
SETTLE_S = 3.0
RELAY, LINK, SYSTEM = "relay", "link", "link with the system's buffers"
NEAR_S, FAR_S = 0.05, 0.2
SIZES_MIB = {(RELAY, NEAR_S): 256, (RELAY, FAR_S): 128, (LINK, NEAR_S): 256, (LINK, FAR_S): 128}
SIZES_MIB |= {(SYSTEM, NEAR_S): 64, (SYSTEM, FAR_S): 64}
DOWNLOADS = {leg: Figure(f"{leg[1] * 1000:.0f} ms, {leg[0]}", "MB/s") for leg in SIZES_MIB}
PINGS = {
    way: (
        Figure(f"ping p50, {way}", "ms", "less"),
        Figure(f"ping p99, {way}", "ms", "less"),
        Figure(f"the download meanwhile, {way}", "MB/s"),
    )
    for way in (RELAY, LINK)
}
TEXT = Figure("text over 2 MB/s", "MB/s")
TEXT_AGAIN = Figure("text over 2 MB/s, again", "MB/s")


@dataclass(frozen=True, slots=True)
class Question:
    """One section of the results: what is measured, and what is wanted."""

    title: str
    figures: Sequence[Figure]
    goals: Sequence[Goal]
    ask: Callable[[Session], tuple[Runs, str]]


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = tunnel_course.parser(__doc__)
    parser.add_argument("--question", nargs="+", choices=sorted(QUESTIONS), default=list(QUESTIONS), help="(all)")
    parser.add_argument("--share", type=float, default=1.0, help="of the usual sizes and times (%(default)s)")
    parser.add_argument("--congestion", metavar="NAME", default="bbr", help="on the link (%(default)s)")
    return session.parse(parser, words, share=0.05, rounds=1)


def main(words: Sequence[str] | None = None) -> int:
    """Answer the questions, each in a section of its own."""
    options = parse(words)
    if lacking := tunnel_course.missing():
        return session.skip("tunnel_distance", lacking)
    with session.opened("tunnel_distance", options) as here:
        for name in options.question:
            question = QUESTIONS[name]
            runs, note = question.ask(here)
            section = replace(here, name=f"{here.name}_{name}")
            tunnel_figures.publish(section, question.title, runs, question.figures, question.goals, note)
    return 0


def download(here: Session) -> tuple[Runs, str]:
    """Download random data over each way and distance."""
    clients, parts = tunnel_figures.contestants(here, SSH, GCM), list[Runs]()
    for (way, round_trip_s), size_mib in SIZES_MIB.items():
        figure, size = DOWNLOADS[way, round_trip_s], int(size_mib * MIB * here.options.share)
        with over(here, way, round_trip_s) as course:
            if course is not None:
                parts.append(_turns(here, course, clients, partial(_load, figure=figure, kind="d", size=size)))
    sizes = ", ".join(f"{size} MiB over {DOWNLOADS[leg].name}" for leg, size in SIZES_MIB.items())
    limits = f"{_limit('tcp_wmem')} of sending, {_limit('tcp_rmem')} of receiving"
    buffers = f"On the link TCP may have {BUFFER_BYTES // MIB} MiB under way, or what the system allows: {limits}. "
    buffers += f"It sends by {here.options.congestion}, in packets of {tunnel_course.LONG_BYTES} bytes. "
    buffers += "The relay ends both connections, on loopback."
    return tunnel_figures.merged(*parts), f"One stream of random data: {sizes}.\n{buffers}"


def ping(here: Session) -> tuple[Runs, str]:
    """Ping beside a download that fills a slow link."""
    clients, parts = tunnel_figures.contestants(here, SSH, GCM), list[Runs]()
    rate, seconds = 12.5 * MB, 15.0 * here.options.share

    def measure(course: Course, port: int, way: str) -> Found:
        found = course.ask("pings_under_load", port, SETTLE_S, seconds)
        middle, worst, meanwhile = PINGS[way]
        return {
            middle.name: rounds.percentile(found["pings"], 50) * 1000,
            worst.name: rounds.percentile(found["pings"], 99) * 1000,
            meanwhile.name: found["bytes_per_s"] / MB,
        }

    for way in PINGS:
        with over(here, way, NEAR_S, rate) as course:
            if course is not None:
                parts.append(_turns(here, course, clients, partial(measure, way=way)))
    note = f"12.5 MB/s and a round trip of 50 ms. Pings for {seconds:g} s, {SETTLE_S:g} s after the download began. "
    note += f"The link sends by {here.options.congestion}, and its queue holds what one round trip brings."
    return tunnel_figures.merged(*parts), note


def text(here: Session) -> tuple[Runs, str]:
    """Download text over a slow way, with whatever compression a client decides on, and once more."""
    clients = tunnel_figures.contestants(here, SSH, COMPRESSED)
    size, prose = int(32 * MIB * here.options.share), tunnel_ends.prose()

    def measure(course: Course, port: int) -> Found:
        first, again = (_load(course, port, figure, "t", size) for figure in (TEXT, TEXT_AGAIN))
        return {**first, **again}

    with over(here, RELAY, NEAR_S, 2 * MB) as course:
        assert course is not None
        runs = _turns(here, course, clients, measure)
    share = len(zlib.compress(prose)) / len(prose)
    note = f"{size / MIB:.3g} MiB of text that zlib makes {share:.2f} of, over the relay with a round trip of 50 ms; "
    return runs, note + "the first that goes through the tunnel, and the same again."


@contextmanager
def over(here: Session, way: str, round_trip_s: float, bytes_per_s: float = 0.0) -> Iterator[Course | None]:
    """Have a way; None, and a word about it, where this machine cannot make it."""
    folder = here.folder / "course"
    session.tell(f"over {way}, {round_trip_s * 1000:.0f} ms")
    session.empty(folder)
    if way == RELAY:
        with (
            tunnel_course.loopback(folder / "near") as near,
            tunnel_course.relayed(near, round_trip_s, bytes_per_s) as far,
        ):
            yield far
    elif lacking := netlink.missing():
        session.tell(f"skipped: {lacking}")
        yield None
    else:
        buffer_bytes = 0 if way == SYSTEM or bytes_per_s else BUFFER_BYTES
        congestion = here.options.congestion
        with tunnel_course.far(folder / "far", round_trip_s, bytes_per_s, congestion, buffer_bytes) as far:
            yield far


def _turns(here: Session, course: Course, clients: Sequence[Client], measure: Callable[[Course, int], Found]) -> Runs:
    def run(client: Client) -> Found:
        with tunnel_course.held(course, client, here.folder / "said") as held:
            return measure(course, held.port)

    return tunnel_figures.take_turns(here, clients, run)


def _load(course: Course, port: int, figure: Figure, kind: str, size: int) -> Found:
    return {figure.name: size / MB / course.ask("load", port, kind, size)}


def _limit(name: str) -> str:
    most = int(Path("/proc/sys/net/ipv4", name).read_text(encoding="utf-8").split()[2])
    return f"{most // MIB} MiB"


QUESTIONS = {
    "download": Question(
        "A tunnel over a long way: one download",
        list(DOWNLOADS.values()),
        [Goal(figure, 4) for leg, figure in DOWNLOADS.items() if leg[0] != SYSTEM],
        download,
    ),
    "ping": Question(
        "A tunnel over a slow way: pings beside a download",
        [figure for three in PINGS.values() for figure in three],
        [Goal(figure, 1) for middle, worst, _ in PINGS.values() for figure in (middle, worst)],
        ping,
    ),
    "text": Question(
        "A tunnel over a slow way: text", [TEXT, TEXT_AGAIN], [Goal(TEXT, 3.5), Goal(TEXT_AGAIN, 3.5)], text
    ),
}

if __name__ == "__main__":
    sys.exit(main())
