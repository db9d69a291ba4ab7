"""One speed limit for all connections together."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from fakes import StillClock
from internlm_setup.fetch.transfer.rate import RateLimit

RUN = threading.Event()
START_S = 1_000_000.0


def test_no_limit() -> None:
    """Without a limit nobody waits."""
    clock = StillClock()
    RateLimit(None, clock).take(10**12, RUN)
    assert clock.waits == []


@given(st.lists(st.integers(1, 1 << 20), min_size=1, max_size=30), st.integers(1, 1 << 22))
def test_never_faster_than_the_limit(blocks: list[int], rate: int) -> None:
    """However the bytes are cut, they take as long as the limit says, less a tenth of a second at the start."""
    clock = StillClock()
    limit = RateLimit(rate, clock)
    for block in blocks:
        limit.take(block, RUN)
    spent_s = clock.seconds - START_S
    assert spent_s >= sum(blocks) / rate - 0.1 - 1e-6 * len(blocks)
    assert spent_s <= sum(blocks) / rate + 1e-6 * len(blocks)


def test_idle_time_is_not_saved_up() -> None:
    """After a pause the limit holds as before: there is no burst to make up for it."""
    clock = StillClock()
    limit = RateLimit(1000, clock)
    limit.take(1000, RUN)
    clock.seconds += 3600
    clock.waits.clear()
    limit.take(1000, RUN)
    limit.take(1000, RUN)
    assert sum(clock.waits) > 1.8


def test_cancelled_while_waiting() -> None:
    """The run's own cancellation ends the wait."""
    clock = StillClock()
    handed: list[threading.Event] = []

    class Watching(StillClock):
        def wait(self, seconds: float, cancelled: threading.Event) -> bool:
            handed.append(cancelled)
            return super().wait(seconds, cancelled)

    RateLimit(1, Watching()).take(100, RUN)
    assert handed == [RUN]
    assert clock.waits == []
