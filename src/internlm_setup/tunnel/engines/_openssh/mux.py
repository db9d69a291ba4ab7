"""What a shared `ssh` is asked through its control socket, one connection a request.

Source:
    OpenSSH, PROTOCOL.mux, read 2026-11.
"""

from __future__ import annotations

import array
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_HELLO, _VERSION = 1, 4
_NEW_SESSION, _OPEN_FORWARD, _STDIO_FORWARD = 0x10000002, 0x10000006, 0x10000008
_OK, _REFUSED, _FAILED = 0x80000001, 0x80000002, 0x80000003
_OPENED, _REMOTE_PORT = 0x80000006, 0x80000007
_REMOTE = 2
_IS_A_PATH = 0xFFFFFFFE  # as a port: the host is the path of a Unix socket
_NO_ESCAPE = 0xFFFFFFFF
_LONGEST_BYTES = 1 << 16
_HELLO_S = 5.0


class Declined(Exception):
    """`ssh` does not do what was asked, or the server does not; its words are the message."""


class Control:
    """One connection to the control socket. What a request opened lives as long as the connection does."""

    def __init__(self, path: Path) -> None:
        """Connect, and wait until `ssh` says that it serves.

        Raises:
            OSError: It does not, or not any more.
        """
        self._sock = socket.socket(socket.AF_UNIX)
        try:
            self._sock.settimeout(_HELLO_S)
            self._sock.connect(str(path))
            self._send(_number(_HELLO), _number(_VERSION))
            kind, _ = self._read()
        except BaseException:
            self.close()
            raise
        if kind != _HELLO:
            self.close()
            raise ConnectionAbortedError("no control socket of ssh")

    def stream(self, host: str, port: int, files: Sequence[int], patience_s: float) -> None:
        """Have a stream opened that is read from and written to these files, which may be closed here afterwards.

        Raises:
            Declined: There is none.
            TimeoutError: Nothing was said in time.
            OSError: The session is gone.
        """
        self._send(_number(_STDIO_FORWARD), _number(0), _string(""), _string(host), _number(port))
        self._give(files)
        self._answer(patience_s)

    def command(self, words: str, files: Sequence[int], patience_s: float) -> None:
        """Have a command run whose input, output and complaints are these files.

        Raises:
            Declined: The server does not.
            TimeoutError: Nothing was said in time.
            OSError: The session is gone.
        """
        flags = _number(0) * 4  # no terminal, no X11, no agent, no subsystem
        self._send(
            *(_number(_NEW_SESSION), _number(0), _string(""), flags, _number(_NO_ESCAPE), _string(""), _string(words))
        )
        self._give(files)
        self._answer(patience_s)

    def listen_there(self, host: str, port: int, path: Path, patience_s: float) -> int:
        """Have the server listen; whoever connects there is passed on to a Unix socket here.

        Returns:
            The port there.

        Raises:
            Declined: The server does not.
            TimeoutError: Nothing was said in time.
            OSError: The session is gone.
        """
        to = (_string(str(path)), _number(_IS_A_PATH))
        self._send(*(_number(_OPEN_FORWARD), _number(0), _number(_REMOTE), _string(host), _number(port), *to))
        answer = self._answer(patience_s)
        return int.from_bytes(answer[:4], "big") if answer else port

    def close(self) -> None:
        """Give up whatever the request opened."""
        self._sock.close()

    def _send(self, *parts: bytes) -> None:
        self._sock.sendall(_string(b"".join(parts)))

    def _give(self, files: Sequence[int]) -> None:
        for file in files:
            self._sock.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file]))])

    def _answer(self, patience_s: float) -> bytes:
        """Return what comes with a yes."""
        self._sock.settimeout(patience_s)
        kind, rest = self._read()
        if kind in {_OK, _OPENED}:
            return b""
        if kind == _REMOTE_PORT:
            return rest[4:]
        if kind in {_REFUSED, _FAILED}:
            raise Declined(rest[8:].decode("utf-8", "replace"))
        raise ConnectionAbortedError("ssh answers something else")

    def _read(self) -> tuple[int, bytes]:
        size = int.from_bytes(self._exactly(4), "big")
        if not 4 <= size <= _LONGEST_BYTES:
            raise ConnectionAbortedError("no answer of ssh")
        message = self._exactly(size)
        return int.from_bytes(message[:4], "big"), message[4:]

    def _exactly(self, size: int) -> bytes:
        found = bytearray()
        while len(found) < size:
            more = self._sock.recv(size - len(found))
            if not more:
                raise ConnectionResetError("the session is gone")
            found += more
        return bytes(found)


def serves(path: Path) -> bool:
    """Say whether an `ssh` still serves its control socket: one that is about to end does not."""
    with suppress(OSError):
        Control(path).close()
        return True
    return False


def _number(value: int) -> bytes:
    return struct.pack(">I", value)


def _string(words: str | bytes) -> bytes:
    data = words.encode() if isinstance(words, str) else words
    return _number(len(data)) + data
