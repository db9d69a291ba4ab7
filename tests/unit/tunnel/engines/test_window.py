"""How much the peer may send ahead, without a peer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internlm_setup.tunnel.engines._fast.codec import BadPacket
from internlm_setup.tunnel.engines._fast.window import LEAST_BYTES, MOST_BYTES, Window

MIB = 1 << 20
START = 2 * MIB


@pytest.mark.parametrize(
    ("rate", "rtt_s", "expected"),
    [
        (12.5e6, 0.05, 2 * 12.5e6 * 0.05),
        (50e6, 0.2, 2 * 50e6 * 0.2),
        (400e6, 0.0003, LEAST_BYTES),
        (1e9, 0.5, MOST_BYTES),
        (20e6, None, START),
    ],
)
def test_it_follows_what_is_under_way(rate: float, rtt_s: float | None, expected: float) -> None:
    """Twice rate times round trip, within its bounds; as it began while no round trip is known."""
    window = Window(START, 1 << 40, 0.0)
    for number in range(1, 1000):
        window.passed(int(rate * 0.01), number * 0.01, rtt_s)
    assert window.size_bytes == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("bursts", [(0.7, 1.0, 1.3), (0.3, 1.7), (1.0, 0.1, 1.9)])
def test_bursts_on_a_steady_line_are_no_growth(bursts: tuple[float, ...]) -> None:
    """Rounds that are smaller and larger in turn bring no window for twice the rate."""
    window, way_bytes, now_s = Window(START, 1 << 40, 0.0), 2 * MIB, 0.0
    sizes = [window.size_bytes]
    for number in range(200):
        now_s = _round(window, int(bursts[number % len(bursts)] * way_bytes), now_s, 1 / 16)
        sizes.append(window.size_bytes)
    assert max(sizes[50:]) <= 2.2 * max(bursts) * way_bytes


@pytest.mark.parametrize("rtt_s", [1 / 16, 1 / 4])
def test_it_opens_up_to_a_fast_line(rtt_s: float) -> None:
    """A line that takes more than the window is filled within a few round trips, and again after slow ones."""
    window, way_bytes, held_back, now_s = Window(START, 1 << 40, 0.0), 16 * MIB, MIB // 4, 0.0
    for rounds, most_bytes in ((1, held_back), (8, way_bytes), (100, held_back), (8, way_bytes)):
        for _ in range(rounds):
            now_s = _round(window, min(window.size_bytes, most_bytes), now_s, rtt_s)
        assert window.size_bytes >= most_bytes


def _round(window: Window, size: int, now_s: float, rtt_s: float) -> float:
    """Have so much pass during a round trip; returns its end."""
    for part in range(1, 9):
        window.passed(size // 8, now_s + part / 8 * rtt_s, rtt_s)
    return now_s + rtt_s


@given(
    st.lists(st.tuples(st.integers(0, 1 << 19), st.integers(0, 1 << 19), st.floats(0, 1)), max_size=60),
    st.sampled_from([None, 0.0001, 0.05, 0.3]),
)
def test_what_is_held_and_what_may_come_stay_within_the_window(
    steps: list[tuple[int, int, float]], rtt_s: float | None
) -> None:
    """However unevenly it comes and goes, credit never makes it more than the window of that moment."""
    window = Window(START, START, 0.0)
    allowed, held, now_s = START, 0, 0.0
    for most_in, most_out, pause_s in steps:
        come, now_s = min(most_in, allowed), now_s + pause_s
        window.came(come)
        allowed, held = allowed - come, held + come
        go = min(most_out, held)
        held -= go
        window.passed(go, now_s, rtt_s)
        more = window.credit(held)
        assert more >= 0
        allowed += more
        assert not more or allowed + held <= window.size_bytes
        assert LEAST_BYTES <= window.size_bytes <= MOST_BYTES


def test_more_than_is_allowed() -> None:
    """One byte too many is one too many."""
    window = Window(START, START, 0.0)
    window.came(START)
    with pytest.raises(BadPacket):
        window.came(1)


def test_a_slow_reader_gets_a_small_window() -> None:
    """What a program does not take is not let in ahead of it."""
    window = Window(64 * MIB, 1 << 40, 0.0)
    for number in range(1, 200):
        window.passed(100_000, number * 0.1, 0.05)
    assert window.size_bytes < 2 * MIB
