"""Signals become exceptions inside the block, and nothing changes outside it."""

from __future__ import annotations

import signal
import sys
import threading

import pytest

from internlm_setup.cli.language import NO_LOCALE
from internlm_setup.cli.signals import Interrupted, raising

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


def test_a_signal_is_raised_and_the_handler_put_back() -> None:
    """The exception knows the signal, its name and the exit code."""
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted) as caught, raising():
        signal.raise_signal(signal.SIGTERM)
    assert (caught.value.exit_code, caught.value.name) == (143, "SIGTERM")
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_that_was_off_stays_off() -> None:
    """`nohup` keeps its meaning."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with raising():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_outside_the_main_thread() -> None:
    """A thread may run the block; it changes no handler."""
    seen = []

    def work() -> None:
        with raising():
            seen.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_the_offer_of_chinese_is_one_line() -> None:
    """It fits eighty columns."""
    from internlm_setup.cli.help import width_of

    assert width_of(NO_LOCALE) <= 80
