"""SSH's compression as OpenSSH does it: one zlib stream a direction, and what it saves is counted.

paramiko's own forgets all it has seen after every packet, and puts no bound to what a packet may grow to.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal

Wish = Literal["auto", "on", "off"]
"""Whether to compress; `auto` does where that is likely to help."""

NAME = "zlib@openssh.com"
_LARGEST_BYTES = 1 << 20


@dataclass(slots=True)
class Saved:
    """How many bytes one direction did not have to carry; below zero where compressing made more of them."""

    size_bytes: int = 0


class Compressor:
    """What we send, a packet at a time."""

    def __init__(self, saved: Saved) -> None:
        self._saved, self._stream = saved, zlib.compressobj()

    def __call__(self, data: bytes) -> bytes:
        """Return a packet's payload as it goes over the wire."""
        small = self._stream.compress(data) + self._stream.flush(zlib.Z_PARTIAL_FLUSH)
        self._saved.size_bytes += len(data) - len(small)
        return small


class Decompressor:
    """What the peer sends, a packet at a time."""

    def __init__(self, saved: Saved) -> None:
        self._saved, self._stream = saved, zlib.decompressobj()

    def __call__(self, data: bytes) -> bytes:
        """Return what a packet's payload was.

        Raises:
            zlib.error: It makes no sense, or no packet is as large.
        """
        large = self._stream.decompress(data, _LARGEST_BYTES)
        if self._stream.unconsumed_tail:
            raise zlib.error("a packet that is larger than any")
        self._saved.size_bytes += len(large) - len(data)
        return large
