"""The control socket of a tunnel: whom it answers, and what callers may not do to it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from internlm_setup.tunnel.records import Control, Record, held
from internlm_setup.tunnel.status import Status

pytestmark = pytest.mark.loopback
LONG = (
    "a folder whose name is too long for the path of a socket, so that the control socket is a port of loopback"
    + "." * 20
)


@pytest.fixture(params=["short", LONG], ids=["socket", "port"])
def record(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Record]:
    """A tunnel of this process, behind either kind of control socket."""
    state = tmp_path / request.param

    def stop() -> None:
        raise AssertionError("nobody may stop it")

    with closing(Control(state, lambda: STATUS, stop)):
        ((found, _),) = held(state)
        assert isinstance(found.address, int) == (request.param == LONG)
        yield found


def call(record: Record, words: bytes) -> bytes:
    with record._connected() as sock:
        sock.sendall(words)
        sock.shutdown(socket.SHUT_WR)
        try:
            return sock.recv(1)
        except ConnectionResetError:
            return b""


@pytest.mark.parametrize(
    "words",
    [b"[" * 60_000 + b"\n", b"\xff\n", b"[]\n", b'{"token": "\\ud800"}\n', b'{"token": "", "do": "stop"}\n', b""],
)
def test_callers_without_the_token(record: Record, words: bytes) -> None:
    """They hear nothing, and others are still answered."""
    assert call(record, words) == b""
    assert record.ask() == STATUS


def test_a_caller_that_never_comes_to_the_point(record: Record) -> None:
    """Others wait for it for seconds, not for as long as it likes."""
    with record._connected() as slow:
        for _ in range(12):
            try:
                slow.sendall(b" ")
            except OSError:
                break
            time.sleep(0.5)
        assert record.ask() == STATUS


STATUS = Status(1, 0.0, "me@box", "up", (), (), None, 0, 0, 0, 0, 0, (), (), ())
