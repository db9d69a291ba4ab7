"""Several hubs, each in a network namespace of its own behind a link of its own, and one client that reaches them all.

What comes from whom is counted at the client's network cards, so that it is the same measure for every tool.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple

import networks
from networks import SERVER_END, Namespace
from nginx_conf import Where

MBIT = 125_000
LOOK_EVERY_S = 0.02
BUSY_WINDOW_S, BUSY_SHARE = 0.2, 0.25


@dataclass(frozen=True, slots=True)
class Star:
    """The client, its hubs, and what each hub's link carries, heads included."""

    client: Namespace
    hubs: tuple[Namespace, ...]
    rates_bytes_per_s: tuple[int, ...]

    def where(self, number: int) -> Where:
        """Return the place for the `Origin` of one hub."""
        return Where(_address(number, 1), 8080, 8081, self.hubs[number].enter)

    def device(self, number: int) -> str:
        """Return the name of the client's card that leads to one hub."""
        return f"hub{number}"

    def received(self) -> tuple[networks.Received, ...]:
        """Return what each of the client's cards has taken in."""
        return tuple(self.client.received(self.device(number)) for number in range(len(self.hubs)))

    def silence(self, number: int) -> None:
        """Let every packet of a hub vanish from now on, without a word to anybody."""
        self.hubs[number].run("tc", "qdisc", "replace", "dev", SERVER_END, "root", "blackhole")

    def restore(self, number: int) -> None:
        """Let a hub's packets through again, at its rate."""
        networks.limit_rate(self.hubs[number], self.rates_bytes_per_s[number])


@contextmanager
def star(*rates_bytes_per_s: int) -> Iterator[Star]:
    """Join a client with as many hubs as there are rates."""
    with ExitStack() as stack:
        made: list[Namespace] = []
        for _ in range(len(rates_bytes_per_s) + 1):
            made.append(Namespace())
            stack.callback(made[-1].close)
        built = Star(made[0], tuple(made[1:]), rates_bytes_per_s)
        for number, hub in enumerate(built.hubs):
            networks.join(
                (hub, SERVER_END, _address(number, 1)), (built.client, built.device(number), _address(number, 2))
            )
            built.restore(number)
        yield built


def _address(number: int, end: int) -> str:
    return f"10.77.{number + 1}.{end}"


class Sample(NamedTuple):
    """How many payload bytes each hub has brought by a moment, counted from the beginning of the watch."""

    at_s: float
    came_bytes: tuple[int, ...]

    @property
    def all_bytes(self) -> int:
        """What all hubs have brought together."""
        return sum(self.came_bytes)


class Watch:
    """Looks at the client's cards while the block runs."""

    def __init__(self, network: Star) -> None:
        self.begun_s = time.monotonic()
        self.samples: list[Sample] = []
        self._star, self._before = network, network.received()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:  # noqa: PYI034  # Self needs Python 3.11
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self.samples.append(self.now())

    def now(self) -> Sample:
        """Look once."""
        came = zip(self._star.received(), self._before, strict=True)
        return Sample(time.monotonic() - self.begun_s, tuple(after.payload_since(before) for after, before in came))

    def _look(self) -> None:
        while not self._over.wait(LOOK_EVERY_S):
            self.samples.append(self.now())


def tail_s(samples: Sequence[Sample], rates_bytes_per_s: Sequence[float]) -> float:
    """Return how long the others still had to bring when the first hub had nothing more to do.

    A hub is busy while it brings at least a quarter of what its link carries, over 0.2 s; one that never was is not
    waited for.
    """
    ends = [end for number, rate in enumerate(rates_bytes_per_s) if (end := _busy_until_s(samples, number, rate))]
    return max(ends) - min(ends) if ends else 0.0


def _busy_until_s(samples: Sequence[Sample], number: int, rate_bytes_per_s: float) -> float | None:
    """Return when a hub was last busy; None when it never was."""
    last, first = None, 0
    for sample in samples:
        while sample.at_s - samples[first].at_s > BUSY_WINDOW_S:
            first += 1
        came = sample.came_bytes[number] - samples[first].came_bytes[number]
        if came >= BUSY_SHARE * rate_bytes_per_s * BUSY_WINDOW_S:
            last = sample.at_s
    return last


def speeds(samples: Sequence[Sample], number: int, every_s: float = 0.25) -> list[tuple[float, float]]:
    """Return a curve for a picture: seconds, and megabytes a second from one hub since the point before."""
    points, before = [(0.0, 0.0)], Sample(0.0, (0,) * (number + 1))
    for sample in samples:
        if (since_s := sample.at_s - before.at_s) >= every_s:
            points.append((sample.at_s, (sample.came_bytes[number] - before.came_bytes[number]) / since_s / 1e6))
            before = sample
    return points
