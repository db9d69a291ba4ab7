"""The same small work on many things at once, in threads that never keep a stopped program waiting."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from queue import SimpleQueue as _Queue
from typing import NoReturn, TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each(work: Callable[[Item], Made], items: Iterable[Item], threads: int) -> list[Made]:
    """Return `work(item)` for every item, in order.

    Raises:
        BaseException: The first failure of any item, or whatever interrupts the caller; the threads are daemons and
            are left behind then.
    """
    todo: _Queue[tuple[int, Item]] = queue.SimpleQueue()
    done: _Queue[Callable[[], tuple[int, Made]]] = queue.SimpleQueue()
    for numbered in enumerate(items):
        todo.put(numbered)
    count = todo.qsize()
    for _ in range(min(threads, count)):
        threading.Thread(target=_empty, args=(todo, done, work), daemon=True).start()
    made: dict[int, Made] = {}
    try:
        while len(made) < count:
            number, value = done.get()()
            made[number] = value
    finally:
        for _ in _taken(todo):  # what is left is not begun; the threads then end by themselves
            pass
    return [made[number] for number in range(count)]


def within(patience_s: float, work: Callable[[], Made]) -> Made:
    """Return what the work makes, or stop waiting for it; its thread is a daemon and is left behind then.

    Raises:
        TimeoutError: It is not done in time.
        BaseException: Whatever the work raises.
    """
    todo: _Queue[tuple[int, None]] = queue.SimpleQueue()
    done: _Queue[Callable[[], tuple[int, Made]]] = queue.SimpleQueue()
    todo.put((0, None))
    threading.Thread(target=_empty, args=(todo, done, lambda _: work()), daemon=True).start()
    try:
        taken = done.get(timeout=patience_s)
    except queue.Empty:
        raise TimeoutError(f"not done within {patience_s} s") from None
    return taken()[1]


def _taken(todo: _Queue[Item]) -> Iterator[Item]:
    """Yield what is in a queue until it is empty."""
    while True:
        try:
            yield todo.get_nowait()
        except queue.Empty:
            return


def _empty(
    todo: _Queue[tuple[int, Item]], done: _Queue[Callable[[], tuple[int, Made]]], work: Callable[[Item], Made]
) -> None:
    for number, item in _taken(todo):
        try:
            value = work(item)
        except BaseException as error:  # noqa: BLE001  # raised again where it is taken
            done.put(partial(_fail, error))
        else:
            done.put(partial(_give, number, value))


def _give(number: int, value: Made) -> tuple[int, Made]:
    return number, value


def _fail(error: BaseException) -> NoReturn:
    raise error
