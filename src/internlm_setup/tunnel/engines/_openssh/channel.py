"""One stream of a shared `ssh`: the ends of ours of the sockets that `ssh` reads and writes."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol


class Owner(Protocol):
    """What a channel needs of its session."""

    def heard(self, size: int) -> None:
        """So many bytes came."""
        ...

    def said(self, size: int) -> None:
        """So many bytes went."""
        ...

    def still_serves(self) -> bool:
        """Say whether `ssh` still serves: an end that it told of was one then."""
        ...

    def forget(self, channel: SharedChannel) -> None:
        """It is closed."""
        ...


class SharedChannel:
    """See `tunnel.model.Channel`."""

    def __init__(
        self, owner: Owner, reader: socket.socket, writer: socket.socket, give_up: Callable[[], object] = bool
    ) -> None:
        """Take what to read from and what to write to, which may be the same; `give_up` ends the other side."""
        self._owner, self._reader, self._writer, self._give_up = owner, reader, writer, give_up
        self._ended = False

    def patience(self, seconds: float) -> None:
        """Have `recv` raise TimeoutError when nothing comes for so long."""
        self._reader.settimeout(max(0.001, seconds))

    def recv(self, most_bytes: int) -> bytes:
        """See `tunnel.model.Channel`."""
        if self._ended:
            return b""
        data = self._reader.recv(most_bytes)
        if not data:
            if not self._owner.still_serves():
                raise ConnectionResetError("the session is gone")
            self._ended = True
        self._owner.heard(len(data))
        return data

    def send_all(self, data: bytes) -> None:
        """See `tunnel.model.Channel`."""
        self._writer.sendall(data)
        self._owner.said(len(data))

    def end_writing(self) -> None:
        """See `tunnel.model.Channel`."""
        with suppress(OSError):
            self._writer.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """See `tunnel.model.Channel`."""
        self._give_up()
        for sock in (self._reader, self._writer):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # wakes whoever waits in it
            sock.close()
        self._owner.forget(self)
