"""What is done when this process leaves, also where it leaves without waiting for its threads.

`atexit` alone is not enough: `os._exit` passes it over.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable

_TO_DO: list[Callable[[], object]] = []


def register(callback: Callable[[], object]) -> None:
    """Have something done at the end; it must not fail, and wait for no thread for long."""
    _TO_DO.append(callback)


def unregister(callback: Callable[[], object]) -> None:
    """Take that back, once it was done or is needless."""
    if callback in _TO_DO:
        _TO_DO.remove(callback)


def leave() -> None:
    """Do all of it, the last first, each once."""
    while _TO_DO:
        _TO_DO.pop()()


atexit.register(leave)
