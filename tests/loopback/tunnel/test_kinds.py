"""SOCKS as real clients and as rude ones speak it, and what a remote forward does when nobody is at home here."""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess
from contextlib import closing, suppress
from pathlib import Path

import pytest

from internlm_setup.tunnel.errors import NothingHere
from internlm_setup.tunnel.kinds.remote import KIND as REMOTE
from internlm_setup.tunnel.model import Endpoint, Forward, Session
from internlm_setup.tunnel.pump import Moved
from servers.openssh import Sshd, make_key, sshd
from servers.rude import black_hole, closed_port, listening
from servers.ssh_person import public
from servers.streams import ENGINES, echo, held, service, session_to

pytestmark = pytest.mark.loopback
PROXY = Forward("dynamic", Endpoint("", 0), None)
CONNECT = b"\5\1\0\5\1\0"


def talk(where: Endpoint, words: bytes) -> bytes:
    """Say something and read to the end, which is a reset where not all that was said was read."""
    said = b""
    with socket.create_connection((where.host, where.port), 20) as sock:
        with suppress(OSError):
            sock.sendall(words)
            sock.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            while data := sock.recv(65536):
                said += data
    return said


def ipv4(port: int) -> bytes:
    return b"\1" + socket.inet_aton("127.0.0.1") + struct.pack(">H", port)


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4", "socks4a"])
def test_curl(session: Session, scheme: str) -> None:
    """Every version that curl speaks, names resolved here or there."""
    with listening() as web, held(session, PROXY) as proxy:
        words = ["curl", "-sS", "--noproxy", "", "-x", f"{scheme}://127.0.0.1:{proxy.port}"]
        words.append(f"http://localhost:{web.port}/")
        said = subprocess.run(words, check=False, capture_output=True, timeout=30)
        assert (said.stdout, said.stderr) == (b"hi", b"")


def test_an_ipv6_destination(session: Session) -> None:
    """The address goes through as it is."""
    with service(echo, "::1") as there, held(session, PROXY) as proxy:
        address = b"\4" + socket.inet_pton(socket.AF_INET6, "::1") + struct.pack(">H", there.port)
        assert talk(proxy, b"\5\1\0\5\1\0" + address + b"hello")[-5:] == b"hello"


def test_a_name_is_resolved_by_the_server(session: Session) -> None:
    """What is no name there is unreachable; what cannot be one at all is no SOCKS."""
    with held(session, PROXY) as proxy:
        assert talk(proxy, CONNECT + b"\3\x0cno.such.name" + b"\0\x50")[2:4] == b"\5\4"
        assert talk(proxy, CONNECT + b"\3\1\xff" + b"\0\x50") == b"\5\0"


def test_refused(session: Session) -> None:
    """The reply code says that nothing listens."""
    with held(session, PROXY) as proxy:
        assert talk(proxy, CONNECT + ipv4(closed_port()))[2:4] == b"\5\5"
        assert talk(proxy, b"\4\1" + struct.pack(">H", closed_port()) + b"\x7f\0\0\1me\0")[:2] == b"\0\x5b"


def test_late(session: Session) -> None:
    """Nobody answers in time."""
    with black_hole() as port, held(session, PROXY, patience_s=0.2) as proxy:
        assert talk(proxy, CONNECT + ipv4(port))[2:4] == b"\5\6"


def test_prohibited(tmp_path: Path) -> None:
    """The server does not allow it."""
    with sshd(tmp_path / "sshd", "AllowTcpForwarding no") as server:
        server.authorize(public(make_key(server.folder / "key")))
        with closing(session_to(server, ENGINES["threaded"])) as session, held(session, PROXY) as proxy:
            assert talk(proxy, CONNECT + ipv4(1))[2:4] == b"\5\2"


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (b"", b""),
        (b"GET / HTTP/1.1\r\n\r\n", b""),
        (b"\5\1\2", b"\5\xff"),
        (b"\5\0", b"\5\xff"),
        (b"\5\1\0\5\2\0" + ipv4(1), b"\5\0\5\7\0\1" + bytes(6)),
        (b"\5\1\0\5\1\0\2", b"\5\0\5\x08\0\1" + bytes(6)),
        (b"\5\1\0\4\1\0" + ipv4(1), b"\5\0"),
        (b"\4\2\0\1\x7f\0\0\1\0", b"\0\x5b" + bytes(6)),
        (b"\4\1\0\1\0\0\0\1\0" + b"a" * 300, b""),
    ],
)
def test_what_is_no_socks(session: Session, words: bytes, answer: bytes) -> None:
    """Each has the answer that the protocol has for it, then an end; the proxy serves the next one."""
    with held(session, PROXY) as proxy, service(echo) as there:
        assert talk(proxy, words) == answer
        assert talk(proxy, CONNECT + ipv4(there.port) + b"on")[-2:] == b"on"


def test_nobody_at_home(server: Sshd, session: Session) -> None:
    """A connection there ends when nothing listens here, and the trouble has a name."""
    port = session.listen_there(Endpoint("", 0))
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        found = session.accept()
        assert found is not None
        bind, channel = found
        assert bind.port == port
        with pytest.raises(NothingHere):
            REMOTE.serve(channel, Forward("remote", bind, Endpoint("127.0.0.1", closed_port())), Moved())
        assert sock.recv(1) == b""
