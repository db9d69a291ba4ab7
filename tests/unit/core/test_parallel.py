"""The same work on many things."""

from __future__ import annotations

import threading

import pytest

from internlm_setup.core.parallel import each, within


def test_results_come_in_order() -> None:
    """Whoever is done first, the results are in the order of the items."""
    assert each(lambda n: n * n, range(50), 4) == [n * n for n in range(50)]


def test_nothing_to_do() -> None:
    """No items, no threads, no results."""
    assert each(str, [], 4) == []


def test_an_exception_may_be_a_result() -> None:
    """A returned exception is a value; only a raised one is a failure."""
    results = each(ValueError, [1], 2)
    assert [type(r) for r in results] == [ValueError]


def test_the_first_failure_is_raised_and_the_rest_not_begun() -> None:
    """A failure ends it; what nobody has begun is not begun."""
    begun: list[int] = []
    gate = threading.Event()

    def work(number: int) -> int:
        begun.append(number)
        if number:
            gate.wait(timeout=20)
            return number
        raise KeyError(number)

    with pytest.raises(KeyError):
        each(work, range(1000), 1)
    gate.set()
    assert len(begun) <= 2


def test_within() -> None:
    """What is done in time is returned, or raised."""
    assert within(20, lambda: "made") == "made"
    with pytest.raises(KeyError):
        within(20, lambda: {"here": 1}["absent"])


def test_not_within() -> None:
    """What is late is left behind."""
    gate = threading.Event()
    with pytest.raises(TimeoutError, match=r"not done within 0.01 s"):
        within(0.01, lambda: gate.wait(timeout=20))
    gate.set()
