"""How long we wait: what a server asks for, and our own back-off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internlm_setup.core.retry import FIRST_WAIT_S, LONGEST_WAIT_S, Busy, asked_wait_s, backoff_s

NOW = 1_794_000_000.0  # Fri, 06 Nov 2026 21:20:00 GMT


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": " 120 "}, 120.0),
        ({"retry-after": "Fri, 06 Nov 2026 21:20:30 GMT"}, 30.0),
        ({"retry-after": "Fri, 06 Nov 2026 20:20:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "²"}, None),
        ({"ratelimit": '"api";r=0;t=42'}, 42.0),
        ({"ratelimit": '"pages";r=12;t=10, "api";r=0; t=7'}, 7.0),
        ({"ratelimit": '"api";r=3;t=42'}, None),
        ({"ratelimit": '"api";r=0'}, None),
        ({"retry-after": "3", "ratelimit": '"api";r=0;t=42'}, 3.0),
    ],
)
def test_asked_wait(headers: dict[str, str], expected: float | None) -> None:
    """Seconds, a date or an exhausted rate limit say how long; anything else says nothing."""
    assert asked_wait_s(headers, NOW) == expected


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_header_is_survived(retry_after: str, ratelimit: str) -> None:
    """Whatever a server writes there, the answer is a wait that is not negative, or none."""
    wait_s = asked_wait_s({"retry-after": retry_after, "ratelimit": ratelimit}, NOW)
    assert wait_s is None or wait_s >= 0


@given(
    st.sampled_from(["Fri, ", ""]), st.integers(0, 99), st.integers(0, 99999), st.text("+-0123456789GMT", max_size=8)
)
def test_any_date_is_survived(day: str, number: int, year: int, zone: str) -> None:
    """Dates that no calendar has are as good as no date."""
    wait_s = asked_wait_s({"retry-after": f"{day}{number} Nov {year} 20:20:00 {zone}"}, NOW)
    assert wait_s is None or wait_s >= 0


@pytest.mark.parametrize(
    ("attempt", "jitter", "expected"),
    [
        (1, 0.0, 0.5),
        (2, 0.0, 1.0),
        (3, 0.0, 2.0),
        (6, 0.0, 15.0),
        (60, 0.0, 15.0),
        (1, 1.0, 0.25),
        (60, 1.0, 7.5),
    ],
)
def test_backoff(attempt: int, jitter: float, expected: float) -> None:
    """Waits double up to 15 s; chance takes away up to a half."""
    assert backoff_s(attempt, jitter=jitter) == expected


@given(st.integers(1, 100))
def test_backoff_by_chance(attempt: int) -> None:
    """By chance the wait stays between a half and the whole of its longest."""
    longest_s = backoff_s(attempt, jitter=0.0)
    assert FIRST_WAIT_S <= longest_s <= LONGEST_WAIT_S
    assert longest_s / 2 <= backoff_s(attempt) <= longest_s


def test_busy_carries_the_wait() -> None:
    """What an SDK's layer raises for a busy server says its status and how long we were asked to wait."""
    busy = Busy(429, {"retry-after": "9"}, NOW)
    assert (busy.status, busy.wait_s) == (429, 9.0)
