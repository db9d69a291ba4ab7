"""The way to a server begins before anybody waits for it, and without paramiko."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

import pytest

from internlm_setup.core.ssh import dial
from internlm_setup.core.ssh.connect_errors import HostUnknown, HostUnreachable
from internlm_setup.core.ssh.model import HostSpec
from servers.rude import closed_port

pytestmark = pytest.mark.loopback
HOST = "127.0.0.1"


def test_it_begins_before_anybody_waits() -> None:
    """With the first server on the way."""
    with socket.create_server((HOST, 0)) as server:
        server.settimeout(20)
        first = HostSpec(HOST, server.getsockname()[1])
        for spec in (first, HostSpec("behind.invalid", jumps=(first,))):
            begun = dial.begin(spec)
            with server.accept()[0] as there:
                dialled = begun()
                assert dialled is not None
                with dialled.sock as sock:
                    assert sock.getpeername() == there.getsockname()


@pytest.mark.parametrize("far", [True, False])
def test_who_takes_long_to_greet_is_far_away(monkeypatch: pytest.MonkeyPatch, far: bool) -> None:
    """And the greeting is still there for whoever reads it."""
    monkeypatch.setattr(dial, "FAR_S", 0.05 if far else 20)
    with socket.create_server((HOST, 0)) as server:
        server.settimeout(20)
        begun = dial.begin(HostSpec(HOST, server.getsockname()[1]))
        with server.accept()[0] as there:
            if far:
                time.sleep(0.2)
            there.sendall(b"SSH-2.0-x")
            dialled = begun()
            assert dialled is not None
            with dialled.sock as sock:
                assert dialled.far is far
                assert sock.recv(20) == b"SSH-2.0-x"


@pytest.mark.parametrize(
    ("spec", "error"),
    [(HostSpec(HOST, closed_port()), HostUnreachable), (HostSpec("nobody.invalid"), HostUnknown)],
)
def test_whoever_waits_hears_what_went_wrong(spec: HostSpec, error: type[Exception]) -> None:
    with pytest.raises(error):
        dial.begin(spec)()


def test_a_program_makes_its_own_connection() -> None:
    assert dial.begin(HostSpec(HOST, closed_port(), proxy_command="cat"))() is None


def test_the_engine_needs_no_paramiko_to_begin() -> None:
    words = "import sys; from internlm_setup.tunnel.engines import fast; print('paramiko' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", words], encoding="utf-8") == "False\n"
