"""What listens on the server, so that a missing service is not taken for a broken tunnel.

Nothing is installed there: one small command prints a part of `/proc/net`. Where the server runs no commands, or is no
Linux, nothing is known, and everything else works all the same.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from internlm_setup.tunnel.model import Forward, Session

# One command without any shell's own syntax, so the account's shell may be any. `0A` is LISTEN.
LOOK = "grep -h ' 0A ' /proc/net/tcp /proc/net/tcp6"
_MOST_BYTES = 1 << 18
_PATIENCE_S = 5.0
# Ports of ordinary services: below are the system's, above are those that programs get by chance.
_FIRST_PORT, _LAST_PORT = 1024, 32767


@dataclass(frozen=True, slots=True)
class Place:
    """An address and a port that something listens on."""

    address: IPv4Address | IPv6Address
    port: int

    def takes(self, host: str) -> bool:
        """Say whether a connection to `host`, a loopback name or address, would arrive here."""
        if host == "localhost":
            return self.takes("127.0.0.1") or self.takes("::1")
        asked = ip_address(host)
        if self.address.is_unspecified:  # `::` takes IPv4 as well, unless told otherwise
            return self.address.version == 6 or asked.version == 4
        return self.address == asked


def look(session: Session) -> frozenset[Place] | None:
    """Return where something listens on the server; None where that cannot be told."""
    said = session.run(LOOK, _MOST_BYTES, _PATIENCE_S)
    return (parse(said) or None) if said is not None else None


def parse(said: bytes) -> frozenset[Place]:
    """Read lines of `/proc/net/tcp` and `tcp6`; whatever else the account's shell prints is passed over."""
    found = set()
    for line in said.decode("ascii", "replace").splitlines():
        words = line.split()
        if len(words) > 3 and words[3] == "0A":
            try:
                found.add(_place(words[1]))
            except ValueError:
                continue
    return frozenset(found)


def is_loopback(host: str) -> bool:
    """Say whether a destination means the server itself, by its loopback device."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def judge(places: Iterable[Place], forwards: Iterable[Forward]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Sort the ports that forwards lead to on the server itself.

    Returns:
        Those that something listens on, and those that nothing does; each in order.
    """
    known = list(places)
    listening: set[int] = set()
    missing: set[int] = set()
    for forward in forwards:
        to = forward.destination
        if forward.kind == "local" and to is not None and is_loopback(to.host):
            there = any(place.port == to.port and place.takes(to.host) for place in known)
            (listening if there else missing).add(to.port)
    return tuple(sorted(listening)), tuple(sorted(missing - listening))


def services(places: Iterable[Place], besides: Iterable[int]) -> tuple[int, ...]:
    """Return the ports of services there that a forward to 127.0.0.1 would reach, in order, without `besides`.

    The system's own and those that programs get by chance are not services.
    """
    ports = {p.port for p in places if _FIRST_PORT <= p.port <= _LAST_PORT and p.takes("127.0.0.1")}
    return tuple(sorted(ports - set(besides)))


def answers(port: int, patience_s: float = 5.0) -> bool:
    """Say whether a web service answers at a local port, and so at the other end of its forward."""
    try:
        with socket.create_connection(("127.0.0.1", port), patience_s) as sock:
            sock.settimeout(patience_s)
            sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return sock.recv(5) == b"HTTP/"
    except OSError:
        return False


def _place(words: str) -> Place:
    """Read `0100007F:1770`: words of 32 bits, each with its lowest byte first."""
    address, _, port = words.partition(":")
    raw = bytes.fromhex(address)
    swapped = struct.pack(f">{len(raw) // 4}I", *struct.unpack(f"<{len(raw) // 4}I", raw))
    found = ip_address(swapped)
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return Place(mapped or found, int(port, 16))
