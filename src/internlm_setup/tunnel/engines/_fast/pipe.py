"""One stream of the data plane: between a socket here and a channel. Only the connection's own thread touches it."""

from __future__ import annotations

import selectors
import socket
import struct
from contextlib import suppress
from typing import Protocol

from internlm_setup.tunnel.engines._fast.codec import BadPacket
from internlm_setup.tunnel.engines._fast.window import Window
from internlm_setup.tunnel.engines._ssh.stream import Handed
from internlm_setup.tunnel.pump import RESET, Ends

WINDOW_ADJUST, DATA, EOF, CLOSE = 93, 94, 96, 97
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE

_BLOCK_BYTES = 1 << 18
_MOST_VIEWS = 64
_GATHERS = hasattr(socket.socket, "sendmsg")


class Yard(Protocol):
    """What a pipe needs of its plane."""

    def say(self, message: bytes) -> None:
        """Send a message, or keep it until keys have been exchanged."""
        ...

    def watch(self, pipe: Pipe, events: int) -> None:
        """Have `turn` look at the pipe's socket, or not."""
        ...

    def forget(self, number: int) -> None:
        """No message for this stream comes any more."""
        ...


class Pipe:
    """See `tunnel.pump.pump` for what it does.

    Attributes:
        number: The stream's, ours.
        theirs: The stream's number, the peer's.
        room_bytes: How much the peer takes now.
        packet_bytes: How much it takes in a packet.
        watched: What `Yard.watch` was asked for last.
        stopped: Whether the wire takes nothing at the moment.
    """

    def __init__(self, yard: Yard, number: int, stream: Handed, ends: Ends, now_s: float) -> None:
        self.number, self.theirs = number, stream.theirs
        self.room_bytes, self.packet_bytes = stream.room_bytes, stream.packet_bytes
        self.sock, self._moved, self._done = ends.sock, ends.moved, ends.done
        self._yard = yard
        self._window = Window(stream.window_bytes, stream.allowed_bytes, now_s)
        self._views: list[memoryview] = []  # what came since `settle`
        self._held = bytearray(stream.data)
        self._peer_ended, self._peer_closed = stream.ended, stream.close_came
        self._eof_sent, self._close_sent = stream.close_came, stream.close_came
        self._end_told = self._over = False
        self.watched = 0
        self.stopped = False

    def take(self, kind: int, rest: memoryview) -> None:
        """A message came; `settle` acts on it.

        Raises:
            BadPacket: It makes no sense.
        """
        if kind == DATA:
            size = int.from_bytes(rest[:4], "big")
            if len(rest) < 4 or size != len(rest) - 4:
                raise BadPacket("data of another length")
            self._window.came(size)
            if not self._over:
                self._views.append(rest[4:])
        elif kind == WINDOW_ADJUST:
            if len(rest) != 4:
                raise BadPacket("a window of another length")
            self.room_bytes += int.from_bytes(rest, "big")
        else:
            self._peer_ended = True
            self._peer_closed = self._peer_closed or kind == CLOSE

    def settle(self, now_s: float, rtt_s: float | None) -> None:
        """Act on what came, and on a socket that takes bytes again."""
        if self._over:
            self._part()
            return
        try:
            size = self._deliver()
            if self._peer_ended and not self._held and not self._end_told:
                self._end_told = True
                self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.break_off()
            return
        if size:
            self._moved.received_bytes += size
            self._window.passed(size, now_s, rtt_s)
        if not self._peer_ended and (more := self._window.credit(len(self._held))):
            self._say(WINDOW_ADJUST, struct.pack(">I", more))
        self.look()

    def sent(self, size: int) -> None:
        """So many bytes of the socket's went to the peer."""
        self.room_bytes -= size
        self._moved.sent_bytes += size

    def ended(self) -> None:
        """The program at the socket has ended its direction."""
        self._eof_sent = True
        self._say(EOF)
        self.look()

    def look(self) -> None:
        """Look at the socket for what may happen next; end when nothing may."""
        if self._end_told and (self._eof_sent or self._peer_closed):
            self._finish(clean=True)
            return
        reads = READ if self.room_bytes and not self._eof_sent and not self._peer_closed and not self.stopped else 0
        self._yard.watch(self, reads | (WRITE if self._held else 0))

    def break_off(self) -> None:
        """One direction broke off, so the other does, and the program sees a reset: what it got is not all."""
        if not self._over:
            self._finish(clean=False)

    def _deliver(self) -> int:
        """Give the socket what it takes; returns how much that was."""
        views, self._views = self._views, []
        size = 0
        if views and not self._held:
            size = self._send(views)
            left = size
            for view in views:
                if left < len(view):
                    self._held += view[left:]
                left = max(0, left - len(view))
            return size
        for view in views:
            self._held += view
        if self._held:
            with memoryview(self._held) as held, held[:_BLOCK_BYTES] as block:
                size = self._send([block])
            del self._held[:size]
        return size

    def _send(self, views: list[memoryview]) -> int:
        try:
            if len(views) == 1 or not _GATHERS:
                return self.sock.send(views[0])
            return self.sock.sendmsg(views[:_MOST_VIEWS])
        except BlockingIOError:
            return 0

    def _finish(self, *, clean: bool) -> None:
        self._over = True
        self._yard.watch(self, 0)
        with suppress(OSError):
            if not clean:
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.sock.close()
        self._held, self._views = bytearray(), []
        self._part()
        self._done(clean)

    def _part(self) -> None:
        if not self._close_sent:
            self._close_sent = True
            self._say(CLOSE)
        if self._peer_closed:
            self._yard.forget(self.number)

    def _say(self, kind: int, rest: bytes = b"") -> None:
        self._yard.say(bytes((kind,)) + self.theirs + rest)
