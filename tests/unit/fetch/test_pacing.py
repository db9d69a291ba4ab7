"""How often a hub is asked, against hubs that limit requests in different ways; time is played, not waited for."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from internlm_setup.fetch.transfer.pacing import FIRST_WAIT_S, LONGEST_WAIT_S, Gate

Limit = Callable[[float], float | None]
"""Given the time, None when it answers, else how long it asks to wait: -1 when it does not say."""


@dataclass
class Bucket:
    """Holds so many questions, and gets new ones at a rate: nginx's `limit_req`."""

    rate: float
    burst: float
    asks: float
    left: float = field(default=0.0, init=False)
    at_s: float = 0.0

    def __call__(self, now_s: float) -> float | None:
        self.left, self.at_s = min(self.burst, self.left + (now_s - self.at_s) * self.rate), now_s
        if self.left < 1:
            return self.asks
        self.left -= 1
        return None


@dataclass
class Window:
    """So many questions from one moment to the next, as Hugging Face counts."""

    rate: float
    length_s: float
    number: int = -1
    asked: int = 0

    def __call__(self, now_s: float) -> float | None:
        if int(now_s // self.length_s) != self.number:
            self.number, self.asked = int(now_s // self.length_s), 0
        self.asked += 1
        return None if self.asked <= self.rate * self.length_s else math.ceil(self.length_s - now_s % self.length_s)


@dataclass
class Sliding:
    """So many questions in any second."""

    rate: float
    asks: float
    asked: deque[float] = field(default_factory=deque)

    def __call__(self, now_s: float) -> float | None:
        while self.asked and self.asked[0] <= now_s - 1:
            self.asked.popleft()
        if len(self.asked) >= self.rate:
            return self.asks
        self.asked.append(now_s)
        return None


def play(limit: Limit, seconds: float, workers: int = 8, latency_s: float = 0.02) -> tuple[int, int, Gate]:
    """Ask as fast as the gate lets us; return answers, refusals and the gate."""
    gate, now_s, free, answers, refusals = Gate(), 0.0, workers, 0, 0
    out: list[tuple[float, int, float, float | None]] = []
    number = 0
    while now_s < seconds:
        while free and gate.opens_in_s(now_s) <= 1e-9:
            gate.take(now_s)
            free, number = free - 1, number + 1
            heapq.heappush(out, (now_s + latency_s, number, now_s, limit(now_s + latency_s / 2)))
        wake_s = now_s + gate.opens_in_s(now_s) + 0.002 if free else math.inf  # a thread wakes a little late
        if out and out[0][0] <= wake_s:
            now_s, _, asked_s, refusal = heapq.heappop(out)
            free += 1
            if refusal is None:
                answers += 1
                gate.answered(now_s)
            else:
                refusals += 1
                gate.refused(asked_s, now_s, None if refusal < 0 else refusal)
        else:
            now_s = wake_s
    return answers, refusals, gate


@pytest.mark.parametrize(
    "limit",
    [
        Bucket(50, 10, 1),
        Bucket(50, 10, -1),
        Bucket(50, 50, 1),
        Window(50, 1),
        Window(50, 10),
        Sliding(50, 1),
        Sliding(50, -1),
    ],
)
def test_nearly_all_that_is_allowed(limit: Limit) -> None:
    """Over 20,000 questions at 50 a second, however the hub counts and whatever it says: 0.9 of them, and no storm."""
    answers, refusals, _ = play(limit, 400)
    assert answers >= 0.9 * 50 * 400
    assert refusals <= 0.02 * answers


@settings(max_examples=25, deadline=None)
@given(st.floats(10, 120), st.sampled_from([1.0, 3.0]), st.floats(0.002, 0.06), st.sampled_from([1.0, -1.0]))
def test_any_limit(rate: float, burst_s: float, latency_s: float, asks: float) -> None:
    """Whatever the limit, most of it is used in the end, and few questions are refused."""
    answers, refusals, gate = play(Bucket(rate, max(2.0, burst_s * rate), asks), 300, latency_s=latency_s)
    assert answers >= 0.8 * rate * 300
    assert refusals <= 0.08 * answers
    assert gate.rate_per_s is not None


def test_no_limit() -> None:
    """Who is never refused waits for nothing."""
    answers, _, gate = play(lambda _: None, 10)
    assert answers >= 8 * 10 / 0.02 - 8
    assert gate.rate_per_s is None


def test_a_wait_is_honoured() -> None:
    """Nothing goes out before the time that the hub named; a shorter one does not end a longer one."""
    gate = Gate()
    for wait_s in (60.0, 0.0, 5.0):
        gate.refused(10.0, 10.0, wait_s)
    assert [gate.opens_in_s(at_s) for at_s in (10.0, 40.0, 70.0)] == [60.0, 30.0, 0.0]
    assert gate.refusals == 1


def test_waits_of_our_own_grow() -> None:
    """A hub that refuses without a word is asked ever more seldom, until it answers."""
    gate, now_s, waits = Gate(), 0.0, []
    for _ in range(9):
        gate.refused(now_s, now_s, None)
        waits.append(gate.opens_in_s(now_s))
        now_s += waits[-1] + 0.1
    assert waits[:3] == pytest.approx([FIRST_WAIT_S, 2 * FIRST_WAIT_S, 4 * FIRST_WAIT_S])
    assert waits[-1] == pytest.approx(LONGEST_WAIT_S)
    assert gate.refusals == 9
    gate.answered(now_s)
    assert gate.refusals == 0


def test_a_limit_that_is_lifted() -> None:
    """A hub that allows more later is asked more often later."""
    stingy, generous = Bucket(20, 20, 1), Bucket(200, 20, 1)
    answers, _, gate = play(lambda now_s: (stingy if now_s < 60 else generous)(now_s), 400)
    assert answers >= 0.5 * 200 * 340
    assert gate.rate_per_s is not None
    assert gate.rate_per_s > 100


def test_a_pause_of_ours_is_no_limit() -> None:
    """Few answers because nothing was asked say nothing about what is allowed."""
    gate = Gate()
    gate.refused(0.0, 0.0, None)
    for now_s in (1.0, 30.0, *(30 + n / 100 for n in range(1, 30))):
        gate.answered(now_s)
    gate.refused(30.4, 30.5, None)
    assert gate.rate_per_s is None
