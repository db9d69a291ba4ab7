"""The way to a server's port. It may begin before paramiko is there, whose import takes as long as a round trip."""

from __future__ import annotations

import queue
import selectors
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

from internlm_setup.core import reach
from internlm_setup.core.ssh.connect_errors import HostUnknown, HostUnreachable
from internlm_setup.core.ssh.model import HostSpec

FAR_S = 0.02
"""A greeting that takes longer comes from far away: it takes a round trip, and a nearby sshd needs some 10 ms."""


@dataclass(frozen=True, slots=True)
class Dialled:
    """A connection to a server, and whether that is far away."""

    sock: socket.socket
    far: bool


def dial(spec: HostSpec) -> socket.socket:
    """Resolve a server's name and connect, with `core.reach`'s patience.

    Raises:
        HostUnknown: It has no address.
        HostUnreachable: Nobody answers there.
    """
    try:
        sock = reach.connect_any(reach.resolve(spec.host, spec.port), spec.host)
    except reach.Unreachable as error:
        if error.cause_id in {"dns", "dns-timeout"}:
            raise HostUnknown(spec.host, error.cause) from error
        raise HostUnreachable(spec.host, spec.port, error.cause_id, error.cause) from error
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def begin(spec: HostSpec) -> Callable[[], Dialled | None]:
    """Begin to dial the first server on the way, in a thread.

    Returns:
        What waits for the end of that; it returns None where a program is to make the connection, and raises what
        `dial` raises.
    """
    first = (*spec.jumps, spec)[0]
    if first.proxy_command is not None:
        return lambda: None
    answers: queue.SimpleQueue[Dialled | Exception] = queue.SimpleQueue()

    def run() -> None:
        try:
            sock = dial(first)
            with selectors.DefaultSelector() as greeting:
                greeting.register(sock, selectors.EVENT_READ)
                answers.put(Dialled(sock, far=not greeting.select(FAR_S)))
        except Exception as error:  # noqa: BLE001  # it is raised again in the thread that waits
            answers.put(error)

    def wait() -> Dialled:
        answer = answers.get()
        if isinstance(answer, Exception):
            raise answer
        return answer

    threading.Thread(target=run, daemon=True, name="dial").start()
    return wait
