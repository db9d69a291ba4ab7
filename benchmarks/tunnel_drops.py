"""The connection is lost: how soon does the tunnel carry requests again, and how many fail meanwhile?

Its session is killed, or frozen, or its packets are dropped for a while and then pass again. Somebody asks all the
time, each time over a new connection, and gives up on an answer after a second.
"""

from __future__ import annotations

import argparse
import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import networks
import peers
import session
import tunnel_course
import tunnel_figures
from session import Session
from tunnel_course import AUTOSSH, SSH, Client, Course
from tunnel_figures import Figure, Found, Goal, Runs

QUIET_S = 1.0
AFTERWARDS_S = 1.0
KILLED = Figure("session killed: next request", "s", "less")
KILLED_FAILED = Figure("session killed: failed requests", "", "less", drawn=False)
FROZEN = Figure("server frozen: next request", "s", "less")
FROZEN_FAILED = Figure("server frozen: failed requests", "", "less", drawn=False)
DROPPED = Figure("packets pass again: next request", "s", "less")
DROPPED_FAILED = Figure("packets dropped: failed requests", "", "less", drawn=False)
FIGURES = (KILLED, KILLED_FAILED, FROZEN, FROZEN_FAILED, DROPPED, DROPPED_FAILED)
GOALS = (Goal(KILLED, 0.1, None), Goal(KILLED_FAILED, 0, None), Goal(FROZEN, 8, None), Goal(DROPPED, 1, None))


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = tunnel_course.parser(__doc__)
    parser.add_argument("--dropped-s", type=float, default=20, help="how long packets are dropped (%(default)s)")
    parser.add_argument("--limit-s", type=float, default=20, help="then it counts as never (%(default)s)")
    parser.add_argument("--event", nargs="+", choices=sorted(EVENTS), default=list(EVENTS), help="(all)")
    return session.parse(parser, words, rounds=1, dropped_s=3, limit_s=8)


def main(words: Sequence[str] | None = None) -> int:
    """Compare."""
    options = parse(words)
    if lacking := tunnel_course.missing() or networks.missing() or peers.absent("iptables"):
        return session.skip("tunnel_drops", lacking)
    with session.opened("tunnel_drops", options) as here, tunnel_course.wired(here.folder / "wire") as course:
        clients, parts = tunnel_figures.contestants(here, SSH, AUTOSSH), list[Runs]()
        for event in options.event:
            session.tell(event)
            happens, back, failed = EVENTS[event]

            def run(client: Client, happens: Event = happens, back: Figure = back, failed: Figure = failed) -> Found:
                seconds, failures = lost(here, course, client, happens)
                return {back.name: seconds, failed.name: failures}

            parts.append(tunnel_figures.take_turns(here, clients, run))
        note = f"Between two namespaces, by a wire. Packets are dropped for {options.dropped_s:g} s. "
        note += f"Who carries nothing within {options.limit_s:g} s counts as never. "
        note += "autossh is told to begin again at once (AUTOSSH_GATETIME=0)."
        runs = tunnel_figures.merged(*parts)
        tunnel_figures.publish(here, "A tunnel that loses its connection", runs, FIGURES, GOALS, note, peer=None)
    return 0


@dataclass
class Requests:
    """Requests that are made all the time, as they end."""

    lines: Iterator[str]
    log: list[tuple[float, float, bool]] = field(default_factory=list)

    def until(self, moment_s: float) -> None:
        """Read on until one has ended after a moment."""
        while self._next()[1] < moment_s:
            pass

    def back_after(self, begun_s: float, over_s: float, limit_s: float) -> float:
        """Return how long after something was over a request was answered that began since it did; endless is never."""
        while (one := self._next())[1] < over_s + limit_s:
            if one[0] >= begun_s and one[1] >= over_s and one[2]:
                return one[1] - over_s
        return math.inf

    def failed_since(self, moment_s: float) -> int:
        """Count those that began since a moment and were not answered."""
        return sum(begun_s >= moment_s and not answered for begun_s, _, answered in self.log)

    def _next(self) -> tuple[float, float, bool]:
        begun_s, ended_s, answered = json.loads(next(self.lines))
        self.log.append((begun_s, ended_s, answered))
        return self.log[-1]


@contextmanager
def asking(course: Course, port: int) -> Iterator[Requests]:
    """Have somebody ask all the time, until the end of the block."""
    process = subprocess.Popen(course.role("requests", port), stdout=subprocess.PIPE, encoding="utf-8")
    try:
        assert process.stdout is not None
        yield Requests(process.stdout)
    finally:
        process.kill()
        process.communicate()


def lost(here: Session, course: Course, client: Client, happens: Event) -> tuple[float, int]:
    """Let something happen to one client's session.

    Returns:
        Seconds from when it is over until a request was answered that began after it had begun, and how many failed.
    """
    with tunnel_course.held(course, client, here.folder / "said") as held, asking(course, held.port) as requests:
        requests.until(time.monotonic() + QUIET_S)
        with happens(here, course) as (begun_s, over_s):
            seconds = requests.back_after(begun_s, over_s, here.options.limit_s)
            if not math.isinf(seconds):
                requests.until(time.monotonic() + AFTERWARDS_S)
        return seconds, requests.failed_since(begun_s)


@contextmanager
def killed(here: Session, course: Course) -> Iterator[Moments]:
    """Kill whatever serves the session."""
    del here
    begun_s = tunnel_course.send(signal.SIGKILL, tunnel_course.serving(course))
    yield begun_s, begun_s


@contextmanager
def frozen(here: Session, course: Course) -> Iterator[Moments]:
    """Stop whatever serves the session, without a word to anybody; end it afterwards."""
    del here
    stopped = tunnel_course.serving(course)
    begun_s = tunnel_course.send(signal.SIGSTOP, stopped)
    try:
        yield begun_s, begun_s
    finally:
        tunnel_course.send(signal.SIGKILL, stopped)


@contextmanager
def dropped(here: Session, course: Course) -> Iterator[Moments]:
    """Drop every packet for a while; it is over when they pass again."""
    assert course.network is not None
    client = course.network.client
    rules = [(chain, option, networks.CLIENT_END) for chain, option in (("INPUT", "-i"), ("OUTPUT", "-o"))]
    begun_s = time.monotonic()
    for chain, option, device in rules:
        client.run("iptables", "-A", chain, option, device, "-j", "DROP")
    time.sleep(here.options.dropped_s)
    for chain, option, device in rules:
        client.run("iptables", "-D", chain, option, device, "-j", "DROP")
    yield begun_s, time.monotonic()


Moments = tuple[float, float]
"""When it began and when it was over."""
Event = Callable[[Session, Course], AbstractContextManager[Moments]]
EVENTS: Mapping[str, tuple[Event, Figure, Figure]] = {
    "killed": (killed, KILLED, KILLED_FAILED),
    "frozen": (frozen, FROZEN, FROZEN_FAILED),
    "dropped": (dropped, DROPPED, DROPPED_FAILED),
}

if __name__ == "__main__":
    sys.exit(main())
