"""A session whose streams are moved by the data plane once somebody gives a socket to each."""

from __future__ import annotations

import queue
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import paramiko.packet

from internlm_setup.core.ssh.transport import ClientTransport
from internlm_setup.tunnel.engines._fast.packets import FastPackets
from internlm_setup.tunnel.engines._fast.pipe import Pipe
from internlm_setup.tunnel.engines._fast.plane import Plane
from internlm_setup.tunnel.engines._ssh.messages import opening, way
from internlm_setup.tunnel.engines._ssh.session import SshSession
from internlm_setup.tunnel.engines._ssh.stream import Stream
from internlm_setup.tunnel.model import Endpoint
from internlm_setup.tunnel.pump import Ends, Moved

_OF_TRANSPORT = ("clear_to_send", "clear_to_send_lock", "in_kex")


class Unsuited(Exception):
    """The connection is none that the data plane can serve."""


class FastStream(Stream):
    """See `tunnel.pump.Splicing`."""

    def __init__(self, plane: Plane, *args: Any) -> None:
        super().__init__(*args)
        self._plane = plane

    def splice(self, sock: socket.socket, moved: Moved) -> bool:
        """See `tunnel.pump.Splicing`."""
        result: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self.join(Ends(sock, moved, result.put))
        return result.get()

    def join(self, ends: Ends) -> None:
        """Move what comes to a socket and what the socket says, and go on at once."""
        ends.sock.setblocking(False)
        self._plane.join(lambda: Pipe(self._plane, self.number, self.hand_over(), ends, time.monotonic()))


class CarriedStream(FastStream):
    """A stream that serves a connection as soon as it is open. See `tunnel.pump.Carrying`."""

    def __init__(self, ends: Ends, otherwise: Callable[[], object], *args: Any) -> None:
        super().__init__(*args)
        self._ends = ends
        self._otherwise = [otherwise]  # empty once it is known how it goes on; several threads may come to know it

    def opened(self, theirs: int, window_bytes: int, packet_bytes: int) -> None:
        """See `Stream.opened`."""
        super().opened(theirs, window_bytes, packet_bytes)
        if self._decide():
            self.join(self._ends)

    def refused(self, reason: int, words: str) -> None:
        """See `Stream.refused`."""
        super().refused(reason, words)
        self.give_up()

    def lost(self) -> None:
        """See `Stream.lost`."""
        super().lost()
        self.give_up()

    def give_up(self) -> None:
        """Have the connection served otherwise, unless the stream is open."""
        if otherwise := self._decide():
            self.close()
            otherwise()

    def _decide(self) -> Callable[[], object] | None:
        with suppress(IndexError):
            return self._otherwise.pop()
        return None


class FastSession(SshSession):
    """See `tunnel.model.Session` and `tunnel.pump.Carrying`."""

    def __init__(self, transport: ClientTransport) -> None:
        """Take a connection that is logged in.

        Raises:
            Unsuited: Its cipher is not AES-GCM, it does not run over a socket, or paramiko is not as we know it.
        """
        packets = transport.packetizer
        needed = [(transport, name) for name in _OF_TRANSPORT]
        needed += [(packets, "_trigger_rekey"), (paramiko.packet, "NeedRekeyException")]
        if not all(hasattr(owner, name) for owner, name in needed) or not isinstance(transport.sock, socket.socket):
            raise Unsuited
        if not isinstance(packets, FastPackets) or not packets.sealed:
            raise Unsuited
        self._wire = packets
        self._plane = Plane(packets, transport, transport.sock, self)
        packets.attach(self._plane, lambda: transport.in_kex)
        super().__init__(transport)
        transport.at_end(self._plane.end)
        self.measure()

    def carry(
        self, ends: Ends, destination: Endpoint, origin: Endpoint, patience_s: float, otherwise: Callable[[], object]
    ) -> None:
        """See `tunnel.pump.Carrying`."""
        number = next(self._numbers)
        self._add(CarriedStream(ends, otherwise, self._plane, self, number))
        self._plane.open(number, opening("direct-tcpip", number) + way(destination, origin), patience_s)

    def late(self, number: int) -> None:
        """See `plane.Streams`."""
        stream = self._streams.get(number)
        if isinstance(stream, CarriedStream):
            stream.give_up()

    def measure(self) -> None:
        """See `plane.Streams`. One answer alone may be late: its way was busy, or sshd or this machine was."""
        if not self._answers:
            self._ask("keepalive@openssh.com")

    def send(self, *parts: bytes | memoryview) -> None:
        """See `SshSession.send`."""
        self._wire.wait_for_wire()
        super().send(*parts)

    def _stream(self, number: int, when_open: Callable[[Stream], object] | None) -> FastStream:
        return FastStream(self._plane, self, number, when_open)

    def _answered(self, granted: bool, message: Any) -> None:
        if self._answers:
            rtt_s = time.monotonic() - self._answers[0].asked_s
            self._plane.rtt_s = rtt_s if self._plane.rtt_s is None else min(rtt_s, self._plane.rtt_s)
        super()._answered(granted, message)
