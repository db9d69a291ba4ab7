"""A session whose streams are moved by the data plane once somebody gives a socket to each."""

from __future__ import annotations

import queue
import socket
import time
from collections.abc import Callable
from typing import Any

from internlm_setup.core.ssh.transport import ClientTransport
from internlm_setup.tunnel.engines._fast.packets import FastPackets
from internlm_setup.tunnel.engines._fast.pipe import Ends, Pipe
from internlm_setup.tunnel.engines._fast.plane import Plane
from internlm_setup.tunnel.engines._ssh.session import SshSession
from internlm_setup.tunnel.engines._ssh.stream import Stream
from internlm_setup.tunnel.pump import Moved

_NEEDED = ("clear_to_send", "clear_to_send_lock", "in_kex")


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


class FastSession(SshSession):
    """See `tunnel.model.Session`."""

    def __init__(self, transport: ClientTransport) -> None:
        """Take a connection that is logged in.

        Raises:
            Unsuited: Its cipher is not AES-GCM, it does not run over a socket, or paramiko is not as we know it.
        """
        packets = transport.packetizer
        whole = all(hasattr(transport, name) for name in _NEEDED) and hasattr(packets, "_trigger_rekey")
        if not whole or not isinstance(transport.sock, socket.socket):
            raise Unsuited
        if not isinstance(packets, FastPackets) or not packets.sealed:
            raise Unsuited
        self._wire = packets
        self._plane = Plane(packets, transport, transport.sock, self.forget)
        packets.attach(self._plane, lambda: transport.in_kex)
        super().__init__(transport)
        transport.at_end(self._plane.end)
        self._ask("keepalive@openssh.com")  # for the round trip, while nothing else is under way

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
