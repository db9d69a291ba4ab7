"""A connection through a program: its input and output are the wire, and what it complains about is kept."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

from internlm_setup.core import leaving
from internlm_setup.core.child import running
from internlm_setup.core.log import mask

_CHUNK_BYTES = 1 << 16
_LAST_WORDS = 3
_LONGEST_WORDS = 300
_GOODBYE_S = 1.0


class Proxy:
    """A program that makes the connection.

    Pipes are pumped by threads, since Windows cannot wait for them as for a socket.

    It ends with us at the latest: a thread that still waits for it may never come to `close`.

    Attributes:
        sock: The connection.
    """

    def __init__(self, command: str, env: Mapping[str, str]) -> None:
        shell = [env.get("COMSPEC", "cmd.exe"), "/d", "/c"] if os.name == "nt" else ["/bin/sh", "-c"]
        words = command if os.name == "nt" else f"exec {command}"
        self._stack = ExitStack()
        self._child = self._stack.enter_context(running([*shell, words], env, Path.cwd(), stdin=subprocess.PIPE))
        leaving.register(self.close)
        self.sock, self._far = socket.socketpair()
        self._said: deque[str] = deque(maxlen=_LAST_WORDS)
        self._complaining = threading.Thread(target=self._complaints, daemon=True, name="proxy-stderr")
        self._complaining.start()
        self._pumps = [threading.Thread(target=pump, daemon=True, name="proxy") for pump in (self._up, self._down)]
        for pump in self._pumps:
            pump.start()

    def ended(self) -> tuple[int, str] | None:
        """Return its exit code and last words if it ended by itself, or None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(_GOODBYE_S)
        status = self._child.poll()
        if status is None:
            return None
        self._complaining.join(_GOODBYE_S)
        return status, mask(" / ".join(self._said))[:_LONGEST_WORDS]

    def close(self) -> None:
        """End it."""
        leaving.unregister(self.close)
        self._stack.close()
        with suppress(OSError):
            self._far.shutdown(socket.SHUT_RDWR)
        for pump in self._pumps:
            pump.join(_GOODBYE_S)
        self._far.close()

    def _up(self) -> None:
        pipe = _of(self._child.stdin)
        with suppress(OSError, ValueError):
            while data := self._far.recv(_CHUNK_BYTES):
                pipe.write(data)
                pipe.flush()
        with suppress(OSError, ValueError):
            pipe.close()

    def _down(self) -> None:
        with suppress(OSError, ValueError), _of(self._child.stdout) as pipe:
            while data := pipe.read1(_CHUNK_BYTES):  # type: ignore[attr-defined]  # it is a buffered reader
                self._far.sendall(data)
        with suppress(OSError):
            self._far.shutdown(socket.SHUT_WR)

    def _complaints(self) -> None:
        with suppress(OSError, ValueError), _of(self._child.stderr) as pipe:
            for line in pipe:
                if words := line.decode("utf-8", "replace").strip():
                    self._said.append(words)


def _of(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise AssertionError("the program was started without this pipe")
    return pipe
