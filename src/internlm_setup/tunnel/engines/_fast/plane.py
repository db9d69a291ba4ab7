"""The data plane: the thread that reads a connection also serves the sockets at its streams, with one selector.

Private names of paramiko that are used here: `clear_to_send`, `clear_to_send_lock`, `in_kex`.
"""

from __future__ import annotations

import selectors
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from internlm_setup.tunnel.engines._fast.codec import PAYLOAD_AT, BadPacket
from internlm_setup.tunnel.engines._fast.packets import MOST_WAITING_BYTES, FastPackets
from internlm_setup.tunnel.engines._fast.pipe import CLOSE, DATA, READ, WINDOW_ADJUST, WRITE, Pipe

_EXTENDED_DATA = 95
_LOOK_S = 5.0
_MEASURE_EVERY_S = 0.25
_BURST = 8
_PACKET_BYTES = 1 << 15
_DATA_HEAD = struct.Struct(">B4sI")
_DATA_AT = PAYLOAD_AT + _DATA_HEAD.size


class Streams(Protocol):
    """What the plane tells of streams, by our numbers."""

    def forget(self, number: int) -> None:
        """No message comes for it any more."""
        ...

    def late(self, number: int) -> None:
        """Its time to open is over; it may have opened."""
        ...

    def measure(self) -> None:
        """Something passes, and it is time to see again how long a round trip takes."""
        ...


class Keys(Protocol):
    """What of paramiko's transport says whether data may be sent."""

    clear_to_send: threading.Event
    clear_to_send_lock: threading.Lock


class Plane:
    """See `packets.Taker`. Everything is for the connection's own thread but what comes first.

    Attributes:
        rtt_s: The shortest round trip seen; None before the first.
    """

    def __init__(self, packets: FastPackets, keys: Keys, sock: socket.socket, streams: Streams) -> None:
        """Take a connection."""
        self._packets, self._keys, self._sock, self._streams = packets, keys, sock, streams
        self.rtt_s: float | None = None
        self._pipes: dict[int, Pipe] = {}
        self._touched: set[Pipe] = set()
        self._stopped: set[Pipe] = set()  # until the wire takes more
        self._later: deque[bytes] = deque()
        self._joining: deque[Callable[[], Pipe]] = deque()
        self._opening: deque[tuple[float, int]] = deque()  # in order; what has opened is still among them
        self._measure_s = 0.0
        self._gone = False
        self._woken = False
        self._thread: int | None = None
        self._selector = selectors.DefaultSelector()
        self._wake, self._waking = socket.socketpair()
        self._wake.setblocking(False)
        self._waking.setblocking(False)
        self._selector.register(self._waking, READ)
        self._selector.register(sock, READ)
        self._watched = READ

    # For every thread

    def join(self, make: Callable[[], Pipe]) -> None:
        """Have a pipe served from now on; it is made in the connection's own thread."""
        self._joining.append(make)
        if self._gone:
            self._lose_joining()
        else:
            self.wake()

    def open(self, number: int, message: bytes, patience_s: float) -> None:
        """Send the message that opens a stream, at once if that can be; `late` is told when the time is over."""
        self._opening.append((time.monotonic() + patience_s, number))
        self._later.append(message)
        with suppress(EOFError, BadPacket):  # every stream hears of the end
            self._say_later()
        if len(self._opening) == 1 or self._later:
            self.wake()

    def wake(self) -> None:
        """See `packets.Taker`."""
        if not self._woken and threading.get_ident() != self._thread:
            self._woken = True
            with suppress(OSError):
                self._wake.send(b"\0")

    # For the connection's own thread

    def end(self) -> None:
        """The connection ended."""
        self._gone = True
        for pipe in list(self._pipes.values()):
            pipe.break_off()
        self._lose_joining()
        self._selector.close()
        self._wake.close()
        self._waking.close()

    def take(self, payload: memoryview) -> bool:
        """See `packets.Taker`."""
        kind = payload[0]
        if not WINDOW_ADJUST <= kind <= CLOSE or kind == _EXTENDED_DATA:
            return False
        pipe = self._pipes.get(int.from_bytes(payload[1:5], "big"))
        if pipe is None or len(payload) < 5:
            return False
        pipe.take(kind, payload[5:])
        self._touched.add(pipe)
        return True

    def settle(self) -> None:
        """See `packets.Taker`."""
        if self._touched:
            now_s = time.monotonic()
            for pipe in self._touched:
                pipe.settle(now_s, self.rtt_s)
            self._touched.clear()
            if now_s >= self._measure_s:
                self._measure_s = now_s + _MEASURE_EVERY_S
                self._streams.measure()

    def turn(self) -> bool:
        """See `packets.Taker`."""
        self._thread = threading.get_ident()
        self._prepare()
        ready = False
        for key, events in self._selector.select(self._pause_s()):
            if key.fileobj is self._sock:
                ready = bool(events & READ)
            elif key.fileobj is self._waking:
                self._waking.recv(64)
                self._woken = False  # only now: whoever saw it set has left what `_prepare` finds
            else:
                if events & WRITE:
                    self._touched.add(key.data)
                if events & READ:
                    self._upload(key.data)
        self.settle()
        return ready

    def say(self, message: bytes) -> None:
        """See `pipe.Yard`; it is sent before the next wait."""
        self._later.append(message)

    def watch(self, pipe: Pipe, events: int) -> None:
        """See `pipe.Yard`."""
        before = pipe.watched
        pipe.watched = events
        if events == before:
            return
        if not before:
            self._selector.register(pipe.sock, events, pipe)
        elif events:
            self._selector.modify(pipe.sock, events, pipe)
        else:
            self._selector.unregister(pipe.sock)

    def forget(self, number: int) -> None:
        """See `pipe.Yard`."""
        self._pipes.pop(number, None)
        self._streams.forget(number)

    def _pause_s(self) -> float:
        """Say whose time is over, and return when the next one's may be, in seconds."""
        now_s = time.monotonic()
        while self._opening and self._opening[0][0] <= now_s:
            self._streams.late(self._opening.popleft()[1])
        return min(_LOOK_S, self._opening[0][0] - now_s) if self._opening else _LOOK_S

    def _lose_joining(self) -> None:
        with suppress(IndexError):
            while True:
                self._joining.popleft()().break_off()

    def _prepare(self) -> None:
        """Before waiting: let in who joins, send what waited, look at what can go on."""
        while self._joining:
            pipe = self._joining.popleft()()
            self._pipes[pipe.number] = pipe
            self._touched.add(pipe)
        if self._packets.waiting_bytes:
            with self._packets.sending:
                self._packets.push()
        if self._stopped and self._open:
            stopped, self._stopped = self._stopped, set()
            for pipe in stopped:
                pipe.stopped = False
            self._touched |= stopped
        self.settle()
        self._say_later()
        watched = READ | (WRITE if self._packets.waiting_bytes else 0)
        if watched != self._watched:
            self._watched = watched
            self._selector.modify(self._sock, watched)

    @property
    def _open(self) -> bool:
        """Whether data may be sent now."""
        return self._keys.clear_to_send.is_set() and self._packets.waiting_bytes < MOST_WAITING_BYTES

    def _say_later(self) -> None:
        if not self._later:
            return
        with self._keys.clear_to_send_lock:
            if not self._keys.clear_to_send.is_set():
                return
            with self._packets.sending:
                while self._later:
                    self._packets.send(self._later.popleft())
                self._packets.push()

    def _upload(self, pipe: Pipe) -> None:
        """Send what the program at a pipe's socket says, as much as may be sent."""
        after = pipe.look
        with self._keys.clear_to_send_lock, self._packets.sending:
            if self._open:
                after = self._read(pipe)
                self._packets.push()
            else:
                pipe.stopped = True
                self._stopped.add(pipe)
        after()

    def _read(self, pipe: Pipe) -> Callable[[], None]:
        """Seal what there is to read, and return what is to be done then."""
        for _ in range(_BURST):
            size = min(pipe.room_bytes, pipe.packet_bytes, _PACKET_BYTES)
            if not size:
                break
            try:
                count = pipe.sock.recv_into(self._packets.slot[_DATA_AT : _DATA_AT + size])
            except BlockingIOError:
                break
            except OSError:
                return pipe.break_off
            if not count:
                return pipe.ended
            _DATA_HEAD.pack_into(self._packets.slot, PAYLOAD_AT, DATA, pipe.theirs, count)
            self._packets.send_slot(_DATA_HEAD.size + count)
            pipe.sent(count)
            if count < size:
                break
        return pipe.look
