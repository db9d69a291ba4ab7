"""A long way for TCP, without packets: what is sent to this relay arrives so much later, and no faster than it may.

It ends every connection and makes another one, so distance shows in windows alone: nothing is lost, and neither end's
congestion control has anything to do. Run as a program, with the server's port, the round trip in seconds and a rate in
bytes a second (0 is no limit), it prints its own port and relays until its input ends.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections import deque
from contextlib import suppress

BLOCK_BYTES, FINE_BYTES = 64 << 10, 16 << 10
ROOM_BYTES = 1 << 30
QUEUE_BYTES = 256 << 10
EARLY_S = 0.005


class Way:
    """One direction of one connection."""

    def __init__(self, source: socket.socket, sink: socket.socket, delay_s: float, bytes_per_s: float) -> None:
        self._source, self._sink, self._delay_s, self._rate = source, sink, delay_s, bytes_per_s
        self._room = int(bytes_per_s * delay_s) + QUEUE_BYTES if bytes_per_s else ROOM_BYTES
        self._queue: deque[tuple[float, bytes]] = deque()
        self._size_bytes, self._changed, self._free_at_s = 0, threading.Condition(), 0.0
        for work in (self._take_in, self._let_go):
            threading.Thread(target=work, daemon=True).start()

    def _take_in(self) -> None:
        most = FINE_BYTES if self._rate else BLOCK_BYTES
        data = b"."
        while data:
            try:
                data = self._source.recv(most)
            except OSError:
                data = b""
            with self._changed:
                self._changed.wait_for(lambda: self._size_bytes < self._room)
                self._queue.append((time.monotonic() + self._delay_s, data))
                self._size_bytes += len(data)
                self._changed.notify_all()

    def _let_go(self) -> None:
        with suppress(OSError):
            while data := self._next():
                self._sink.sendall(data)
                with self._changed:
                    self._queue.popleft()
                    self._size_bytes -= len(data)
                    self._changed.notify_all()
            self._sink.shutdown(socket.SHUT_WR)

    def _next(self) -> bytes:
        """Wait until the next bytes are due by delay and rate."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue)
            due_s, data = self._queue[0]
        _sleep_until(due_s)
        if self._rate:
            self._free_at_s = max(self._free_at_s, time.monotonic() - EARLY_S) + len(data) / self._rate
            _sleep_until(self._free_at_s)
        return data


def _sleep_until(moment_s: float) -> None:
    if (left_s := moment_s - time.monotonic()) > 0:
        time.sleep(left_s)


def main(words: list[str]) -> int:
    """Relay."""
    port, round_trip_s, bytes_per_s = int(words[0]), float(words[1]), float(words[2])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)

        def accept() -> None:
            while True:
                near = listening.accept()[0]
                far = socket.create_connection(("127.0.0.1", port))
                for sock in (near, far):
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                Way(far, near, round_trip_s / 2, bytes_per_s)
                Way(near, far, round_trip_s / 2, 0)

        threading.Thread(target=accept, daemon=True).start()
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
