"""Packets that are read many at a time, and that know when the last byte came.

Private names of paramiko that are used here: `_Packetizer__remainder`.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from internlm_setup.core.ssh.packets import Packets, refuse_longer

SMALL_BYTES = 1 << 10
Said = TypeVar("Said", bound=bytes | memoryview)
_BUFFER_BYTES = 1 << 18
_LOOK_S = 5.0
_TCP_PATIENCE_MS = 60_000


class BufferedPackets(Packets):
    """Packets from one buffer instead of two reads a packet.

    Attributes:
        last_byte_s: When the last byte came, on the monotonic clock.
        received_bytes: What came over the wire.
        sent_bytes: What went over it.
        recent: The last large thing that was said, by either side.
    """

    def __init__(self, sock: Any) -> None:
        super().__init__(sock)
        self.last_byte_s = time.monotonic()
        self.received_bytes = self.sent_bytes = 0
        self.recent: bytes | memoryview = b""
        self._sock = sock
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._begin = self._end = 0
        self._over: Callable[[], object] | None = None

    def note(self, data: Said) -> Said:
        """Remember what is said, where it is large; returns it."""
        if len(data) > SMALL_BYTES:
            self.recent = data
        return data

    def when_over(self, call: Callable[[], object]) -> None:
        """Have it called when the connection ends, at once if it has; it may be called twice."""
        self._over = call
        if self.closed:
            call()

    def look_rarely(self) -> None:
        """Wait longer at a time, now that nothing but bytes is to be expected; TCP gives up after a minute."""
        sock = self._sock
        is_tcp = isinstance(sock, socket.socket) and sock.family in {socket.AF_INET, socket.AF_INET6}
        if is_tcp and hasattr(socket, "TCP_USER_TIMEOUT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _TCP_PATIENCE_MS)
        sock.settimeout(_LOOK_S)

    def close(self) -> None:
        """End the connection, and wake whoever waits in it."""
        with suppress(OSError, AttributeError):  # what runs through another server has no `shutdown`
            self._sock.shutdown(socket.SHUT_RDWR)
        super().close()
        if self._over is not None:
            self._over()

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        """Wait for `n` bytes and return them; new keys that are due wait for the next packet.

        Raises:
            SSHException: No packet is as long.
        """
        del check_rekey
        refuse_longer(n)
        while self._end - self._begin < n:
            self._fill(n)
        begin, self._begin = self._begin, self._begin + n
        return bytes(self._buffer[begin : self._begin])

    def write_all(self, out: bytes | memoryview) -> None:
        """Send all of it."""
        rest = memoryview(out)
        while rest:
            try:
                sent = self._sock.send(rest)
            except OSError as cause:
                if self.closed or not _is_late(cause):
                    raise EOFError from cause
                continue
            rest = rest[sent:]
        self.sent_bytes += len(out)

    def _fill(self, n: int) -> None:
        """Read what there is, at least one byte; make room for `n` first."""
        held = self._end - self._begin
        greeting: bytes = self._Packetizer__remainder  # type: ignore[has-type]
        if greeting:
            self._Packetizer__remainder = b""
            self._begin, self._end = 0, len(greeting)
            self._buffer[: self._end] = greeting
            return
        if self._begin + n > len(self._buffer) or not held:
            larger = self._buffer if n <= len(self._buffer) else memoryview(bytearray(n))
            larger[:held] = bytes(self._buffer[self._begin : self._end])
            self._buffer, self._begin, self._end = larger, 0, held
        if self.handshake_timed_out():
            raise EOFError
        try:
            count = self._sock.recv_into(self._buffer[self._end :])
        except OSError as cause:
            if self.closed:
                raise EOFError from cause
            if not _is_late(cause):
                raise
            return
        if not count:
            raise EOFError
        self._end += count
        self.received_bytes += count
        self.last_byte_s = time.monotonic()


def _is_late(error: OSError) -> bool:
    """Tell our own patience, after which the connection is looked at, from TCP's, which is its end."""
    return isinstance(error, (TimeoutError, BlockingIOError)) and error.errno != errno.ETIMEDOUT
