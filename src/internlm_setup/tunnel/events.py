"""What a tunnel tells while it is held; a listener gets each event, from any thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from internlm_setup.core.text import Text
from internlm_setup.tunnel.model import State


@dataclass(frozen=True, slots=True)
class Begun:
    """What will be held, before anything is connected.

    Attributes:
        server: `user@host`, and its port where it is not 22.
        forwards: Each in words.
        command: The `ssh` command that does the same, without the holding.
    """

    server: str
    forwards: tuple[Text, ...]
    command: str


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The connection's state is another one; `reconnects` counts those that came after the first."""

    state: State
    reconnects: int


@dataclass(frozen=True, slots=True)
class Retrying:
    """A try failed and another one follows, in about `wait_s` seconds."""

    reason: Text
    wait_s: float


@dataclass(frozen=True, slots=True)
class ServiceSeen:
    """What listens on the server changed, as far as it matters to the forwards.

    Attributes:
        listening: Ports that a forward leads to and something listens on.
        missing: Ports that a forward leads to and nothing listens on.
        others: Ports of other services there.
    """

    listening: tuple[int, ...]
    missing: tuple[int, ...]
    others: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ServiceAnswers:
    """A web service answered through the tunnel at this local address."""

    url: str


@dataclass(frozen=True, slots=True)
class ConnectionRefused:
    """A connection could not be passed on, by the server or, where it came from there, here.

    Attributes:
        destination: Where it was to go.
        reason: Why not.
        advice: What to do, where that is known.
    """

    destination: str
    reason: Text
    advice: Text | None


@dataclass(frozen=True, slots=True)
class PortFollowed:
    """With `--auto`: something began to listen there on `port`, and is to be had here on `local_port`."""

    port: int
    local_port: int


@dataclass(frozen=True, slots=True)
class PortLeft:
    """With `--auto`: nothing listens there on `port` any more, and the local port was closed."""

    port: int
    local_port: int


@dataclass(frozen=True, slots=True)
class Noted:
    """A line for people."""

    text: Text
    warning: bool = False


Event = (
    Begun | StateChanged | Retrying | ServiceSeen | ServiceAnswers | ConnectionRefused | PortFollowed | PortLeft | Noted
)
Listener = Callable[[Event], None]
