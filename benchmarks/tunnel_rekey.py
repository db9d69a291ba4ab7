"""Do bytes survive new keys? Four loads at once while keys are exchanged every 20 MB, hashes compared; no ratios.

Two downloads and two uploads through one session to the real OpenSSH server, again and again until time is up. A line
every half minute says how far it is; the first wrong hash, or a connection that breaks, ends it with exit code 1.

`PYTHONPATH=src:tests python benchmarks/tunnel_rekey.py --engine fast --seconds 600`
"""

from __future__ import annotations

import argparse
import hashlib
import random
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from servers.openssh import Sshd, make_key, sshd
from servers.streams import ENGINES, digest_at_end, digest_of, held, local, service, session_to

CONTENT = random.Random(5).randbytes(64_000_000)
EXPECTED = hashlib.sha256(CONTENT).hexdigest().encode()
SAID_EVERY_S = 30.0
LATE_S = 120.0


def main(words: Sequence[str] | None = None) -> int:
    """Load, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=sorted(ENGINES), default="fast")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--every-mb", type=int, default=20, help="of each direction (%(default)s)")
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder, sshd(Path(folder), f"RekeyLimit {options.every_mb}M") as server:
        make_key(server.folder / "key")
        server.authorize((server.folder / "key.pub").read_text().strip())
        return _run(server, options)


def _run(server: Sshd, options: argparse.Namespace) -> int:
    with ExitStack() as stack:
        session: Any = session_to(server, ENGINES[options.engine])
        stack.callback(session.close)
        keys = _count_keys(session)
        tap, sink = (stack.enter_context(service(handle)) for handle in (_give, digest_at_end))
        down, up = (stack.enter_context(held(session, local(there))) for there in (tap, sink))
        begun_s, over = time.monotonic(), threading.Event()
        loads = [(_download, down.port), (_download, down.port), (_upload, up.port), (_upload, up.port)]
        rounds = [0] * len(loads)

        def repeat(number: int) -> None:
            act, port = loads[number]
            while not over.is_set():
                if (found := act(port)) != EXPECTED:
                    raise ValueError(f"load {number}, round {rounds[number]}: {found!r}")
                rounds[number] += 1

        threads = stack.enter_context(ThreadPoolExecutor(len(loads)))
        stack.callback(over.set)
        running = [threads.submit(repeat, number) for number in range(len(loads))]
        while (lasted_s := time.monotonic() - begun_s) < options.seconds and not any(each.done() for each in running):
            wait(running, min(SAID_EVERY_S, options.seconds - lasted_s), return_when="FIRST_COMPLETED")
            _say(options.engine, time.monotonic() - begun_s, rounds, len(keys))
        over.set()
        errors = [error for each in running if (error := each.exception())]
        _say(options.engine, time.monotonic() - begun_s, rounds, len(keys))
    for error in errors:
        print(f"WRONG: {error!r}", flush=True)
    print("failed" if errors else f"every one of {sum(rounds)} hashes is equal", flush=True)
    return 1 if errors else 0


def _say(engine: str, lasted_s: float, rounds: list[int], keys: int) -> None:
    moved_mb = sum(rounds) * len(CONTENT) // 1_000_000
    print(f"{engine}: {lasted_s:.0f} s, rounds {rounds}, {moved_mb} MB whole, {keys} exchanges of keys", flush=True)


def _count_keys(session: Any) -> list[None]:
    """Return a list that grows with every exchange of keys."""
    found: list[None] = []
    packets = session._transport.packetizer
    take: Callable[..., None] = packets.set_inbound_cipher

    def counted(*args: Any, **named: Any) -> None:
        found.append(None)
        take(*args, **named)

    packets.set_inbound_cipher = counted
    return found


def _give(sock: socket.socket) -> None:
    sock.sendall(CONTENT)


def _download(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), LATE_S) as sock:
        return digest_of(sock)


def _upload(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), LATE_S) as sock:
        sock.sendall(CONTENT)
        sock.shutdown(socket.SHUT_WR)
        return sock.recv(len(EXPECTED), socket.MSG_WAITALL)


if __name__ == "__main__":
    sys.exit(main())
