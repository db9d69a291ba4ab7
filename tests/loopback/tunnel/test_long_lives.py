"""What must hold for days: nothing leaks, new keys do no harm, and a way through other servers is as good as any."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from internlm_setup.core.ssh.connect_errors import JumpRefused
from internlm_setup.tunnel.engines._ssh.session import SshSession
from internlm_setup.tunnel.model import Endpoint, Engine, Session
from servers.openssh import Sshd, make_key, sshd
from servers.ssh_person import public, spec_of
from servers.streams import (
    BLOCK,
    ENGINES,
    ask,
    digest_at_end,
    echo,
    expected_digest,
    held,
    local,
    service,
    session_to,
)

pytestmark = pytest.mark.loopback
HERE = Endpoint("127.0.0.1", 0)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def settles(count: int, now: Callable[[], int]) -> bool:
    """Wait until as many are left as there were; what ends in the background may take its time."""
    for _ in range(200):
        gc.collect()
        if now() <= count:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("connections", [300, pytest.param(10_000, marks=pytest.mark.full)])
@pytest.mark.timeout(900)
def test_many_short_connections(session: Session, connections: int) -> None:
    """No thread, no descriptor and no stream is left of them."""
    with service(echo) as there, held(session, local(there)) as here, ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda _: ask(here, b"short"), range(16))) == [b"short"] * 16
        assert settles(0, lambda: session.traffic.open_channels)
        before = threading.active_count(), descriptors()
        answers = list(threads.map(lambda _: ask(here, b"short"), range(connections)))
        assert answers == [b"short"] * connections
        assert settles(0, lambda: session.traffic.open_channels)
        assert settles(before[0], threading.active_count)
        assert settles(before[1], descriptors)


def test_sessions_leave_nothing_behind(server: Sshd, engine: Engine) -> None:
    """No thread and no descriptor, with streams open or not."""
    session_to(server, engine).close()
    before = threading.active_count(), descriptors()
    with service(echo) as there:
        for _ in range(5):
            with closing(session_to(server, engine)) as session:
                session.open_channel(there, HERE, 10)
    assert settles(before[0], threading.active_count)
    assert settles(before[1], descriptors)


def test_new_keys_all_the_time(tmp_path: Path, engine: Engine) -> None:
    """The server asks for new keys every 2 MB while four streams run and short ones come and go."""
    with sshd(tmp_path / "sshd", "RekeyLimit 2M") as server:
        server.authorize(public(make_key(server.folder / "key")))
        with (
            closing(session_to(server, engine)) as session,
            service(echo) as there,
            service(digest_at_end) as sink,
            held(session, local(there)) as here,
            held(session, local(sink)) as down,
            ThreadPoolExecutor(5) as threads,
        ):
            loads = [threads.submit(ask, down, BLOCK * 160) for _ in range(4)]
            while not all(each.done() for each in loads):
                assert ask(here, b"short") == b"short"
            assert {each.result() for each in loads} == {expected_digest(160 * len(BLOCK))}
            assert ask(here, BLOCK * 64) == BLOCK * 64


def test_we_ask_for_new_keys(server: Sshd) -> None:
    """After so many bytes, in the middle of a load and when nothing goes on; the next stream is as good as any."""
    with closing(session_to(server, ENGINES["threaded"])) as session, service(digest_at_end) as sink:
        assert isinstance(session, SshSession)
        session._packets.REKEY_BYTES = 2 << 20
        session._transport.sock.settimeout(0.1)
        keys = {session._transport.H}
        with held(session, local(sink)) as here:
            for _ in range(5):
                assert ask(here, BLOCK * 100) == expected_digest(100 * len(BLOCK))
                keys.add(session._transport.H)
        assert len(keys) > 3


@contextmanager
def chain(folder: Path, length: int, *lines: str) -> Iterator[list[Sshd]]:
    with ExitStack() as stack:
        servers = [stack.enter_context(sshd(folder / str(n), *lines)) for n in range(length)]
        for each in servers:
            each.authorize(public(make_key(each.folder / "key")))
        yield servers


def test_through_two_servers(tmp_path: Path, engine: Engine) -> None:
    """A chain carries streams as one server does, and its end is the end of all of it."""
    with chain(tmp_path, 3) as (first, second, last), service(digest_at_end) as there:
        jumps = [spec_of(each, each.folder / "key") for each in (first, second)]
        session_to(last, engine, *jumps).close()
        before = threading.active_count()
        session = session_to(last, engine, *jumps)
        with held(session, local(there)) as here:
            assert ask(here, BLOCK * 100) == expected_digest(100 * len(BLOCK))
        session.close()
        assert settles(before, threading.active_count)
        assert settles(0, lambda: len(first.sessions()))


def test_a_jump_host_that_allows_no_forwards(tmp_path: Path, engine: Engine) -> None:
    """It says so, by name."""
    with (
        chain(tmp_path, 1, "AllowTcpForwarding no") as (jump,),
        chain(tmp_path / "last", 1) as (last,),
        pytest.raises(JumpRefused),
    ):
        session_to(last, engine, spec_of(jump, jump.folder / "key"))
