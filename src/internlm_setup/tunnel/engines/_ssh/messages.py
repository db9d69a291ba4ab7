"""The connection protocol's messages: their numbers, their fields, and what an answer to one is.

Source:
    RFC 4254.
"""

from __future__ import annotations

import queue
import struct
import threading
from collections.abc import Callable
from typing import Any

import paramiko

from internlm_setup.tunnel.engines._ssh.stream import PACKET_BYTES, WINDOW_BYTES, Refused
from internlm_setup.tunnel.errors import ChannelRefused, ForwardingProhibited, NoMoreStreams, NothingListens
from internlm_setup.tunnel.model import Endpoint

GLOBAL_REQUEST, REQUEST_SUCCESS, REQUEST_FAILURE = 80, 81, 82
OPEN, OPEN_SUCCESS, OPEN_FAILURE, WINDOW_ADJUST = 90, 91, 92, 93
DATA, EXTENDED_DATA, EOF, CLOSE, REQUEST, SUCCESS, FAILURE = 94, 95, 96, 97, 98, 99, 100

PROHIBITED, CONNECT_FAILED, SHORTAGE = 1, 2, 4

_MOST_ANSWERS = 1 << 14


class Payload:
    """A message as paramiko takes one."""

    def __init__(self, parts: tuple[bytes | memoryview, ...]) -> None:
        self._parts = parts

    def asbytes(self) -> bytes:
        """Return the whole message."""
        return b"".join(self._parts)


class Answer:
    """What becomes of a request.

    Attributes:
        when_granted: Called with the answer by the thread that reads the connection, before the next message.
        done: Set when there is an answer, or never will be.
        granted: None when no answer came.
        asked_s: When it was sent, on the monotonic clock.
    """

    def __init__(self, when_granted: Callable[[Any], None] | None) -> None:
        self.when_granted = when_granted
        self.done = threading.Event()
        self.granted: bool | None = None
        self.asked_s = 0.0


class Debts:
    """What is to be sent by a thread that may wait, in order; None is the end.

    A server that asks and asks and reads no answer ends the session before memory does.
    """

    def __init__(self) -> None:
        self._steps: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._room = threading.Semaphore(_MOST_ANSWERS)
        self.put, self.get = self._steps.put, self._steps.get

    def answer(self, step: Callable[[], object]) -> None:
        """Take what the server made us owe.

        Raises:
            SSHException: It is too much.
        """
        if not self._room.acquire(blocking=False):
            raise paramiko.SSHException("the server asks, and reads no answers")

        def pay() -> None:
            self._room.release()
            step()

        self._steps.put(pay)


def string(words: str) -> bytes:
    """Return a string as a field."""
    data = words.encode()
    return struct.pack(">I", len(data)) + data


def number(value: int) -> bytes:
    """Return a number as a field."""
    return struct.pack(">I", value)


def opening(kind: str, ours: int) -> bytes:
    """Return how a message begins that opens a stream."""
    return bytes((OPEN,)) + string(kind) + b"".join(map(number, (ours, WINDOW_BYTES, PACKET_BYTES)))


def way(destination: Endpoint, origin: Endpoint) -> bytes:
    """Return where a stream leads to and comes from."""
    return string(destination.host) + number(destination.port) + string(origin.host) + number(origin.port)


def refusal(cause: Refused, destination: Endpoint) -> ChannelRefused:
    """Say in words why there is no stream to a destination."""
    kinds = {PROHIBITED: ForwardingProhibited, CONNECT_FAILED: NothingListens}
    return kinds.get(cause.reason, NoMoreStreams)(destination.host, destination.port, cause.words)
