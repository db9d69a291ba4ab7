"""Sessions that a test ends, silences and wakes, and engines that give them out: a tunnel without a server."""

from __future__ import annotations

import os
import queue
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from internlm_setup.core.clock import Clock
from internlm_setup.core.ssh.ask import Asker, NobodyToAsk
from internlm_setup.core.ssh.model import HostSpec
from internlm_setup.tunnel import events as ev
from internlm_setup.tunnel.held import Tunnel, Wishes
from internlm_setup.tunnel.model import Channel, Endpoint, Forward, Session, SessionSpec, State, Traffic
from internlm_setup.tunnel.service import ENGINE
from internlm_setup.tunnel.supervisor import Supervisor
from servers.openssh import Sshd
from servers.ssh_person import spec_of
from servers.streams import ENGINES

FORWARD = Forward("local", Endpoint("", 6006), Endpoint("127.0.0.1", 6006))
SPEC = SessionSpec(HostSpec("box", 33090, "root"), (FORWARD,), keepalive_s=0.1, dead_s=0.5, hold_s=5.0)
PATIENCE_S = 10.0


@dataclass(eq=False)
class FakeChannel:
    """A stream that leads nowhere."""

    session: FakeSession

    def recv(self, most_bytes: int) -> bytes:
        return b""

    def send_all(self, data: bytes) -> None:
        pass

    def end_writing(self) -> None:
        pass

    def close(self) -> None:
        self.session.streams -= 1


@dataclass(eq=False)
class FakeSession:
    """A session that answers until it is told to be silent, or to end.

    Attributes:
        said: What a command prints; None refuses it.
        streams: How many are open.
    """

    said: bytes | None = None
    streams: int = 0
    probes: int = 0
    refusing: Exception | None = None
    compresses: bool = True

    def __post_init__(self) -> None:
        self._accepting: queue.SimpleQueue[tuple[Endpoint, Channel] | None] = queue.SimpleQueue()
        self._alive, self._heard_s = True, time.monotonic()
        self._speaking = threading.Event()
        self._speaking.set()

    def open_channel(self, destination: Endpoint, origin: Endpoint, timeout_s: float) -> Channel:
        if self.refusing is not None:
            raise self.refusing
        if not self._speaking.wait(timeout_s):
            raise TimeoutError
        if not self._alive:
            raise ConnectionResetError
        self.streams += 1
        return FakeChannel(self)

    def listen_there(self, bind: Endpoint) -> int:
        return bind.port

    def accept(self) -> tuple[Endpoint, Channel] | None:
        return self._accepting.get()

    def probe(self, timeout_s: float) -> float | None:
        self.probes += 1
        if not self._speaking.wait(timeout_s) or not self._alive:
            return None
        self._heard_s = time.monotonic()
        return 0.001

    def run(self, command: str, most_bytes: int, timeout_s: float) -> bytes | None:
        return self.said

    def compress(self, on: bool) -> bool:
        return on and self.compresses

    @property
    def compressed(self) -> bool:
        return False

    @property
    def recent(self) -> bytes:
        return b""

    @property
    def silent_s(self) -> float:
        return time.monotonic() - self._heard_s

    @property
    def traffic(self) -> Traffic:
        return Traffic(open_channels=self.streams)

    @property
    def alive(self) -> bool:
        return self._alive

    def close(self) -> None:
        self.end()

    # What a test does to it

    def end(self) -> None:
        """The connection breaks."""
        self._alive = False
        self._speaking.set()
        self._accepting.put(None)

    def fall_silent(self) -> None:
        """Nothing comes any more, and nobody says so."""
        self._speaking.clear()

    def speak(self) -> None:
        """It answers again."""
        self._speaking.set()

    def was_silent(self, seconds: float) -> None:
        """Nothing came for so long."""
        self._heard_s = time.monotonic() - seconds


@dataclass
class FakeEngine:
    """Gives out what it has, one after the other; the last for ever. A callable is called for a session.

    Attributes:
        opened: Sessions that were given out.
        tries: How often it was asked.
        unproved: The tries in which the server does not even show a key, counted from 0.
    """

    outcomes: Sequence[Exception | Callable[[Asker], Session]]
    id: str = "fake"
    opened: list[FakeSession] = field(default_factory=list)
    tries: int = 0
    unproved: Sequence[int] = ()

    def open(self, spec: SessionSpec, ask: Asker, env: Mapping[str, str], tell: Callable[[State], object]) -> Session:
        outcome = self.outcomes[min(self.tries, len(self.outcomes) - 1)]
        number, self.tries = self.tries, self.tries + 1
        if isinstance(outcome, Exception):
            raise outcome
        if number not in self.unproved:
            tell("auth")
        session = outcome(ask)
        assert isinstance(session, FakeSession)
        self.opened.append(session)
        return session


def up(_: Asker) -> FakeSession:
    """A session that is well."""
    return FakeSession()


@dataclass
class Story:
    """What was told, for a test to wait in."""

    told: list[ev.Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._news = threading.Condition()

    def hear(self, event: ev.Event) -> None:
        """Take an event."""
        with self._news:
            self.told.append(event)
            self._news.notify_all()

    def wait_for(self, test: Callable[[], object]) -> None:
        """Wait until something is so; it is looked at after every event, and often besides."""
        with self._news:
            deadline_s = time.monotonic() + PATIENCE_S
            while not test():
                assert time.monotonic() < deadline_s, self.told
                self._news.wait(0.02)

    @property
    def states(self) -> list[str]:
        """The states, in order."""
        return [event.state for event in self.told if isinstance(event, ev.StateChanged)]


@contextmanager
def held(
    engine: FakeEngine,
    spec: SessionSpec = SPEC,
    asker: Asker | None = None,
    wait_s: float = 0.0,
    clock: Clock | None = None,
) -> Iterator[tuple[Supervisor, Story, list[BaseException]]]:
    """Hold a session in another thread until the end of the block; what ended it early is in the list."""
    story, errors = Story(), list[BaseException]()
    supervisor = Supervisor(spec, engine, asker or NobodyToAsk(), {}, story.hear, wait_s=wait_s, clock=clock)

    def run() -> None:
        try:
            supervisor.run()
        except BaseException as error:  # noqa: BLE001  # the test looks at it
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield supervisor, story, errors
    finally:
        supervisor.stop()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


@contextmanager
def tunnel_to(
    server: Sshd, folder: Path, *forwards: Forward, wishes: Wishes | None = None, **spec: Any
) -> Iterator[tuple[Tunnel, Story]]:
    """Hold a tunnel to a real server in another thread until the end of the block, when nothing of it must be left."""
    story = Story()
    whole = SessionSpec(spec_of(server, server.folder / "key"), forwards, **spec)
    engine = ENGINES[ENGINE]
    tunnel = Tunnel(whole, wishes or Wishes(), engine, NobodyToAsk(), {}, folder, story.hear)
    thread = threading.Thread(target=tunnel.run)
    thread.start()
    try:
        story.wait_for(lambda: "up" in story.states)
        yield tunnel, story
    finally:
        tunnel.stop()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
        assert list((folder / "tunnels").iterdir()) == []
        story.wait_for(lambda: not [t.name for t in threading.enumerate() if t.name.startswith("tunnel-")])


def local_to(place: Endpoint) -> Forward:
    """Return a forward from a free port here."""
    return Forward("local", Endpoint("", 0), place)


def page(sock: socket.socket) -> None:
    """Answer one request as a web server does."""
    sock.recv(65536)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\npage")


def fetch(port: int, patience_s: float = 20.0) -> str:
    """Return what a page behind a local port says."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=patience_s) as answer:
        return str(answer.read(), "ascii")


def everything_of(server: Sshd) -> list[int]:
    """Return every process that serves a connection to a server."""
    found, todo = [], server.sessions()
    while todo:
        pid = todo.pop()
        found.append(pid)
        with suppress(OSError):
            todo += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return found


def send(signal_number: int, processes: Iterable[int]) -> None:
    """Send a signal to processes, some of which may be gone."""
    for pid in processes:
        with suppress(ProcessLookupError):
            os.kill(pid, signal_number)
