"""Two network namespaces with a link between them: the server's end and the client's.

A namespace is held by a `cat` that waits on a pipe of ours. Whatever ends this program also ends the pipe and the
`cat`, and with the last process inside go the namespace, its devices and their queues, even after `kill -9`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from nginx_conf import Where

SERVER, CLIENT = "10.77.0.1", "10.77.0.2"
SERVER_END, CLIENT_END = "server", "client"
QUEUE_S = 0.02
BURST_BYTES = 128 << 10
# What a packet carries besides its payload: Ethernet, IP, TCP with time stamps.
OVERHEAD_BYTES = 14 + 20 + 32
_PATIENCE_S = 5.0


class Received(NamedTuple):
    """What a device has taken in so far."""

    size_bytes: int
    packets: int

    def payload_since(self, before: Received, overhead_bytes: int = OVERHEAD_BYTES) -> int:
        """Return the bytes that came since, without the packets' heads."""
        return self.size_bytes - before.size_bytes - overhead_bytes * (self.packets - before.packets)


class Namespace:
    """A network of its own, gone when `close` is called or this process ends."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            ["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        self.pid = self._holder.pid
        self.enter = ("nsenter", f"--net=/proc/{self.pid}/ns/net", "--")
        give_up_s = time.monotonic() + _PATIENCE_S
        while (name := Path("/proc", str(self.pid), "comm").read_text().strip()) != "cat":
            if self._holder.poll() is not None or time.monotonic() > give_up_s:
                raise RuntimeError(f"no network namespace: {name} did not start")
            time.sleep(0.01)
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *words: str) -> str:
        """Run a short command inside and return what it prints."""
        return subprocess.run([*self.enter, *words], check=True, capture_output=True, text=True).stdout

    def received(self, device: str) -> Received:
        """Return a device's counters."""
        for line in Path("/proc", str(self.pid), "net", "dev").read_text().splitlines():
            name, _, counters = line.partition(":")
            if name.strip() == device:
                size_bytes, packets, *_ = map(int, counters.split())
                return Received(size_bytes, packets)
        raise LookupError(f"no device {device}")

    def close(self) -> None:
        """End the namespace; what still runs in it keeps it alive."""
        if self._holder.stdin is not None:
            self._holder.stdin.close()
        self._holder.wait()


@dataclass(frozen=True, slots=True)
class Network:
    """Both ends, and where the server listens."""

    server: Namespace
    client: Namespace

    def send_by(self, congestion: str) -> None:
        """Choose the congestion control of what the server sends.

        By its route: a namespace's default may only be one that the whole machine allows to everybody.
        """
        route = [CLIENT, "dev", SERVER_END, "src", SERVER, "congctl", congestion]
        self.server.run("ip", "route", "replace", *route)

    def buffer(self, most_bytes: int) -> None:
        """Let one connection have so much under way: the limits of sending and receiving, at both ends."""
        for namespace in (self.server, self.client):
            for name in ("tcp_rmem", "tcp_wmem"):
                path = f"/proc/sys/net/ipv4/{name}"
                least, usual, _ = namespace.run("cat", path).split()
                namespace.run("sh", "-c", f"echo {least} {usual} {most_bytes} >{path}")

    @property
    def where(self) -> Where:
        """The place for an `Origin`."""
        return Where(SERVER, 8080, 8081, self.server.enter)


def missing() -> str | None:
    """Say what this machine lacks for namespaces, or None."""
    absent = [name for name in ("unshare", "nsenter", "ip", "tc") if shutil.which(name) is None]
    if absent:
        return f"{', '.join(absent)} not installed (Debian: util-linux, iproute2)"
    return None if os.geteuid() == 0 else "network namespaces need root; run it with sudo"


@contextmanager
def namespaces() -> Iterator[tuple[Namespace, Namespace]]:
    """Make the server's and the client's namespace, without a link."""
    server = Namespace()
    try:
        client = Namespace()
        try:
            yield server, client
        finally:
            client.close()
    finally:
        server.close()


@contextmanager
def wire(rate_bytes_per_s: int | None = None) -> Iterator[Network]:
    """Join server and client by a pair of virtual Ethernet devices.

    Args:
        rate_bytes_per_s: What goes through towards the client, with heads, through a queue of 20 ms; None is no limit.
    """
    with namespaces() as (server, client):
        join((server, SERVER_END, SERVER), (client, CLIENT_END, CLIENT))
        if rate_bytes_per_s:
            limit_rate(server, rate_bytes_per_s)
        yield Network(server, client)


def join(server: tuple[Namespace, str, str], client: tuple[Namespace, str, str]) -> None:
    """Lay a pair of virtual Ethernet devices; each end is told by its namespace, its device's name and its address."""
    (there, far_end, _), (here, near_end, _) = server, client
    here.run("ip", "link", "add", near_end, "type", "veth", "peer", "name", far_end, "netns", str(there.pid))
    for namespace, device, address in (server, client):
        namespace.run("ip", "address", "add", f"{address}/24", "dev", device)
        namespace.run("ip", "link", "set", device, "up")


def limit_rate(server: Namespace, bytes_per_s: int) -> None:
    """Let so much through towards the client, heads included, with a queue of 20 ms; also in place of another limit."""
    limit = str(int(bytes_per_s * QUEUE_S) + BURST_BYTES)
    rate = ["rate", f"{bytes_per_s * 8}bit", "burst", str(BURST_BYTES), "limit", limit]
    server.run("tc", "qdisc", "replace", "dev", SERVER_END, "root", "tbf", *rate)
