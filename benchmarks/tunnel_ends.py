"""What is behind a tunnel when it is measured, and who measures: a source, a sink and an echo behind one port.

A connection begins with a letter and a size: `d` sends so many bytes, `u` takes them and answers with one, `e` sends
everything back. Run as a program it serves until its input ends, and prints its port.
"""

from __future__ import annotations

import socket
import struct
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

BLOCK = bytes(range(256)) * 1024
HEAD = struct.Struct(">cQ")
PING = b"p" * 1024


def serve(sock: socket.socket) -> None:
    """Serve one connection."""
    with sock, suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        kind, size = HEAD.unpack(sock.recv(HEAD.size, socket.MSG_WAITALL))
        if kind == b"d":
            send(sock, size)
        elif kind == b"u":
            read(sock, size)
            sock.sendall(b"!")
        else:
            while data := sock.recv(65536):
                sock.sendall(data)


def send(sock: socket.socket, size: int) -> None:
    for begin in range(0, size, len(BLOCK)):
        sock.sendall(BLOCK[: size - begin])


def read(sock: socket.socket, size: int) -> None:
    room = bytearray(1 << 20)
    while size > 0:
        count = sock.recv_into(room)
        if not count:
            raise EOFError
        size -= count


def connect(port: int, kind: bytes, size: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), 60)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(HEAD.pack(kind, size))
    return sock


def download(port: int, size: int) -> None:
    with connect(port, b"d", size) as sock:
        read(sock, size)


def upload(port: int, size: int) -> None:
    with connect(port, b"u", size) as sock:
        send(sock, size)
        if sock.recv(1) != b"!":
            raise EOFError


def several(port: int, size: int, streams: int) -> None:
    """Download a size in so many streams at once."""
    with ThreadPoolExecutor(streams) as threads:
        list(threads.map(lambda _: download(port, size // streams), range(streams)))


def pings(port: int, count: int) -> list[float]:
    """Return how long each of so many answers took, in seconds, sorted."""
    with connect(port, b"e", 0) as sock:
        return sorted(_ping(sock) for _ in range(count))


def connections(port: int, count: int) -> float:
    """Return how many new connections a second answer, one after the other."""
    begun_s = time.monotonic()
    for _ in range(count):
        with connect(port, b"e", 0) as sock:
            _ping(sock)
    return count / (time.monotonic() - begun_s)


def _ping(sock: socket.socket) -> float:
    begun_s = time.monotonic()
    sock.sendall(PING)
    sock.recv(len(PING), socket.MSG_WAITALL)
    return time.monotonic() - begun_s


def main() -> int:
    """Serve."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        print(listening.getsockname()[1], flush=True)

        def accept() -> None:
            while True:
                threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
