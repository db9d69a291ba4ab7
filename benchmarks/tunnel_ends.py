"""What is behind a tunnel when it is measured, and who measures: the two programs at its ends.

Behind it is one port. A connection begins with a letter and a size: `d` gets so many random bytes, `t` so many of
text, `u` sends them and gets one back, and `e` gets everything back. In front of it is a process of its own, so that it
can stand in another network and does not share an interpreter with whoever compares. It prints what it found as JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

BLOCK_BYTES = 256 << 10
HEAD = struct.Struct(">cQ")
PING = b"p" * 1024
ECHO, DOWN, TEXT, UP = b"e", b"d", b"t", b"u"
PATIENCE_S = 120.0
ANSWER_S = 1.0
PAUSE_S = 0.01
GOODBYE_S = 10.0
MANY = 1 << 50
PROSE_BYTES = 4 << 20


def noise() -> bytes:
    """Return a block that no compression makes smaller, however often it is repeated."""
    return random.Random(5).randbytes(BLOCK_BYTES)


def prose() -> bytes:
    """Return text that stays the same from day to day: Python's own library."""
    modules = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    return b"".join(module.read_bytes() for module in modules)[:PROSE_BYTES]


# Behind the tunnel


def serve() -> None:
    """Serve until the input ends; print the port."""
    blocks = {DOWN: noise(), TEXT: prose()}

    def answer(sock: socket.socket) -> None:
        with sock, suppress(OSError, EOFError, struct.error):  # who goes away early is no trouble
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            kind, size = HEAD.unpack(sock.recv(HEAD.size, socket.MSG_WAITALL))
            if kind in blocks:
                send(sock, blocks[kind], size)
            elif kind == UP:
                read(sock, size)
                sock.sendall(b"!")
            else:
                while data := sock.recv(1 << 16):
                    sock.sendall(data)

    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:

        def accept() -> None:
            while True:
                threading.Thread(target=answer, args=(listening.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        print(listening.getsockname()[1], flush=True)
        sys.stdin.read()


def send(sock: socket.socket, block: bytes, size: int) -> None:
    for begin in range(0, size, len(block)):
        sock.sendall(block[: size - begin])


def read(sock: socket.socket, size: int) -> None:
    room = bytearray(1 << 20)
    while size > 0:
        count = sock.recv_into(room)
        if not count:
            raise EOFError
        size -= count


# In front of it


def connect(port: int, kind: bytes, size: int = 0, patience_s: float = PATIENCE_S) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), patience_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(HEAD.pack(kind, size))
    return sock


def ping(sock: socket.socket) -> float:
    begun_s = time.monotonic()
    sock.sendall(PING)
    if len(sock.recv(len(PING), socket.MSG_WAITALL)) < len(PING):
        raise EOFError
    return time.monotonic() - begun_s


def wait(port: int, limit_s: float = 30.0) -> float:
    """Return how many seconds pass until a connection is answered, which is tried each millisecond."""
    begun_s = time.monotonic()
    while True:
        try:
            with connect(port, ECHO, patience_s=limit_s) as sock:
                ping(sock)
        except (OSError, EOFError):
            if time.monotonic() - begun_s > limit_s:
                raise
            time.sleep(0.001)
        else:
            return time.monotonic() - begun_s


def start(port: int, *command: str) -> float:
    """Start a client, and return how many seconds pass until the first answer comes through it."""
    begun_s = time.monotonic()
    quiet = subprocess.DEVNULL
    client = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
    try:
        wait(port)
        return time.monotonic() - begun_s
    finally:
        with suppress(ProcessLookupError):
            os.killpg(client.pid, signal.SIGTERM)
        client.wait(GOODBYE_S)


def load(port: int, kind: str, size: int, streams: int = 1) -> float:
    """Move a size in so many streams at once; return the seconds it took."""
    block = noise()

    def move(_: int) -> None:
        share = size // streams
        with connect(port, kind.encode(), share) as sock:
            if kind.encode() == UP:
                send(sock, block, share)
                share = 1
            read(sock, share)

    begun_s = time.monotonic()
    with ThreadPoolExecutor(streams) as threads:
        list(threads.map(move, range(streams)))
    return time.monotonic() - begun_s


def pings(port: int, count: int) -> list[float]:
    """Return the seconds that each of so many answers took."""
    with connect(port, ECHO) as sock:
        ping(sock)
        return [ping(sock) for _ in range(count)]


def connections(port: int, count: int) -> list[float]:
    """Return the seconds that each of so many new connections took to be answered; it is ended here after that."""
    taken_s = []
    for _ in range(count):
        begun_s = time.monotonic()
        with connect(port, ECHO) as sock:
            ping(sock)
        taken_s.append(time.monotonic() - begun_s)
    return taken_s


def pages(port: int, count: int) -> list[float]:
    """Return the seconds that each of so many pages took: asked for on a new connection, which the service ends."""
    taken_s, block = [], bytearray(1 << 16)
    for _ in range(count):
        begun_s = time.monotonic()
        with connect(port, DOWN, len(PING)) as sock:
            read(sock, len(PING))
            if sock.recv_into(block):
                raise EOFError
        taken_s.append(time.monotonic() - begun_s)
    return taken_s


def pings_under_load(port: int, settle_s: float, seconds: float) -> dict[str, object]:
    """Download without end, and ping beside it once it has settled.

    Returns:
        `pings` in seconds, and `bytes_per_s` of the download meanwhile.
    """
    room, came, over = bytearray(1 << 20), [0], threading.Event()
    with connect(port, DOWN, MANY) as bulk, connect(port, ECHO) as sock:

        def download() -> None:
            while not over.is_set() and (count := bulk.recv_into(room)):
                came[0] += count

        thread = threading.Thread(target=download)
        thread.start()
        time.sleep(settle_s)
        before, begun_s, found = came[0], time.monotonic(), []
        while time.monotonic() - begun_s < seconds:
            found.append(ping(sock))
        rate = (came[0] - before) / (time.monotonic() - begun_s)
        over.set()
        thread.join()
    return {"pings": found, "bytes_per_s": rate}


def stall(port: int, streams: int) -> None:
    """Begin so many downloads and read nothing of them, until the input ends; print a line once they are begun."""
    stalled = [connect(port, DOWN, MANY) for _ in range(streams)]
    print("stalled", flush=True)
    sys.stdin.read()
    for sock in stalled:
        sock.close()


def requests(port: int) -> None:
    """Ask without end, each time over a new connection; print when each began and ended, and whether it was answered.

    Times are of the monotonic clock, which all processes share.
    """
    while True:
        begun_s = time.monotonic()
        try:
            with connect(port, ECHO, patience_s=ANSWER_S) as sock:
                ping(sock)
            answered = True
        except (OSError, EOFError):
            answered = False
        print(json.dumps([begun_s, time.monotonic(), answered]), flush=True)
        time.sleep(PAUSE_S)


_IN_FRONT = (wait, start, load, pings, connections, pages, pings_under_load, stall, requests)
ROLES: dict[str, Callable[..., object]] = {role.__name__: role for role in (serve, *_IN_FRONT)}


def main(words: list[str]) -> int:
    """Take a role, with what it is given as a list in JSON."""
    role, given = words
    found = ROLES[role](*json.loads(given))
    if found is not None:
        print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
