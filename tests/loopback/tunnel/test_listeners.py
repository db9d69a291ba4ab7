"""The sockets here."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from internlm_setup.core.errors import ExitCode
from internlm_setup.tunnel.errors import CannotListen, PortBusy
from internlm_setup.tunnel.listeners import Listener
from internlm_setup.tunnel.model import Endpoint

pytestmark = pytest.mark.loopback
linux = pytest.mark.skipif(sys.platform != "linux", reason="the system shows programs and ports in /proc")


@pytest.mark.parametrize(
    ("host", "where"),
    [
        ("", {"127.0.0.1", "::1"}),
        ("localhost", {"127.0.0.1", "::1"}),
        ("*", {"0.0.0.0", "::"}),
        ("127.0.0.1", {"127.0.0.1"}),
        ("::1", {"::1"}),
    ],
)
def test_where_it_listens(host: str, where: set[str]) -> None:
    """Both families on one port unless one address is named; both can be connected to."""
    listener = Listener(Endpoint(host, 0))
    assert {each.host for each in listener.endpoints} == where
    assert {each.port for each in listener.endpoints} == {listener.port}
    for address in {"127.0.0.1" if "." in each else "::1" for each in where}:
        with socket.create_connection((address, listener.port), 20) as sock:
            found = listener.accept()
            assert found is not None
            accepted, origin = found
            with accepted:
                assert origin == Endpoint(*sock.getsockname()[:2])
                assert accepted.gettimeout() is None
    listener.close()


@linux
def test_a_busy_port_names_its_holder() -> None:
    """The program and its number are in the message."""
    code = "import socket,sys; s=socket.create_server(('127.0.0.1',0)); print(s.getsockname()[1],flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        port = int(holder.stdout.readline())
        with pytest.raises(PortBusy) as caught:
            Listener(Endpoint("", port))
        holder.communicate(b"\n")
    assert f"{Path(sys.executable).name}, pid {holder.pid}" in caught.value.message()
    assert f"（{Path(sys.executable).name}，进程 {holder.pid}）" in caught.value.message("zh")
    assert caught.value.exit_code is ExitCode.WRITE


def test_one_family_busy_is_busy() -> None:
    """Or a browser would reach the other program through `localhost`; and nothing is left open then."""
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(PortBusy):
            Listener(Endpoint("", port))
        Listener(Endpoint("127.0.0.1", port)).close()


def test_an_address_of_another_machine() -> None:
    """The system's own words say why."""
    with pytest.raises(CannotListen) as caught:
        Listener(Endpoint("192.0.2.1", 6006))
    assert caught.value.reason


def test_closing_with_and_without_somebody_waiting() -> None:
    """Both let go of the port at once; closing again does no harm."""
    for waits in (True, False):
        listener = Listener(Endpoint("", 0))
        found: list[object] = []
        waiting = threading.Thread(target=lambda: found.append(listener.accept()))  # noqa: B023
        if waits:
            waiting.start()
            while not listener._waits:
                os.sched_yield()
        listener.close()
        listener.close()
        if waits:
            waiting.join(20)
            assert found == [None]
        assert listener.accept() is None
        Listener(Endpoint("", listener.port)).close()
