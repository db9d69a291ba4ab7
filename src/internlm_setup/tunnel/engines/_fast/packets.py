"""paramiko's packets with sealing of our own, and with a data plane that takes what belongs to it.

Until a plane is attached everything waits as paramiko does. Then the connection's own thread waits in the plane, and
nothing here waits for the wire: what it does not take at once is kept in order.

Private names of paramiko that are used here: `_trigger_rekey`, `packet.NeedRekeyException`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

import paramiko
import paramiko.packet

from internlm_setup.tunnel.engines._fast.codec import (
    LONGEST_BYTES,
    OVERHEAD_BYTES,
    PAYLOAD_AT,
    BadPacket,
    Compress,
    Sealer,
    Unsealer,
    enlarged,
    wire_bytes,
)
from internlm_setup.tunnel.engines._ssh.packets import SMALL_BYTES, BufferedPackets

MOST_WAITING_BYTES = 1 << 18
_BUFFER_BYTES = 2 * LONGEST_BYTES
_SLOT_BYTES = 1 << 16
_HEAD_BYTES = 4
_KEYS_BEGIN, _NEW_KEYS = 20, 21


class Taker(Protocol):
    """A data plane, as the packets see it."""

    def take(self, payload: memoryview) -> bool:
        """Take a message, or say that it is somebody else's. It is read again only before `settle`."""
        ...

    def settle(self) -> None:
        """Act on what was taken."""
        ...

    def turn(self) -> bool:
        """Wait until something is to be done, do it, and say whether there is something to read."""
        ...

    def wake(self) -> None:
        """End a `turn` of another thread."""
        ...


class FastPackets(BufferedPackets):
    """See `core.ssh.transport.Packets`.

    Attributes:
        sending: Held while something is sealed; what is sent while one holds it stays together.
        slot: Where `send_slot` finds what to send.
    """

    def __init__(self, sock: Any) -> None:
        super().__init__(sock)
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        self._room = memoryview(bytearray(_BUFFER_BYTES))  # what is unsealed, at the same place as in the buffer
        self._unsealer: Unsealer | None = None
        self._decompress: Compress | None = None
        self._number = 0
        self._exchanging = False

        self.sending = threading.RLock()
        self._free = threading.Condition(self.sending)
        self.slot = memoryview(bytearray(_SLOT_BYTES))
        self._sealer: Sealer | None = None
        self._compress: Compress | None = None
        self._out = memoryview(bytearray(_BUFFER_BYTES))
        self._out_begin = self._out_end = 0
        self._held_up = 0  # threads in `wait_for_wire`

        self._plane: Taker | None = None
        self._in_kex: Callable[[], bool] = bool

    def attach(self, plane: Taker, in_kex: Callable[[], bool]) -> None:
        """Give a plane what belongs to it from now on; `in_kex` says whether keys are exchanged."""
        with self.sending:
            self._sock.setblocking(False)
            self._plane, self._in_kex = plane, in_kex

    @property
    def sealed(self) -> bool:
        """Whether both directions are sealed as we do it."""
        return self._sealer is not None and self._unsealer is not None

    @property
    def waiting_bytes(self) -> int:
        """What the wire has not taken yet."""
        return self._out_end - self._out_begin

    # What paramiko tells

    def look_rarely(self) -> None:
        """See `BufferedPackets.look_rarely`; with a plane nothing waits in the socket itself."""
        super().look_rarely()
        if self._plane is not None:
            self._sock.setblocking(False)

    def set_inbound_cipher(self, block_engine: Any, *args: Any, aead: bool = False, **kwargs: Any) -> None:
        """Take the key of what comes from now on."""
        nonce = kwargs.get("iv_in")
        self._unsealer = Unsealer(block_engine, nonce) if aead and nonce else None
        super().set_inbound_cipher(block_engine, *args, aead=aead, **kwargs)

    def set_outbound_cipher(self, block_engine: Any, *args: Any, aead: bool = False, **kwargs: Any) -> None:
        """Take the key of what we send from now on."""
        nonce = kwargs.get("iv_out")
        self._sealer = Sealer(block_engine, nonce) if aead and nonce else None
        super().set_outbound_cipher(block_engine, *args, aead=aead, **kwargs)

    def set_inbound_compressor(self, compressor: Compress | None) -> None:
        """Take what makes large again what comes from now on."""
        self._decompress = compressor
        super().set_inbound_compressor(compressor)

    def set_outbound_compressor(self, compressor: Compress | None) -> None:
        """Take what makes small what we send from now on."""
        self._compress = compressor
        super().set_outbound_compressor(compressor)

    def reset_seqno_in(self) -> None:
        """The peer counts from zero again."""
        self._number = 0
        super().reset_seqno_in()

    def close(self) -> None:
        """See `BufferedPackets.close`; whoever waits for the wire is told too."""
        super().close()
        if self._plane is not None:
            self._plane.wake()
        with self._free:
            self._free.notify_all()

    # What comes

    def read_message(self) -> tuple[int, paramiko.Message]:
        """Wait for a message that is not the plane's.

        Raises:
            BadPacket: What came makes no sense.
            EOFError: The connection ended.
            NeedRekeyException: It is time for new keys.
        """
        if self._unsealer is None:
            if self._plane is not None:
                raise BadPacket("keys that the plane cannot use")
            kind, message = super().read_message()
            self._number = message.seqno + 1
            return kind, message
        while (found := self._next(self._unsealer)) is None:
            if self.need_rekey() and not self._in_kex():
                raise paramiko.packet.NeedRekeyException
            self._fill(_HEAD_BYTES)
        return found

    def _next(self, unsealer: Unsealer) -> tuple[int, paramiko.Message] | None:
        """Go through the whole packets that are there, until one that is not the plane's."""
        while self._end - self._begin >= _HEAD_BYTES:
            begin = self._begin
            end = begin + wire_bytes(self._buffer[begin : begin + _HEAD_BYTES])
            if end > self._end:
                break
            payload = unsealer.unseal(self._buffer[begin:end], self._room[begin:end])
            self._begin = end
            if self._decompress is not None:
                payload = enlarged(self._decompress, payload)
            if len(payload) > SMALL_BYTES:
                self.recent = payload
            number, self._number = self._number, (self._number + 1) & 0xFFFFFFFF
            if self._plane is not None and not self._exchanging and self._plane.take(payload):
                continue
            return self._pass_on(bytes(payload), number)
        if unsealer.used_bytes > self.REKEY_BYTES or unsealer.used_packets > self.REKEY_PACKETS:
            self._want_new_keys()
        self._settle()
        return None

    def _pass_on(self, payload: bytes, number: int) -> tuple[int, paramiko.Message]:
        """Hand a message to paramiko, which alone knows what may come while keys are exchanged."""
        self._settle()
        self._exchanging = payload[0] == _KEYS_BEGIN or (self._exchanging and payload[0] != _NEW_KEYS)
        message = paramiko.Message(payload[1:])
        message.seqno = number
        return payload[0], message

    def _settle(self) -> None:
        if self._plane is not None:
            self._plane.settle()

    def _fill(self, n: int) -> None:
        if self.closed:
            raise EOFError
        if self._plane is not None and not self._plane.turn():
            return
        if len(self._buffer) - self._end < LONGEST_BYTES and self._begin:
            held = self._end - self._begin
            self._buffer[:held] = self._buffer[self._begin : self._end]
            self._begin, self._end = 0, held
        super()._fill(n)

    # What we send

    def send_message(self, data: Any) -> None:
        """Send a message of paramiko's making.

        Raises:
            EOFError: The connection ended.
        """
        if self._sealer is None:
            super().send_message(data)
            return
        with self.sending:
            self.send(data.asbytes())
            self.push()

    def send(self, payload: bytes) -> None:
        """Seal a message; `push` sends it. Only while `sending` is held."""
        if self._compress is not None:
            payload = self._compress(payload)
        if len(payload) + OVERHEAD_BYTES > len(self.slot):
            self.slot = memoryview(bytearray(len(payload) + OVERHEAD_BYTES))
        self.slot[PAYLOAD_AT : PAYLOAD_AT + len(payload)] = payload
        self._seal(len(payload))

    def send_slot(self, size: int) -> None:
        """Seal the message that stands in `slot` at `PAYLOAD_AT`, as `send` does."""
        if size > SMALL_BYTES:
            self.recent = self.slot[PAYLOAD_AT : PAYLOAD_AT + size]
        if self._compress is not None:
            self.send(bytes(self.slot[PAYLOAD_AT : PAYLOAD_AT + size]))
        else:
            self._seal(size)

    def push(self) -> None:
        """Send as much as the wire takes, all of it while there is no plane. Only while `sending` is held.

        Raises:
            EOFError: The connection ended.
        """
        ready = self._out[self._out_begin : self._out_end]
        if self._plane is None:
            self._out_begin = self._out_end = 0
            self.write_all(ready)
            return
        try:
            sent = self._sock.send(ready) if ready else 0
        except BlockingIOError:
            sent = 0
        except OSError as cause:
            raise EOFError from cause
        self._out_begin += sent
        self.sent_bytes += sent
        if self._out_begin == self._out_end:
            self._out_begin = self._out_end = 0
        else:
            self._plane.wake()
        if self._held_up and self.waiting_bytes < MOST_WAITING_BYTES:
            self._free.notify_all()

    def wait_for_wire(self) -> None:
        """Wait until the wire has taken most of what is to be sent. Never in the connection's own thread."""
        with self._free:
            self._held_up += 1
            self._free.wait_for(lambda: self.waiting_bytes < MOST_WAITING_BYTES or self.closed)
            self._held_up -= 1

    def _seal(self, size: int) -> None:
        if self._sealer is None:
            raise BadPacket("keys that the plane cannot use")
        if len(self._out) - self._out_end < size + OVERHEAD_BYTES:
            self._make_room(size + OVERHEAD_BYTES)
        self._out_end += self._sealer.seal(self.slot, size, self._out[self._out_end :])
        if self._sealer.used_bytes > self.REKEY_BYTES or self._sealer.used_packets > self.REKEY_PACKETS:
            self._want_new_keys()

    def _make_room(self, size: int) -> None:
        waiting = self.waiting_bytes
        if waiting + size > len(self._out):
            larger = memoryview(bytearray(2 * len(self._out) + size))
            larger[:waiting] = self._out[self._out_begin : self._out_end]
            self._out = larger
        else:
            self._out[:waiting] = self._out[self._out_begin : self._out_end]
        self._out_begin, self._out_end = 0, waiting

    def _want_new_keys(self) -> None:
        if not self.need_rekey():
            self._trigger_rekey()
