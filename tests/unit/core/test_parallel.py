"""The same work on many things at once."""

from __future__ import annotations

import threading

import pytest

from internlm_setup.core.parallel import each


def test_results_in_order() -> None:
    """Results come in the order of the items, whoever was ready first."""
    second = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            second.wait(20)
        else:
            second.set()
        return item * item

    assert each(work, range(5), 2) == [0, 1, 4, 9, 16]


@pytest.mark.parametrize("threads", [0, 1, 9])
def test_nothing_to_do(threads: int) -> None:
    """No items, no threads, no results."""
    assert each(str, [], threads) == []


def test_more_threads_than_work() -> None:
    """More threads than items do no harm."""
    assert each(str, [7], 99) == ["7"]


@pytest.mark.parametrize("error", [ZeroDivisionError(), KeyboardInterrupt()])
def test_first_failure(error: BaseException) -> None:
    """The first failure is raised as it is, and what was not begun is not begun any more."""
    begun: list[int] = []

    def work(item: int) -> None:
        begun.append(item)
        raise error

    with pytest.raises(type(error)) as caught:
        each(work, range(10_000), 1)
    assert caught.value is error
    assert len(begun) < 10_000


def test_a_failure_does_not_wait_for_the_others() -> None:
    """Work that is under way when another fails is left behind."""
    over, begun = threading.Event(), threading.Event()

    def work(item: int) -> None:
        if item == 0:
            begun.set()
            over.wait(20)
        else:
            begun.wait(20)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        each(work, range(2), 2)
    assert not over.is_set()
    over.set()
