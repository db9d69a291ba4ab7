"""What the fast engine alone does: it moves the bytes itself, makes way where it cannot, and lives through new keys."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from internlm_setup.tunnel.engines._fast.session import FastSession
from internlm_setup.tunnel.engines._ssh.session import SshSession
from internlm_setup.tunnel.engines.fast import ENGINE
from internlm_setup.tunnel.model import Endpoint
from internlm_setup.tunnel.pump import Splicing
from servers.openssh import Sshd, make_key, sshd
from servers.ssh_person import public
from servers.streams import BLOCK, ask, digest_at_end, echo, expected_digest, held, local, service, session_to

pytestmark = pytest.mark.loopback
HERE = Endpoint("127.0.0.1", 0)


def pumps() -> int:
    return sum(thread.name == "pump" for thread in threading.enumerate())


def test_its_streams_are_moved_by_the_connection_itself(server: Sshd) -> None:
    """No thread per direction."""
    with closing(session_to(server, ENGINE)) as session, service(echo) as there:
        channel = session.open_channel(there, HERE, 10)
        assert isinstance(session, FastSession)
        assert isinstance(channel, Splicing)
        channel.close()
        with held(session, local(there)) as here:
            assert ask(here, BLOCK) == BLOCK
            assert not pumps()


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


def _count_keys(transport: Any) -> list[str]:
    """Return a list that grows with every exchange of keys."""
    found: list[str] = []
    exchanged = transport.packetizer.set_inbound_cipher

    def count(*args: Any, **named: Any) -> None:
        found.append("new")
        exchanged(*args, **named)

    transport.packetizer.set_inbound_cipher = count
    return found
