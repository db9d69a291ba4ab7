"""One stream of a session (a channel, in RFC 4254): its window, its two directions, its end."""

from __future__ import annotations

import struct
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import paramiko

WINDOW_BYTES = 1 << 21
PACKET_BYTES = 1 << 17
_CREDIT_BYTES = WINDOW_BYTES // 8

_WINDOW_ADJUST, _DATA, _EOF, _CLOSE, _REQUEST = 93, 94, 96, 97, 98


class Wire(Protocol):
    """What a stream needs of its session."""

    def send(self, *parts: bytes | memoryview) -> None:
        """Send one message; raises OSError when the session is gone."""
        ...

    def later(self, stream: Stream) -> None:
        """Have the stream's `say_close` called by a thread that may wait."""
        ...

    def forget(self, number: int) -> None:
        """No message for this stream comes any more."""
        ...


class Refused(Exception):
    """The peer opened no stream; `reason` is RFC 4254's code."""

    def __init__(self, reason: int, words: str) -> None:
        super().__init__(words)
        self.reason, self.words = reason, words


class TooMuch(paramiko.SSHException):  # type: ignore[misc]  # paramiko has no types
    """The peer sent more than the window allows, which ends the connection."""


@dataclass(frozen=True, slots=True)
class Handed:
    """A stream as it stands, for somebody else to go on with.

    Attributes:
        theirs: The peer's number, as a message has it.
        room_bytes: How much the peer takes now.
        packet_bytes: How much it takes in a message.
        window_bytes: What it was told at first.
        allowed_bytes: What it may still send.
        data: What came and nobody has read.
        ended: Whether the peer has ended its direction.
        close_came: Whether the peer has closed it; that is answered.
    """

    theirs: bytes
    room_bytes: int
    packet_bytes: int
    window_bytes: int
    allowed_bytes: int
    data: bytes
    ended: bool
    close_came: bool


class Stream:
    """One stream. See `tunnel.model.Channel` for what the session's users call.

    Attributes:
        number: Ours.
        request_refused: Whether the peer did not do what `request` asked.

    The methods at the end are called by the thread that reads the connection, which must never wait for the wire.
    """

    def __init__(self, wire: Wire, number: int, when_open: Callable[[Stream], object] | None = None) -> None:
        self.number = number
        self.request_refused = False
        self._wire, self._when_open = wire, when_open
        self._changed = threading.Condition()
        self._sending = threading.Lock()  # nothing may follow CLOSE: sshd would hang up the whole connection
        self._chunks: deque[bytes] = deque()
        self._held_bytes = self._credit_bytes = 0
        self._theirs = struct.pack(">I", 0)
        self._window_bytes = self._packet_bytes = 0
        self._is_open = self._ended = self._given_up = False
        self._eof_sent = self._close_sent = self._close_came = False
        self._gone = False
        self._refused: Refused | None = None

    def wait_open(self, patience_s: float) -> bool:
        """Wait until the peer has opened it; False when it does not say so in time.

        Raises:
            Refused: It does not.
            OSError: The session is gone.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._is_open or self._refused or self._gone, patience_s)
            if self._refused is not None:
                raise self._refused
            if self._gone:
                raise ConnectionResetError("the session is gone")
            return self._is_open

    def recv(self, most_bytes: int, patience_s: float | None = None) -> bytes:
        """Wait for bytes and return some; nothing when the peer has ended its direction.

        Raises:
            TimeoutError: Nothing came within the patience.
            OSError: The session is gone, or the stream was closed here.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._chunks or self._ended or self._over, patience_s):
                raise TimeoutError
            if not self._chunks:
                if self._over and not self._ended:
                    raise self._why()
                return b""
            data = self._take(most_bytes)
            self._held_bytes -= len(data)
            self._credit_bytes += len(data)
            credit = 0 if self._ended or self._credit_bytes < _CREDIT_BYTES else self._credit_bytes
            self._credit_bytes -= credit
        if credit:
            with self._sending, suppress(OSError):
                if not self._close_sent:
                    self._wire.send(bytes((_WINDOW_ADJUST,)), self._theirs, struct.pack(">I", credit))
        return data

    def send_all(self, data: bytes) -> None:
        """Send all of it, waiting while the peer's window is full.

        Raises:
            OSError: The session is gone, or the stream was closed on either side.
        """
        rest = memoryview(data)
        while rest:
            with self._changed:
                self._changed.wait_for(lambda: self._window_bytes or self._over or self._close_came)
                if self._over or self._close_came:
                    raise self._why()
                size = min(len(rest), self._window_bytes, self._packet_bytes)
                self._window_bytes -= size
            with self._sending:
                if self._close_sent or self._eof_sent:
                    raise self._why()
                self._wire.send(bytes((_DATA,)), self._theirs, struct.pack(">I", size), rest[:size])
            rest = rest[size:]

    def end_writing(self) -> None:
        """End our direction; when the session is gone, it has ended already."""
        with self._sending, suppress(OSError):
            if not (self._eof_sent or self._close_sent):
                self._eof_sent = True
                self._wire.send(bytes((_EOF,)), self._theirs)

    def close(self) -> None:
        """Give it up; wakes whoever waits in it, and waits for nobody."""
        with self._changed:
            if self._given_up:
                return
            self._given_up = True
            self._chunks.clear()
            self._changed.notify_all()
        self._wire.later(self)

    def request(self, kind: str, words: str) -> None:
        """Ask the peer for something about the stream, such as `exec` of a command; the peer's refusal ends it.

        Raises:
            OSError: The session is gone.
        """
        with self._sending:
            parts = (struct.pack(">I", len(kind)), kind.encode(), b"\1", struct.pack(">I", len(words.encode())))
            self._wire.send(bytes((_REQUEST,)), self._theirs, *parts, words.encode())

    def hand_over(self) -> Handed:
        """Let somebody else read and write it from now on. Called by the thread that reads the connection."""
        with self._changed:
            allowed_bytes = WINDOW_BYTES - self._held_bytes - self._credit_bytes
            data = b"".join(self._chunks)
            sizes = self._window_bytes, self._packet_bytes, WINDOW_BYTES, allowed_bytes
            return Handed(self._theirs, *sizes, data, self._ended, self._close_came)

    def say_close(self) -> None:
        """Tell the peer that it is over, once it has been opened. Called by a thread that may wait."""
        with self._sending, suppress(OSError):
            if self._is_open and not self._close_sent:
                self._close_sent = True
                self._wire.send(bytes((_CLOSE,)), self._theirs)
        if self._close_sent and self._close_came:
            self._wire.forget(self.number)

    @property
    def _over(self) -> bool:
        return self._gone or self._given_up

    def _why(self) -> OSError:
        if self._gone:
            return ConnectionResetError("the session is gone")
        return BrokenPipeError("the stream is closed")

    def _take(self, most_bytes: int) -> bytes:
        first = self._chunks.popleft()
        if len(first) > most_bytes:
            self._chunks.appendleft(first[most_bytes:])
            return first[:most_bytes]
        taken, size = [first], len(first)
        while self._chunks and size + len(self._chunks[0]) <= most_bytes:
            taken.append(self._chunks.popleft())
            size += len(taken[-1])
        return first if len(taken) == 1 else b"".join(taken)

    def opened(self, theirs: int, window_bytes: int, packet_bytes: int) -> None:
        """The peer has opened it, under a number of its own."""
        with self._changed:
            self._theirs = struct.pack(">I", theirs)
            self._window_bytes, self._packet_bytes = window_bytes, max(1, packet_bytes)  # with 0 it would never end
            self._is_open = True
            self._changed.notify_all()
        if self._when_open is not None:
            self._when_open(self)
        if self._given_up:
            self._wire.later(self)

    def refused(self, reason: int, words: str) -> None:
        """The peer does not open it."""
        with self._changed:
            self._refused = Refused(reason, words)
            self._changed.notify_all()

    def fed(self, data: bytes) -> None:
        """Bytes came.

        Raises:
            TooMuch: More than the window allows.
        """
        with self._changed:
            if self._given_up:
                return
            self._held_bytes += len(data)
            if self._held_bytes + self._credit_bytes > WINDOW_BYTES:
                raise TooMuch("more than the window allows")
            self._chunks.append(data)
            self._changed.notify_all()

    def widened(self, more_bytes: int) -> None:
        """The peer takes more."""
        with self._changed:
            self._window_bytes += more_bytes
            self._changed.notify_all()

    def ended(self) -> None:
        """The peer has ended its direction."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def closed(self) -> None:
        """The peer has closed it."""
        with self._changed:
            self._ended = self._close_came = True
            self._changed.notify_all()
        self._wire.later(self)

    def request_failed(self) -> None:
        """The peer does not do what it was asked to."""
        self.request_refused = True
        self.ended()

    def lost(self) -> None:
        """The session is gone."""
        with self._changed:
            self._gone = True
            self._changed.notify_all()
