"""What the fast engine alone does: it moves the bytes itself, makes way where it cannot, and lives through new keys."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from internlm_setup.tunnel.engines._fast.session import FastSession
from internlm_setup.tunnel.engines._ssh.session import SshSession
from internlm_setup.tunnel.engines.fast import ENGINE
from internlm_setup.tunnel.model import Endpoint
from internlm_setup.tunnel.pump import Ends, Moved, Splicing
from servers.openssh import Sshd, make_key, sshd
from servers.rude import black_hole, closed_port
from servers.rude_ssh import rude_session
from servers.ssh_person import public
from servers.streams import BLOCK, ask, digest_at_end, echo, expected_digest, held, local, service, session_to

pytestmark = pytest.mark.loopback
HERE = Endpoint("127.0.0.1", 0)
Carry = Callable[[FastSession, int, float], None]


@pytest.fixture
def session(server: Sshd) -> Iterator[FastSession]:
    """A session that is up."""
    with closing(session_to(server, ENGINE)) as opened:
        assert isinstance(opened, FastSession)
        yield opened


def threads_of_connections() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name in {"pump", "served"}]


def test_a_connection_needs_no_thread(session: FastSession) -> None:
    """Not even while its stream is opened."""
    with (
        service(echo) as there,
        black_hole() as nowhere,
        held(session, local(there)) as here,
        held(session, local(Endpoint("127.0.0.1", nowhere))) as waiting,
        socket.create_connection((waiting.host, waiting.port), 20),
    ):
        assert ask(here, BLOCK) == BLOCK
        assert threads_of_connections() == []


def test_a_stream_that_is_used_from_outside_is_moved_by_the_connection_too(session: FastSession) -> None:
    """What a proxy talks over first."""
    with service(echo) as there:
        channel = session.open_channel(there, HERE, 10)
        assert isinstance(channel, Splicing)
        ours, program = socket.socketpair()
        program.sendall(b"hello")
        program.shutdown(socket.SHUT_WR)
        assert channel.splice(ours, moved := Moved())
        assert program.recv(10) == b"hello"
        program.close()
    assert moved == Moved(5, 5)


def test_a_late_answer_is_not_taken_for_the_round_trip(session: FastSession) -> None:
    """While something passes it is asked again, and the shortest counts."""
    plane, late_s = _plane(session), 30.0
    with service(echo) as there, held(session, local(there)) as here:
        session.probe(20)
        plane.rtt_s = late_s
        while plane.rtt_s == late_s:
            assert ask(here, BLOCK) == BLOCK


def refused(session: FastSession, carry: Carry) -> None:
    carry(session, closed_port(), 20)


def late(session: FastSession, carry: Carry) -> None:
    with black_hole() as port:
        carry(session, port, 0.1)
    assert session.alive


def lost(session: FastSession, carry: Carry) -> None:
    threading.Timer(0.2, session.close).start()
    with black_hole() as port:
        carry(session, port, 20)


def over(session: FastSession, carry: Carry) -> None:
    session.close()
    carry(session, closed_port(), 20)


@pytest.mark.parametrize("trouble", [refused, late, lost, over])
def test_a_connection_that_gets_no_stream(session: FastSession, trouble: Callable[[FastSession, Carry], None]) -> None:
    """Whoever gave it away has it back as it was, once, and nothing of it stays."""
    ours, program = socket.socketpair()
    back = queue.SimpleQueue[str]()

    def carry(session: FastSession, port: int, patience_s: float) -> None:
        ends = Ends(ours, Moved(), lambda _: back.put("served"))
        session.carry(ends, Endpoint("127.0.0.1", port), HERE, patience_s, lambda: back.put("otherwise"))
        assert back.get(timeout=10) == "otherwise"

    with ours, program:
        program.sendall(b"hello")
        trouble(session, carry)
        assert ours.gettimeout() is None
        assert ours.recv(10) == b"hello"
    session.close()
    assert back.empty()


def test_a_stream_that_opens_after_all(tmp_path: Path) -> None:
    """It is closed unseen when its connection is served otherwise by then."""
    with rude_session(tmp_path, ENGINE) as (session, server):
        assert isinstance(session, FastSession)
        ours, program = socket.socketpair()
        given_up = threading.Event()
        with ours, program:
            session.carry(Ends(ours, Moved(), bool), HERE, HERE, 0.1, given_up.set)
            assert given_up.wait(10)
            server.answers.set()
            while session.traffic.open_channels:
                time.sleep(0.02)
            ours.sendall(b"!")
            assert program.recv(1) == b"!"


def test_another_cipher(tmp_path: Path) -> None:
    """Without AES-GCM the threaded session takes over, in the same connection."""
    with sshd(tmp_path / "sshd", "Ciphers aes128-ctr") as server, service(digest_at_end) as there:
        server.authorize(public(make_key(server.folder / "key")))
        with closing(session_to(server, ENGINE)) as session, held(session, local(there)) as here:
            assert type(session) is SshSession
            assert ask(here, BLOCK * 100) == expected_digest(100 * len(BLOCK))


@pytest.mark.parametrize("limit_bytes", [1 << 21])
def test_new_keys_that_we_ask_for(server: Sshd, limit_bytes: int) -> None:
    """Every 2 MB of each direction, under load; nobody's bytes suffer."""
    with closing(session_to(server, ENGINE)) as session, service(digest_at_end) as sink, service(echo) as there:
        transport = _transport(session)
        transport.packetizer.REKEY_BYTES = limit_bytes
        keys = _count_keys(transport)
        with (
            held(session, local(sink)) as up,
            held(session, local(there)) as both,
            ThreadPoolExecutor(4) as threads,
        ):
            loads = [threads.submit(ask, up, BLOCK * 160) for _ in range(3)]
            assert ask(both, BLOCK * 64) == BLOCK * 64
            assert {each.result() for each in loads} == {expected_digest(160 * len(BLOCK))}
        assert len(keys) > 5


def test_compression_on_and_off_while_it_runs(server: Sshd) -> None:
    """Each change takes effect with new keys, in the middle of streams."""
    with closing(session_to(server, ENGINE)) as session, service(digest_at_end) as sink, service(echo) as there:
        transport = _transport(session)
        keys = _count_keys(transport)
        with held(session, local(sink)) as up, held(session, local(there)) as both, ThreadPoolExecutor(1) as threads:
            load = threads.submit(ask, up, BLOCK * 320)
            for number, on in enumerate([True, False, True, False, True, False], 1):
                if number == 5:
                    assert load.result() == expected_digest(320 * len(BLOCK))
                transport.use_compression(on)
                transport.renegotiate_keys()
                assert len(keys) == number
                before = session.traffic.sent_bytes
                assert ask(both, BLOCK * 16) == BLOCK * 16
                if load.done():
                    assert (session.traffic.sent_bytes - before < len(BLOCK) * 8) is on


def _transport(session: Any) -> Any:
    return session._transport


def _plane(session: Any) -> Any:
    return session._plane


def _count_keys(transport: Any) -> list[str]:
    """Return a list that grows with every exchange of keys."""
    found: list[str] = []
    exchanged = transport.packetizer.set_inbound_cipher

    def count(*args: Any, **named: Any) -> None:
        found.append("new")
        exchanged(*args, **named)

    transport.packetizer.set_inbound_cipher = count
    return found
