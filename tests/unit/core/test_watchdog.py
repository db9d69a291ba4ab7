"""Hanging up on what takes too long in all, and only on that."""

from __future__ import annotations

import socket
import threading

import pytest

from internlm_setup.core.watchdog import Watchdog


def test_what_is_in_time_is_left_alone() -> None:
    """The value, the error and the socket are as they would be without it; the thread ends by itself."""
    dog = Watchdog()
    ours, its = socket.socketpair()
    with ours, its:
        with dog.watching(ours, 30):
            its.sendall(b"x")
            assert ours.recv(1) == b"x"
        with pytest.raises(ValueError, match="own"), dog.watching(ours, 30):
            raise ValueError("own")
        its.sendall(b"y")
        assert ours.recv(1) == b"y"
    for thread in threading.enumerate():
        if thread.name == "watchdog":
            thread.join(5)
            assert not thread.is_alive()


def use(sock: socket.socket, *, fails: bool) -> None:
    """Wait for what never comes."""
    assert sock.recv(1) == b""
    if fails:
        raise ValueError("cut off")


@pytest.mark.parametrize("fails", [True, False])
def test_what_takes_too_long_is_a_time_out(fails: bool) -> None:
    """A blocked read ends; whatever came of that, a time-out is told, also to a second one after a pause."""
    dog = Watchdog()
    for _ in range(2):
        ours, its = socket.socketpair()
        with ours, its, pytest.raises(TimeoutError, match="in time"), dog.watching(ours, 0.01):
            use(ours, fails=fails)
