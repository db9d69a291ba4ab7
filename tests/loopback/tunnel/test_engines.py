"""Every engine against the real OpenSSH server: no byte is lost, and every end comes through."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest

from internlm_setup.tunnel.errors import (
    CannotListenThere,
    DestinationSilent,
    ForwardingProhibited,
    NothingListens,
)
from internlm_setup.tunnel.model import Endpoint, Engine, Forward, Session
from servers.openssh import Sshd, make_key, sshd
from servers.rude import black_hole, closed_port
from servers.ssh_person import public
from servers.streams import (
    BLOCK,
    ask,
    digest_at_end,
    digest_of,
    echo,
    expected_digest,
    held,
    held_there,
    local,
    service,
    session_to,
    source,
    write_until_full,
)

pytestmark = pytest.mark.loopback
LARGE = 64 << 20
HERE = Endpoint("127.0.0.1", 0)


def download(where: Endpoint) -> bytes:
    """Return the hash of what a source sends."""
    with socket.create_connection((where.host, where.port), 30) as sock:
        return digest_of(sock)


def upload(where: Endpoint, size: int) -> bytes:
    """Send what `source` sends, end our direction, and return the answer."""
    with socket.create_connection((where.host, where.port), 30) as sock:
        source(size)(sock)
        sock.shutdown(socket.SHUT_WR)
        return sock.recv(64, socket.MSG_WAITALL)


def test_a_large_download(session: Session) -> None:
    """64 MiB arrive as they were sent, and so does their end."""
    with service(source(LARGE)) as there, held(session, local(there)) as here:
        assert download(here) == expected_digest(LARGE)


def test_a_large_upload(session: Session) -> None:
    """64 MiB are there before our end of the stream is, and the answer still comes back."""
    with service(digest_at_end) as there, held(session, local(there)) as here:
        assert upload(here, LARGE) == expected_digest(LARGE)


def test_eight_streams_at_once(session: Session) -> None:
    """Downloads and uploads do not mix."""
    size = 8 << 20
    with (
        service(source(size)) as tap,
        service(digest_at_end) as sink,
        held(session, local(tap)) as down,
        held(session, local(sink)) as up,
        ThreadPoolExecutor(8) as threads,
    ):
        found = [threads.submit(download, down) for _ in range(4)]
        found += [threads.submit(upload, up, size) for _ in range(4)]
        assert {each.result() for each in found} == {expected_digest(size)}


def test_the_server_ends_first_and_still_hears_us(server: Sshd, own_engine: Engine) -> None:
    """After the end of the server's stream ours goes on; ssh's control socket ends both at once, as `-W` does."""
    heard: list[bytes] = []
    done = threading.Event()

    def handle(sock: socket.socket) -> None:
        sock.shutdown(socket.SHUT_WR)
        heard.append(digest_of(sock))
        done.set()

    with (
        closing(session_to(server, own_engine)) as session,
        service(handle) as there,
        held(session, local(there)) as here,
    ):
        with socket.create_connection((here.host, here.port), 20) as sock:
            assert sock.recv(1) == b""
            source(1 << 20)(sock)
        assert done.wait(20)
    assert heard == [expected_digest(1 << 20)]


def test_a_reader_that_stalls_holds_up_the_sender_and_nobody_else(session: Session) -> None:
    """What is under way to it is bounded; other streams go on; and when it reads, all is there."""
    sent = 0

    def handle(sock: socket.socket) -> None:
        nonlocal sent
        while sent < LARGE:
            sock.sendall(BLOCK)
            sent += len(BLOCK)

    with (
        service(handle) as there,
        service(echo) as other,
        held(session, local(there)) as here,
        held(session, local(other)) as lively,
        socket.create_connection((here.host, here.port), 20) as stalled,
    ):
        before = -1
        while before != sent:
            before = sent
            assert ask(lively, BLOCK * 16) == BLOCK * 16
        assert sent < LARGE // 2
        assert digest_of(stalled) == expected_digest(LARGE)


def test_a_service_that_stalls_holds_up_the_program_here(session: Session) -> None:
    """The same upwards."""
    go = threading.Event()
    heard: list[bytes] = []

    def handle(sock: socket.socket) -> None:
        go.wait(20)
        heard.append(digest_of(sock))
        sock.sendall(b"!")

    with (
        service(handle) as there,
        held(session, local(there)) as here,
        socket.create_connection((here.host, here.port), 20) as sock,
    ):
        sent = write_until_full(sock)
        assert sent < LARGE
        go.set()
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b"!"
    assert heard == [expected_digest(sent)]


def test_an_ipv6_service(session: Session) -> None:
    """Addresses of both families lead there, and from here."""
    with service(echo, "::1") as there, held(session, Forward("local", Endpoint("::1", 0), there)) as here:
        assert here.host == "::1"
        assert ask(here, b"hello") == b"hello"


def test_nothing_listens(session: Session) -> None:
    """The server's own words say why; the session lives on."""
    port = closed_port()
    with pytest.raises(NothingListens) as caught:
        session.open_channel(Endpoint("127.0.0.1", port), HERE, 10)
    assert "refused" in caught.value.words
    with service(echo) as there, held(session, local(there)) as here:
        assert ask(here, b"on") == b"on"


def test_several_refusals_at_once(session: Session) -> None:
    """Each caller is told of its own destination."""
    ports = [closed_port() for _ in range(8)]

    def refusal(port: int) -> int:
        with pytest.raises(NothingListens) as caught:
            session.open_channel(Endpoint("127.0.0.1", port), HERE, 10)
        return caught.value.port

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(refusal, ports)) == ports


def test_a_destination_that_says_nothing(session: Session) -> None:
    """Opening has an end; when the server gets through after all, the stream is closed unseen."""
    with black_hole() as port, pytest.raises(DestinationSilent):
        session.open_channel(Endpoint("127.0.0.1", port), HERE, 0.2)
    assert session.alive


def test_forwarding_is_prohibited(tmp_path: Path, engine: Engine) -> None:
    """Nothing may be forwarded in either direction, and both are said in words."""
    with sshd(tmp_path / "sshd", "AllowTcpForwarding no") as server:
        server.authorize(public(make_key(server.folder / "key")))
        session = session_to(server, engine)
        with pytest.raises(ForwardingProhibited):
            session.open_channel(Endpoint("127.0.0.1", 1), HERE, 10)
        with pytest.raises(CannotListenThere):
            session.listen_there(Endpoint("", 0))
        session.close()


def test_two_remote_forwards_at_once(session: Session) -> None:
    """Each port there leads to its own service here; half-close is kept on that way too."""
    with service(echo) as one, service(digest_at_end) as two:
        forwards = [Forward("remote", Endpoint("", 0), one), Forward("remote", Endpoint("127.0.0.1", 0), two)]
        with held_there(session, *forwards) as (first, second):
            for _ in range(5):
                assert ask(first, BLOCK) == BLOCK
                assert ask(second, BLOCK) == hashlib.sha256(BLOCK).hexdigest().encode()


def test_a_port_that_is_taken_there(session: Session) -> None:
    """The server says no, and the session lives on."""
    with service(echo) as taken:
        with pytest.raises(CannotListenThere):
            session.listen_there(taken)
        assert session.probe(10) is not None


def test_a_sign_of_life(session: Session) -> None:
    """The server answers the keepalive; several askers each get their answer."""
    with ThreadPoolExecutor(8) as threads:
        assert None not in list(threads.map(lambda _: session.probe(10), range(32)))
    assert session.silent_s < 10


def test_a_server_that_is_frozen_gives_no_sign_of_life(tmp_path: Path, engine: Engine) -> None:
    """The question has an end, even while the wire is full; closing does not wait for the server."""
    with sshd(tmp_path / "sshd") as server, service(digest_at_end) as there:
        server.authorize(public(make_key(server.folder / "key")))
        session = session_to(server, engine)
        with held(session, local(there)) as here, socket.create_connection((here.host, here.port), 20) as sock:
            frozen = _everyone(server)
            for number in frozen:
                os.kill(number, signal.SIGSTOP)
            try:
                write_until_full(sock)
                assert session.probe(0.2) is None
                session.close()
                assert not session.alive
                with pytest.raises(ConnectionError):
                    sock.recv(1)
            finally:
                for number in frozen:
                    with suppress(ProcessLookupError):  # the first to go on may have ended the other
                        os.kill(number, signal.SIGCONT)


def test_a_session_that_is_killed(tmp_path: Path, engine: Engine) -> None:
    """Whoever waits in it is told at once; a program in the middle of a download sees a reset, not an end."""
    with sshd(tmp_path / "sshd") as server, service(echo) as there:
        server.authorize(public(make_key(server.folder / "key")))
        session = session_to(server, engine)
        with held(session, local(there)) as here, ThreadPoolExecutor(3) as threads:
            channel = session.open_channel(there, HERE, 10)
            reading, accepting = threads.submit(channel.recv, 1), threads.submit(session.accept)
            with socket.create_connection((here.host, here.port), 20) as sock:
                sock.sendall(b"!")
                assert sock.recv(1) == b"!"
                for number in _everyone(server):
                    os.kill(number, signal.SIGKILL)
                with pytest.raises(ConnectionResetError):
                    sock.recv(1)
            with pytest.raises(OSError):
                reading.result(20)
            assert accepting.result(20) is None
            with pytest.raises(OSError):
                channel.send_all(b"?")
            with pytest.raises(OSError):
                session.open_channel(there, HERE, 10)
        assert not session.alive
        assert session.probe(5) is None
        assert session.run("echo", 10, 5) is None
        session.close()


def test_a_command(session: Session) -> None:
    """What it prints comes back, as much as was asked for; one that is late is given up."""
    assert session.run("printf 123456", 1 << 16, 10) == b"123456"
    assert session.run("printf 123456", 3, 10) == b"123"
    assert session.run("true", 100, 10) == b""
    assert session.run("sleep 20", 100, 0.2) is None


def test_a_command_of_nothing_lifts_the_stalls_of_old_servers(tmp_path: Path, engine: Engine) -> None:
    """The server starts one for each session unasked, which is when it stops collecting small packets."""
    with sshd(tmp_path / "sshd") as server:
        server.authorize(public(make_key(server.folder / "key")))
        session = session_to(server, engine)
        while not any("Starting session: command" in line for line in server.log):
            time.sleep(0.02)
        session.close()


def test_a_command_where_none_may_run(tmp_path: Path, engine: Engine) -> None:
    """Nothing but the command's answer is missing then."""
    with sshd(tmp_path / "sshd", "MaxSessions 0") as server, service(echo) as there:
        server.authorize(public(make_key(server.folder / "key")))
        session = session_to(server, engine)
        assert session.run("echo", 100, 10) is None
        with held(session, local(there)) as here:
            assert ask(here, b"on") == b"on"
        session.close()


def test_closing_with_streams_open(server: Sshd, engine: Engine) -> None:
    """Everything ends: streams, whoever waits, threads."""
    session = session_to(server, engine)
    with service(echo) as there:
        channels = [session.open_channel(there, HERE, 10) for _ in range(10)]
        with ThreadPoolExecutor(10) as threads:
            waiting = [threads.submit(each.recv, 1) for each in channels]
            session.close()
            assert all(isinstance(each.exception(20), OSError) for each in waiting)
    assert session.accept() is None


def _everyone(server: Sshd) -> list[int]:
    """Return the processes that serve the connections: sshd's and their unprivileged halves."""
    parents = server.sessions()
    children = [Path(f"/proc/{pid}/task/{pid}/children").read_text().split() for pid in parents]
    return [*parents, *(int(number) for each in children for number in each)]
