"""Sealed packets (AES-GCM, RFC 5647, with the length in the open as OpenSSH has it). Nothing here touches a socket."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from typing import Any

import paramiko
from cryptography.exceptions import InvalidTag

LONGEST_BYTES = 1 << 18  # a packet's length as OpenSSH takes it at most
PAYLOAD_AT = 5  # after the length of the packet and of its padding
OVERHEAD_BYTES = 64  # at least what a packet is longer than its payload

_LENGTH, _TAG, _BLOCK = 4, 16, 16
_LEAST_PADDING = 4
_COUNTS = (1 << 64) - 1
_HEAD = struct.Struct(">IB")

Compress = Callable[[bytes], bytes]


class BadPacket(paramiko.SSHException):  # type: ignore[misc]  # paramiko has no types
    """What came is no packet of the peer's, or makes no sense; the session cannot go on."""


def wire_bytes(head: memoryview) -> int:
    """Return how long a packet is on the wire, by its first four bytes.

    Raises:
        BadPacket: There is no such packet.
    """
    length = int.from_bytes(head[:_LENGTH], "big")
    if length % _BLOCK or not _BLOCK <= length <= LONGEST_BYTES:
        raise BadPacket(f"a packet of {length} bytes")
    return _LENGTH + length + _TAG


class _Counted:
    """One direction's key: its nonces, and how much it has been used.

    Attributes:
        used_bytes: On the wire.
        used_packets: Packets.
    """

    def __init__(self, engine: Any, nonce: bytes) -> None:
        self._engine = engine
        self._fixed, self._count = nonce[:4], int.from_bytes(nonce[4:], "big")
        self.used_bytes = self.used_packets = 0

    def _next(self, size: int) -> bytes:
        nonce = self._fixed + self._count.to_bytes(8, "big")
        self._count = (self._count + 1) & _COUNTS
        self.used_bytes += size
        self.used_packets += 1
        return nonce


class Sealer(_Counted):
    """What we send."""

    def __init__(self, engine: Any, nonce: bytes) -> None:
        """Take a key (`AESGCM`) and its first nonce, 12 bytes."""
        super().__init__(engine, nonce)
        self._into: Callable[..., int] | None = getattr(engine, "encrypt_into", None)

    def seal(self, slot: memoryview, size: int, out: memoryview) -> int:
        """Make a packet.

        Args:
            slot: The payload stands at `PAYLOAD_AT` in it; the rest is overwritten.
            size: The payload's.
            out: Where it goes, with room for `OVERHEAD_BYTES` more than the payload.

        Returns:
            How long it is.
        """
        padding = _BLOCK - (size + 1) % _BLOCK
        padding += _BLOCK * (padding < _LEAST_PADDING)
        end = PAYLOAD_AT + size + padding
        _HEAD.pack_into(slot, 0, end - _LENGTH, padding)
        slot[PAYLOAD_AT + size : end] = os.urandom(padding)
        out[:_LENGTH] = slot[:_LENGTH]
        nonce, plain, head = self._next(end + _TAG), slot[_LENGTH:end], slot[:_LENGTH]
        if self._into is not None:
            self._into(nonce, plain, head, out[_LENGTH : end + _TAG])
        else:
            out[_LENGTH : end + _TAG] = self._engine.encrypt(nonce, plain, head)
        return end + _TAG


class Unsealer(_Counted):
    """What the peer sends."""

    def __init__(self, engine: Any, nonce: bytes) -> None:
        """Take a key (`AESGCM`) and its first nonce, 12 bytes."""
        super().__init__(engine, nonce)
        self._into: Callable[..., int] | None = getattr(engine, "decrypt_into", None)

    def unseal(self, packet: memoryview, room: memoryview) -> memoryview:
        """Return the payload of a packet, which has at least one byte.

        Args:
            packet: All of it, `wire_bytes` long.
            room: As long as the packet; the payload may lie in it.

        Raises:
            BadPacket: It is not the peer's next packet, or its padding makes no sense.
        """
        size = len(packet) - _LENGTH - _TAG
        nonce, sealed, head = self._next(len(packet)), packet[_LENGTH:], packet[:_LENGTH]
        try:
            if self._into is not None:
                self._into(nonce, sealed, head, room[:size])
                plain = room[:size]
            else:
                plain = memoryview(self._engine.decrypt(nonce, sealed, head))
        except InvalidTag:
            raise BadPacket("a packet that is not the peer's") from None
        end = size - plain[0]
        if plain[0] < _LEAST_PADDING or end < 2:
            raise BadPacket("a packet with odd padding")
        return plain[1:end]


def enlarged(decompress: Compress, payload: memoryview) -> memoryview:
    """Return what a payload was before it was compressed.

    Raises:
        BadPacket: It was not, or was empty.
    """
    try:
        large = decompress(bytes(payload))
    except zlib.error:
        large = b""
    if not large:
        raise BadPacket("a message that is compressed in an odd way")
    return memoryview(large)
