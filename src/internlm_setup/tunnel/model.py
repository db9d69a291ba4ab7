"""The values of a tunnel: what is forwarded, over which session, and in what state it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from internlm_setup.core.ssh.ask import Asker
from internlm_setup.core.ssh.compression import Wish
from internlm_setup.core.ssh.model import HostSpec

Kind = Literal["local", "remote", "dynamic"]
State = Literal["connecting", "auth", "up", "degraded", "reconnecting", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host and a port. An empty host as a place to listen means loopback, `*` means every address."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Forward:
    """One forward.

    Attributes:
        kind: `local` listens here, `remote` listens there, `dynamic` is a SOCKS5 proxy here.
        bind: Where it listens.
        destination: Where it leads to; None for `dynamic`.
    """

    kind: Kind
    bind: Endpoint
    destination: Endpoint | None


@dataclass(frozen=True, slots=True)
class SessionSpec:
    """One session and what goes through it.

    Attributes:
        host: The server, resolved.
        forwards: At least one.
        keepalive_s: Silence after which the server is asked for a sign of life.
        dead_s: Silence after which the connection counts as dead.
        hold_s: How long a new local connection waits through a reconnect.
        accept_new: Whether an unknown host key is taken without asking.
        compression: `auto`, or always, or never.
    """

    host: HostSpec
    forwards: tuple[Forward, ...]
    keepalive_s: float = 3.0
    dead_s: float = 8.0
    hold_s: float = 30.0
    accept_new: bool = False
    compression: Wish = "auto"


class Channel(Protocol):
    """One stream through a session. Both directions end on their own: half-close is kept."""

    def recv(self, most_bytes: int) -> bytes:
        """Wait for bytes and return some; nothing when the other side has ended its direction.

        Raises:
            OSError: The session is gone.
        """
        ...

    def send_all(self, data: bytes) -> None:
        """Send all of it, waiting while the other side's window is full.

        Raises:
            OSError: The session is gone.
        """
        ...

    def end_writing(self) -> None:
        """End our direction."""
        ...

    def close(self) -> None:
        """Give it up; wakes whoever waits in it."""
        ...


Opener = Callable[[Endpoint, Endpoint], Channel]
"""Opens a stream to a destination on behalf of an origin: `Session.open_channel`, or what waits for a session first."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What went through a session so far; `saved_bytes` did not have to, because it was compressed."""

    received_bytes: int = 0
    sent_bytes: int = 0
    saved_bytes: int = 0
    open_channels: int = 0
    opened_channels: int = 0


class Session(Protocol):
    """A connection that is up. Safe for several threads."""

    def open_channel(self, destination: Endpoint, origin: Endpoint, timeout_s: float) -> Channel:
        """Open a stream to a place that the server can reach.

        Raises:
            ChannelRefused: With the server's reason: forbidden, nothing listens there, or no room.
            OSError: The session is gone.
        """
        ...

    def listen_there(self, bind: Endpoint) -> int:
        """Ask the server to listen, and return the port; streams come out of `accept`."""
        ...

    def accept(self) -> tuple[Endpoint, Channel] | None:
        """Wait for a stream that somebody opened at a port of `listen_there`; None when the session is over."""
        ...

    def probe(self, timeout_s: float) -> float | None:
        """Ask for a sign of life and return the seconds it took; None when none came in time."""
        ...

    def run(self, command: str, most_bytes: int, timeout_s: float) -> bytes | None:
        """Run a small command there and return what it printed; None where the server refuses or is late."""
        ...

    def compress(self, on: bool) -> bool:
        """Have what goes through compressed, or no longer; streams go on. Waits until it is so.

        Returns:
            Whether it is compressed now, which may not be what was wished.
        """
        ...

    @property
    def compressed(self) -> bool:
        """Whether what goes through is compressed."""
        ...

    @property
    def recent(self) -> bytes:
        """Something large that went through lately, to try how small it becomes; nothing where that is not known."""
        ...

    @property
    def silent_s(self) -> float:
        """Seconds since the last byte came."""
        ...

    @property
    def traffic(self) -> Traffic:
        """What went through."""
        ...

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        ...

    def close(self) -> None:
        """End it and every stream in it, within a second."""
        ...


class Engine(Protocol):
    """One way to have a session: a file of `engines` holds one under the name `ENGINE`."""

    id: str

    def open(self, spec: SessionSpec, ask: Asker, env: Mapping[str, str], tell: Callable[[State], object]) -> Session:
        """Connect, check the host key, authenticate.

        Args:
            spec: The session.
            ask: Asks a person for what is needed; `core.ssh.ask.Remembering` asks once.
            env: The environment: where the agent is, and what a ProxyCommand sees.
            tell: Told `auth` when a server has proved who it is.

        Raises:
            SetupError: A class for each trouble (`core.ssh.connect_errors`, `login_errors` and `errors`).
        """
        ...
