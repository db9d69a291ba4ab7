"""paramiko's packets, and bounds to what a peer may say of them: before there are keys that is anybody on the way."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import paramiko
from paramiko.packet import Packetizer

_LONGEST_BYTES = (1 << 18) + 256  # what OpenSSH takes for a packet, and a code behind it
_MOST_ENTRIES = 1024


class Packets(Packetizer):  # type: ignore[misc]  # paramiko has no types
    """Packets whose keys last as long as OpenSSH's do: 64 GiB, not 512 MiB.

    Attributes:
        greeting: The lines that the server began with, before any packet.
    """

    REKEY_BYTES = 1 << 36
    REKEY_PACKETS = 1 << 31

    def __init__(self, sock: Any) -> None:
        super().__init__(sock)
        self.greeting: list[str] = []

    def readline(self, timeout: float) -> str:
        """Read one line of the greeting."""
        line = super().readline(timeout)
        self.greeting.append(line)
        return str(line)

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:
        """Read `n` bytes, which the peer said: before there are keys that is anybody.

        Raises:
            SSHException: No packet is as long, and no room is made for it.
        """
        refuse_longer(n)
        return bytes(super().read_all(n, check_rekey))

    def set_inbound_cipher(self, *args: Any, **kwargs: Any) -> None:
        """Take the keys of what comes; whether it is compressed goes with them."""
        self.set_inbound_compressor(None)
        super().set_inbound_cipher(*args, **kwargs)

    def set_outbound_cipher(self, *args: Any, **kwargs: Any) -> None:
        """Take the keys of what we send; whether it is compressed goes with them."""
        self.set_outbound_compressor(None)
        super().set_outbound_cipher(*args, **kwargs)

    def close(self) -> None:
        """Let go of the connection, which may be gone already."""
        with suppress(OSError, EOFError, paramiko.SSHException):
            super().close()


def refuse_longer(n: int) -> None:
    """Refuse to wait for more bytes than a packet has, let alone make room for them.

    Raises:
        SSHException: They are more.
    """
    if not 0 <= n <= _LONGEST_BYTES:
        raise paramiko.SSHException(f"a packet of {n} bytes")


def credible(message: paramiko.Message, entries: int) -> paramiko.Message:
    """Return a message that says how many entries it has; paramiko would read as many as anybody says.

    Raises:
        SSHException: They are too many to be meant.
    """
    if entries > _MOST_ENTRIES:
        raise paramiko.SSHException(f"a message of {entries} entries")
    return message
