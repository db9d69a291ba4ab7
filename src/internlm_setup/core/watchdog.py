"""A limit to the whole of something that a socket's own time-out limits only byte by byte.

A server that sends one byte of a header every few seconds, or `100 Continue` for ever, never lets a time-out run out.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

LOOK_EVERY_S = 0.25


@dataclass(eq=False)
class _Watch:
    sock: socket.socket
    deadline_s: float
    hung_up: bool = False


class Watchdog:
    """Hangs up on sockets that took too long. One thread for all of them, and none while there are none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watches: set[_Watch] = set()
        self._awake = False

    @contextmanager
    def watching(self, sock: socket.socket, patience_s: float) -> Iterator[None]:
        """Give what is done inside so much time in all.

        Raises:
            TimeoutError: It took longer, whether it then failed or seemed to succeed.
        """
        watch = _Watch(sock, time.monotonic() + patience_s)
        with self._lock:
            self._watches.add(watch)
            if not self._awake:
                self._awake = True
                threading.Thread(target=self._run, daemon=True, name="watchdog").start()
        try:
            yield
        except Exception as error:
            if watch.hung_up:
                raise TimeoutError("no whole answer in time") from error
            raise
        finally:
            with self._lock:
                self._watches.discard(watch)
        if watch.hung_up:
            raise TimeoutError("no whole answer in time")

    def _run(self) -> None:
        while True:
            time.sleep(LOOK_EVERY_S)
            with self._lock:
                if not self._watches:
                    self._awake = False
                    return
                now_s = time.monotonic()
                for watch in self._watches:
                    if now_s >= watch.deadline_s and not watch.hung_up:
                        watch.hung_up = True
                        with suppress(OSError):  # past TLS, whose own goodbye would wait for the other side
                            socket.socket.shutdown(watch.sock, socket.SHUT_RDWR)
