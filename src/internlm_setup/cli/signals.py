"""Ctrl-C, `kill` and a closed terminal end a run the same way: by an exception, in good order."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


class Interrupted(KeyboardInterrupt):
    """A signal asked us to stop. Raised in the main thread, wherever it is."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def exit_code(self) -> int:
        """What a shell would say of a program that the signal ended."""
        return 128 + self.number

    @property
    def name(self) -> str:
        """`Ctrl-C`, or the signal's name."""
        return "Ctrl-C" if self.number == signal.SIGINT else signal.Signals(self.number).name


def _raise(number: int, _frame: FrameType | None) -> None:
    raise Interrupted(number)


@contextlib.contextmanager
def raising() -> Iterator[None]:
    """Turn the signals that end a run into `Interrupted` inside the block.

    A signal that whoever started us had switched off (`nohup`, a background job of sh) stays off.
    Outside the main thread, where Python allows no handlers, this does nothing.
    """
    before = {}
    if threading.current_thread() is threading.main_thread():
        for name in _NAMES:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, _raise)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
