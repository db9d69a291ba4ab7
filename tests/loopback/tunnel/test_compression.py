"""Compression on the live connection to a real OpenSSH server, with every engine that can switch it."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from internlm_setup.core.ssh.ask import NobodyToAsk
from internlm_setup.tunnel.held import Tunnel, Wishes
from internlm_setup.tunnel.model import Engine, Session, SessionSpec
from servers.openssh import Sshd, make_key, sshd
from servers.ssh_person import public, spec_of
from servers.streams import digest_at_end, digest_of, expected_digest, held, local, service, session_to, source
from servers.tunnels import Story, local_to

pytestmark = pytest.mark.loopback
TEXT = b"".join(b"line %d of a log, which says that all is well at %d\n" % (n, n * 7919) for n in range(60_000))
SIZE = 96 << 20


def say(session: Session, words: bytes) -> None:
    """Send something, and wait until it is there."""
    with (
        service(digest_at_end) as sink,
        held(session, local(sink)) as here,
        socket.create_connection((here.host, here.port), 20) as sock,
    ):
        sock.sendall(words)
        sock.shutdown(socket.SHUT_WR)
        sock.recv(64, socket.MSG_WAITALL)


def moves(session: Session) -> None:
    """Everything arrives whole, both ways at once."""
    with (
        service(source(SIZE)) as tap,
        service(digest_at_end) as sink,
        held(session, local(tap)) as down,
        held(session, local(sink)) as up,
        ThreadPoolExecutor(4) as threads,
    ):

        def download() -> bytes:
            with socket.create_connection((down.host, down.port), 30) as sock:
                return digest_of(sock)

        def upload() -> bytes:
            with socket.create_connection((up.host, up.port), 30) as sock:
                source(SIZE)(sock)
                sock.shutdown(socket.SHUT_WR)
                return sock.recv(64, socket.MSG_WAITALL)

        found = [threads.submit(each) for each in (download, upload, download, upload)]
        for on in (True, False, True, False):
            time.sleep(0.1)
            assert session.compress(on) is on
        assert {each.result() for each in found} == {expected_digest(SIZE)}


def test_on_and_off_and_on_again_while_bytes_move(server: Sshd, own_engine: Engine) -> None:
    """No stream notices."""
    with closing(session_to(server, own_engine)) as session:
        moves(session)
        assert session.traffic.saved_bytes > 0
        assert session.alive


def test_on_from_the_beginning(server: Sshd, own_engine: Engine) -> None:
    """As `-C` asks for: bytes are saved in both directions, without new keys."""
    spec = SessionSpec(spec_of(server, server.folder / "key"), (), compression="on")
    with closing(own_engine.open(spec, NobodyToAsk(), {}, lambda _: None)) as session:
        say(session, TEXT)
        traffic = session.traffic
        assert traffic.sent_bytes < len(TEXT) / 2
        assert traffic.saved_bytes > len(TEXT) / 2


def test_a_server_that_does_not_compress(tmp_path: Path, own_engine: Engine) -> None:
    """It says so, and nothing else changes."""
    with sshd(tmp_path / "sshd", "Compression no") as server:
        server.authorize(public(make_key(server.folder / "key")))
        with closing(session_to(server, own_engine)) as session:
            assert session.compress(True) is False
            assert session.probe(10) is not None
            assert session.traffic.saved_bytes == 0


def test_recent_data(server: Sshd, own_engine: Engine) -> None:
    """What went through lately can be tried, whichever way it went."""
    noise = os.urandom(1 << 16)
    with closing(session_to(server, own_engine)) as session:
        say(session, noise)
        assert len(session.recent) > 1024
        assert session.recent[-500:] in noise


@contextmanager
def slow_line(to: Sshd, rate: float, greeting_s: float = 0.0) -> Iterator[int]:
    """Pass connections on at so many bytes a second in each direction, after a while; yields the port."""

    def carry(source: socket.socket, sink: socket.socket) -> None:
        time.sleep(greeting_s)
        free_s = time.monotonic()
        with suppress(OSError):
            while data := source.recv(16384):
                free_s = max(free_s, time.monotonic() - 0.05) + len(data) / rate
                time.sleep(max(0.0, free_s - time.monotonic()))
                sink.sendall(data)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                here = listening.accept()[0]
                there = socket.create_connection(("127.0.0.1", to.port))
                for sock in (here, there):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
                for pair in ((here, there), (there, here)):
                    threading.Thread(target=carry, args=pair, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1]
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("far", [True, False])
@pytest.mark.parametrize("shrinks", [True, False])
def test_a_slow_line(
    server: Sshd, own_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shrinks: bool, far: bool
) -> None:
    """A tunnel switches it on by itself for what shrinks and says so; to a far server it is on until it does not."""
    for module in ("dial", "transport"):
        monkeypatch.setattr(f"internlm_setup.core.ssh.{module}.FAR_S", 0.1 if far else 60.0)
    data = TEXT * 2 if shrinks else os.urandom(len(TEXT) * 2)

    def talk(sock: socket.socket) -> None:
        sock.sendall(data)

    with slow_line(server, 2e6, 0.2 if far else 0.0) as port, service(talk) as there:
        server_spec = spec_of(server, server.folder / "key")
        known = tmp_path / "known_hosts"
        known.write_text(server.known_line.replace(str(server.port), str(port)))
        spec = SessionSpec(replace(server_spec, port=port, known_hosts=(known,)), (local_to(there),))
        story = Story()
        tunnel = Tunnel(spec, Wishes(), own_engine, NobodyToAsk(), {}, tmp_path, story.hear)
        thread = threading.Thread(target=tunnel.run)
        thread.start()
        try:
            story.wait_for(lambda: "up" in story.states)
            link = tunnel._supervisor.link
            assert link is not None
            assert link.session.compressed is far
            with socket.create_connection(("127.0.0.1", tunnel.status().ports[0]), 20) as sock:
                assert b"".join(iter(lambda: sock.recv(65536), b"")) == data
            traffic = link.session.traffic
        finally:
            tunnel.stop()
            thread.join(20)
    said = [event for event in story.told if "compressing from now on" in str(getattr(event, "text", ""))]
    assert bool(said) is (shrinks and not far)
    assert (traffic.saved_bytes > len(data) / 4) is shrinks
    if shrinks and far:
        assert traffic.saved_bytes > len(data) * 0.7
