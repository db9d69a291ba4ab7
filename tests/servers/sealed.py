"""A connection whose other end a test holds in its hands: sealed packets go in, and what is made of them comes out."""

from __future__ import annotations

import socket
import struct
import threading
import time
from types import SimpleNamespace
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from internlm_setup.tunnel.engines._fast.codec import PAYLOAD_AT, Sealer, Unsealer, wire_bytes
from internlm_setup.tunnel.engines._fast.packets import FastPackets
from internlm_setup.tunnel.engines._fast.pipe import Pipe
from internlm_setup.tunnel.engines._fast.plane import Plane
from internlm_setup.tunnel.engines._ssh.stream import WINDOW_BYTES, Handed
from internlm_setup.tunnel.pump import Ends, Moved

OURS, THEIRS = AESGCM(b"ours" * 4), AESGCM(b"them" * 4)
NONCE = bytes(range(12))


class Plain:
    """A key of an older cryptography, which makes a new `bytes` each time."""

    def __init__(self, key: AESGCM) -> None:
        self.encrypt, self.decrypt = key.encrypt, key.decrypt


class Drip:
    """A socket that gives so many bytes at a time at most."""

    def __init__(self, sock: socket.socket, most_bytes: int) -> None:
        self._sock, self._most_bytes = sock, most_bytes

    def recv_into(self, room: memoryview) -> int:
        """See `socket.recv_into`."""
        return self._sock.recv_into(room[: self._most_bytes])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


class Line:
    """One connection.

    Attributes:
        packets: Ours, with a plane.
        peer: The other end of the wire.
        passed: What the plane left to paramiko: kind and message.
        forgotten: Streams that are over on both sides.
        belated: Streams whose time to open is over.
    """

    def __init__(self, most_bytes: int = 1 << 20, ours: Any = OURS, theirs: Any = THEIRS) -> None:
        sock, self.peer = socket.socketpair()
        wire: Any = Drip(sock, most_bytes)
        self.keys = SimpleNamespace(clear_to_send=threading.Event(), clear_to_send_lock=threading.Lock())
        self.keys.clear_to_send.set()
        self.packets = FastPackets(wire)
        self.packets.set_outbound_cipher(ours, 16, None, 16, None, aead=True, iv_out=NONCE)
        self.packets.set_inbound_cipher(theirs, 16, None, 16, None, aead=True, iv_in=NONCE)
        self.forgotten: list[int] = []
        self.belated: list[int] = []
        self.plane = Plane(self.packets, self.keys, wire, self)
        self.packets.attach(self.plane, bool)
        self.passed: list[tuple[int, bytes]] = []
        self._sealer, self._unsealer = Sealer(THEIRS, NONCE), Unsealer(OURS, NONCE)
        self._said = b""

    def stream(self, number: int, **state: Any) -> tuple[socket.socket, list[bool]]:
        """Let a stream in; returns the program's end of its socket, and what becomes of it."""
        sock, program = socket.socketpair()
        sock.setblocking(False)
        result: list[bool] = []
        sizes = {"room_bytes": WINDOW_BYTES, "packet_bytes": 1 << 15, "window_bytes": WINDOW_BYTES}
        rest = {"allowed_bytes": WINDOW_BYTES, "data": b"", "ended": False, "close_came": False}
        handed = Handed(**{"theirs": struct.pack(">I", number + 100), **sizes, **rest, **state})
        ends = Ends(sock, Moved(), result.append)
        self.plane.join(lambda: Pipe(self.plane, number, handed, ends, time.monotonic()))
        return program, result

    def forget(self, number: int) -> None:
        """See `plane.Streams`."""
        self.forgotten.append(number)

    def late(self, number: int) -> None:
        """See `plane.Streams`."""
        self.belated.append(number)

    def measure(self) -> None:
        """See `plane.Streams`."""

    def seal(self, payload: bytes) -> bytes:
        """Return the peer's next packet."""
        slot, out = memoryview(bytearray(len(payload) + 128)), memoryview(bytearray(len(payload) + 128))
        slot[PAYLOAD_AT : PAYLOAD_AT + len(payload)] = payload
        return bytes(out[: self._sealer.seal(slot, len(payload), out)])

    def read(self) -> None:
        """Read to the end of the connection, and say in `passed` what came besides; then the plane ends.

        Raises:
            SSHException: What came makes no sense.
        """
        try:
            while True:
                kind, message = self.packets.read_message()
                self.passed.append((kind, message.asbytes()))
        except EOFError:
            pass
        finally:
            self.packets.close()
            self.plane.end()

    def said(self) -> list[bytes]:
        """Return the messages that we sent so far and that nobody has asked for yet."""
        self.peer.setblocking(False)
        try:
            while data := self.peer.recv(1 << 20):
                self._said += data
        except BlockingIOError:
            pass
        self.peer.setblocking(True)
        found = []
        while len(self._said) >= 4 and len(self._said) >= (size := wire_bytes(memoryview(self._said))):
            packet, self._said = memoryview(self._said)[:size], self._said[size:]
            found.append(bytes(self._unsealer.unseal(packet, memoryview(bytearray(size)))))
        return found


def data(number: int, content: bytes) -> bytes:
    """Make the message that carries a stream's bytes."""
    return struct.pack(">BII", 94, number, len(content)) + content


def about(kind: int, number: int) -> bytes:
    """Make a message with nothing but a stream's number."""
    return struct.pack(">BI", kind, number)
