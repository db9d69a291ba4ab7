"""Ctrl-C, `kill` and a closed terminal end a run the same way: by an exception, in good order."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import typer

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
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {}
    if threading.current_thread() is threading.main_thread():
        for name in _NAMES:
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextlib.contextmanager
def raising() -> Iterator[None]:
    """Turn the signals that end a run into `Interrupted` inside the block.

    A signal that whoever started us had switched off (`nohup`, a background job of sh) stays off.
    Outside the main thread, where Python allows no handlers, this does nothing.
    """
    with _handled_by(_raise):
        yield


@contextlib.contextmanager
def ended_by_ctrl_c() -> Iterator[None]:
    """Run what a person ends by Ctrl-C: that is no error, though the exit code tells it as everywhere."""
    try:
        yield
    except Interrupted as stop:
        if stop.number != signal.SIGINT:
            raise
        raise typer.Exit(stop.exit_code) from None


@contextlib.contextmanager
def left_to(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """Leave ending to a child that shares our terminal: Ctrl-C reaches it by itself, the rest is passed on."""

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGINT:
            child.send_signal(number)

    with _handled_by(pass_on):
        yield
