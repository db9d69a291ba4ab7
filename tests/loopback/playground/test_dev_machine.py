"""The stand-in dev machine: every engine and the real `ssh` use it, and it goes wrong in every way asked for."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from internlm_setup.core.ssh.ask import NobodyToAsk
from internlm_setup.core.ssh.connect_errors import ConnectionLost, HostKeyChanged
from internlm_setup.core.ssh.login_errors import KeyRefused
from internlm_setup.core.ssh.model import HostSpec
from internlm_setup.playground.sshd import DevMachine
from internlm_setup.ssh_key import service as keys
from internlm_setup.tunnel import health
from internlm_setup.tunnel.errors import ForwardingProhibited, NothingListens
from internlm_setup.tunnel.model import Channel, Endpoint, Engine, Forward, Session, SessionSpec
from servers.streams import ENGINES

pytestmark = pytest.mark.loopback
PAGE = Endpoint("127.0.0.1", 6006)
HERE = Endpoint("127.0.0.1", 0)
PATIENCE_S = 20.0
ASKING = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[DevMachine]:
    """One that takes the key `key`, and is known."""
    (tmp_path / "keys").mkdir()
    keys.create(tmp_path / "keys" / "key", "ed25519", "somebody@somewhere")
    with DevMachine([tmp_path / "keys"]) as running:
        (tmp_path / "known_hosts").write_text(running.known_line)
        yield running


@pytest.fixture(params=list(ENGINES.values()), ids=list(ENGINES))
def log_in(machine: DevMachine, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Session]:
    """Return what opens a session, by each engine in turn."""
    engine: Engine = request.param

    def opened(user: str = "root", key: Path = tmp_path / "keys" / "key") -> Session:
        known = (tmp_path / "known_hosts",)
        spec = HostSpec("127.0.0.1", machine.port, user, identity_files=(key,), known_hosts=known)
        return engine.open(SessionSpec(spec, ()), NobodyToAsk(), {}, lambda _: None)

    return opened


@pytest.fixture
def session(log_in: Callable[..., Session]) -> Iterator[Session]:
    """A session that is up."""
    with closing(log_in()) as opened:
        yield opened


def fetched(channel: Channel) -> bytes:
    """The whole answer of the page."""
    channel.send_all(ASKING)
    return b"".join(iter(lambda: channel.recv(4096), b""))


def ended(session: Session) -> bool:
    late_s = time.monotonic() + PATIENCE_S
    while session.alive and time.monotonic() < late_s:
        time.sleep(0.01)
    return not session.alive


def test_the_page(session: Session) -> None:
    """It is on the one port; nothing listens on any other, nor anywhere else."""
    for host in ("127.0.0.1", "localhost"):
        answer = fetched(session.open_channel(Endpoint(host, 6006), HERE, PATIENCE_S))
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert "本页经隧道而来" in answer.decode()
    for elsewhere in (Endpoint("127.0.0.1", 22), Endpoint("192.0.2.1", 6006)):
        with pytest.raises(NothingListens):
            session.open_channel(elsewhere, HERE, PATIENCE_S)


def test_the_page_over_one_connection(session: Session) -> None:
    """As a browser asks: again and again, its head, and what is not there."""
    channel = session.open_channel(PAGE, HERE, PATIENCE_S)
    head = b"".join(ASKING.partition(b"Connection: close\r\n")[::2])
    channel.send_all(head.replace(b"GET", b"HEAD") + head.replace(b"/ ", b"/absent ") + ASKING)
    answer = b"".join(iter(lambda: channel.recv(4096), b""))
    assert [line for line in answer.split(b"\r\n") if line.startswith(b"HTTP/")] == [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 404 Not Found",
    ]


def test_commands(machine: DevMachine, session: Session) -> None:
    """What listens is told as /proc would; nothing else is run."""
    machine.ports.add(7860)
    places = health.look(session)
    assert places is not None
    assert health.services(places, ()) == (6006, 7860)
    assert health.judge(places, [Forward("local", PAGE, Endpoint("127.0.0.1", 8501))]) == ((), (8501,))
    assert session.run("touch /tmp/playground-was-here", 4096, PATIENCE_S) == b""
    machine.refuses_commands = True
    assert not session.run(health.LOOK, 4096, PATIENCE_S)


def test_cut_and_away(machine: DevMachine, log_in: Callable[..., Session], session: Session) -> None:
    """Connections end at once, and new ones come to nothing until it is back."""
    machine.away = True
    machine.cut()
    assert ended(session)
    with pytest.raises(ConnectionLost):
        log_in()
    machine.away = False
    with closing(log_in()) as again:
        assert again.alive


def test_frozen(machine: DevMachine, session: Session) -> None:
    """It says nothing any more, ends nothing, and goes on where it was."""
    assert session.probe(PATIENCE_S) is not None
    machine.frozen = True
    assert session.probe(0.5) is None
    assert session.alive
    machine.frozen = False
    assert session.probe(PATIENCE_S) is not None
    assert fetched(session.open_channel(PAGE, HERE, PATIENCE_S)).startswith(b"HTTP/1.1 200")


def test_forwarding_prohibited(machine: DevMachine, session: Session) -> None:
    """It is refused as such."""
    machine.refuses_forwarding = True
    with pytest.raises(ForwardingProhibited):
        session.open_channel(PAGE, HERE, PATIENCE_S)


def test_another_host_key(machine: DevMachine, log_in: Callable[..., Session]) -> None:
    """As after the machine was made anew."""
    machine.change_host_key()
    with pytest.raises(HostKeyChanged):
        log_in()


def test_who_is_let_in(machine: DevMachine, log_in: Callable[..., Session], tmp_path: Path) -> None:
    """The account's name and a key of the folder, as it is now; files there that are no keys do no harm."""
    (tmp_path / "keys" / "empty.pub").touch()
    (tmp_path / "keys" / "folder.pub").mkdir()
    other = tmp_path / "other"
    keys.create(other, "ed25519", "x@y")
    for who in ({"user": "someone"}, {"key": other}):
        with pytest.raises(KeyRefused):
            log_in(**who)
    shutil.copy(f"{other}.pub", tmp_path / "keys")
    log_in(key=other).close()
    machine.refuses_keys = True
    with pytest.raises(KeyRefused):
        log_in()


def test_the_port_that_was_wished_for(machine: DevMachine, tmp_path: Path) -> None:
    """It is taken when it is free, and another one when it is not."""
    with DevMachine([tmp_path], machine.port) as beside:
        assert beside.port not in {0, machine.port}
    with DevMachine([tmp_path], beside.port) as again:
        assert again.port == beside.port


def test_nothing_is_left(tmp_path: Path) -> None:
    """Whatever it was doing: a silent caller, one that speaks no SSH, and one that it froze with."""
    before = set(threading.enumerate())
    with DevMachine([tmp_path]) as machine:
        callers = [socket.create_connection(("127.0.0.1", machine.port)) for _ in range(3)]
        callers[1].sendall(b"GET / HTTP/1.1\r\n\r\n" * 200)
        assert callers[0].recv(4) == b"SSH-"
        machine.frozen = True
    for caller in callers:
        caller.close()
    late_s = time.monotonic() + PATIENCE_S
    while set(threading.enumerate()) - before and time.monotonic() < late_s:
        time.sleep(0.05)
    assert set(threading.enumerate()) <= before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", machine.port))


def test_the_real_ssh(machine: DevMachine, tmp_path: Path) -> None:
    """It logs in, fetches the page, and is told that no commands are run."""
    program = shutil.which("ssh") or pytest.skip("no ssh")
    options = ["-F", "none", "-o", f"UserKnownHostsFile={tmp_path / 'known_hosts'}", "-o", "BatchMode=yes"]
    words = [program, *options, "-i", str(tmp_path / "keys" / "key"), "-p", str(machine.port)]

    def ssh(*rest: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([*words, *rest], input=given, capture_output=True, timeout=PATIENCE_S, check=False)

    page = ssh("-W", "127.0.0.1:6006", "root@127.0.0.1", given=ASKING)
    assert b"This page came through the tunnel" in page.stdout, page.stderr
    assert ssh("root@127.0.0.1", "exit 0").returncode == 0
    refused = ssh("root@127.0.0.1", "id")
    assert (refused.returncode, refused.stdout) == (127, b"")
    assert b"runs no commands" in refused.stderr
    with subprocess.Popen([*words, "root@127.0.0.1", "exec sleep 2147483647"], stdin=subprocess.DEVNULL) as asleep:
        with pytest.raises(subprocess.TimeoutExpired):
            asleep.wait(1)
        machine.cut()
        assert asleep.wait(PATIENCE_S) == 255
