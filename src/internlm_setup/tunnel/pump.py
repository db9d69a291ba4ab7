"""One pump for every kind of forward: bytes between a local socket and a channel, in both directions.

Each direction ends on its own, so that a half-closed stream lives on; a slow reader slows the writer down.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from internlm_setup.tunnel.model import Channel, Endpoint

_BLOCK_BYTES = 1 << 16
RESET = struct.pack("HH" if os.name == "nt" else "ii", 1, 0)  # how closing tells that it broke off


@dataclass(slots=True)
class Moved:
    """Bytes so far: `sent` towards the server, `received` from it."""

    sent_bytes: int = 0
    received_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Ends:
    """A connection here that somebody else serves, and who hears of it.

    Attributes:
        sock: It blocks, and is closed in the end.
        moved: Counted up.
        done: Told once whether both directions ended by themselves.
    """

    sock: socket.socket
    moved: Moved
    done: Callable[[bool], object]


@runtime_checkable
class Carrying(Protocol):
    """A session that opens a stream for a connection and moves its bytes, without a thread for each."""

    def carry(
        self, ends: Ends, destination: Endpoint, origin: Endpoint, patience_s: float, otherwise: Callable[[], object]
    ) -> None:
        """Begin, and wait for nothing.

        Args:
            ends: The connection.
            destination: As the server sees it.
            origin: Who made the connection.
            patience_s: How long the server may take to open the stream; best the same for all.
            otherwise: Called, once and by any thread, when it opens none; the connection is as it was then, and
                nobody hears of it.
        """
        ...


@runtime_checkable
class Splicing(Protocol):
    """A channel whose session moves the bytes itself, faster than anybody outside could."""

    def splice(self, sock: socket.socket, moved: Moved) -> bool:
        """Do what `pump` does, to its end."""
        ...


def pump(sock: socket.socket, channel: Channel, moved: Moved) -> bool:
    """Move bytes until both directions have ended; both ends are closed then.

    Args:
        sock: A connection here, which blocks.
        channel: A stream through the session.
        moved: Counted up while they move.

    Returns:
        True when both directions ended by themselves. When one broke off, so does the other, and the program at the
        socket sees a reset: what it got is not all there was.
    """
    if isinstance(channel, Splicing):
        return channel.splice(sock, moved)
    broken = threading.Event()

    def break_off() -> None:
        broken.set()
        channel.close()
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        _stop_reading(sock)

    def up() -> None:
        try:
            while data := sock.recv(_BLOCK_BYTES):
                try:
                    channel.send_all(data)
                except OSError:  # nobody takes it; what still comes down is another matter
                    return _stop_reading(sock)
                moved.sent_bytes += len(data)
            channel.end_writing()
        except OSError:
            break_off()

    upwards = threading.Thread(target=up, daemon=True, name="pump")
    upwards.start()
    try:
        while data := channel.recv(_BLOCK_BYTES):
            sock.sendall(data)
            moved.received_bytes += len(data)
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        break_off()
    upwards.join()
    channel.close()
    sock.close()
    return not broken.is_set()


def _stop_reading(sock: socket.socket) -> None:
    """Wake whoever reads from it; the program at its other end is told nothing yet."""
    with suppress(OSError):
        if os.name == "nt":  # where only closing wakes a reader
            sock.close()
        else:
            sock.shutdown(socket.SHUT_RD)
