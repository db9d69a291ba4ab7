"""A link with delay, a rate and loss, for a kernel that has no netem: packets pass through Python, between two TUNs.

One process carries each direction, so that two cores share the work. Packets that arrive are taken in batches, and each
leaves at its own time: after the ones before it at the link's rate, plus the delay. A queue that is full drops the
newest; loss strikes at random, seeded, and only towards the client, where the data goes. What a link really delivered
is in its report.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import random
import select
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import networks
from networks import CLIENT, CLIENT_END, SERVER, SERVER_END, Network

MTU_BYTES = 1500
OVERHEAD_BYTES = 20 + 32  # IP, and TCP with time stamps: a TUN has no Ethernet
TICK_S = 0.0005
BATCH = 512
KERNEL_QUEUE_PACKETS = "20000"
_TUNSETIFF, _TUN_WITHOUT_HEAD = 0x400454CA, 0x1001  # linux/if_tun.h: IFF_TUN | IFF_NO_PI
_LOOK_AT_STDIN_EVERY = 256


@dataclass(frozen=True, slots=True)
class Shape:
    """What one direction does to packets.

    `queue_bytes` may wait for their turn at the rate; a rate of 0 is no limit. No packet is longer than `mtu_bytes`.
    """

    delay_s: float
    bytes_per_s: float = 0.0
    queue_bytes: float = 0.0
    loss: float = 0.0
    seed: int = 0
    mtu_bytes: int = MTU_BYTES


@dataclass(slots=True)
class Report:
    """What one direction has carried; `latest_s` is how late a packet left at worst."""

    packets: int = 0
    size_bytes: int = 0
    lost: int = 0
    overflowed: int = 0
    latest_s: float = 0.0


class Direction:
    """Packets on their way from one TUN to the other."""

    def __init__(self, source: int, sink: int, shape: Shape) -> None:
        self.report = Report()
        self._source, self._sink, self._shape = source, sink, shape
        self._queue: deque[tuple[float, bytes]] = deque()
        self._dice = random.Random(shape.seed).random
        self._free_at_s = 0.0

    def carry(self) -> None:
        """Move packets until standard input is closed."""
        for turn in itertools.count():
            now_s = time.monotonic()
            self._let_go(now_s)
            came = self._take_in(now_s)
            idle = not came and not self._queue
            if idle or turn % _LOOK_AT_STDIN_EVERY == 0:
                if 0 in select.select([self._source, 0] if idle else [0], [], [], None if idle else 0)[0]:
                    return
            elif came < BATCH:
                time.sleep(TICK_S)

    def _let_go(self, now_s: float) -> None:
        queue, report = self._queue, self.report
        while queue and queue[0][0] <= now_s:
            due_s, packet = queue.popleft()
            report.latest_s = max(report.latest_s, now_s - due_s)
            with suppress(OSError):  # an end that is not up yet
                os.write(self._sink, packet)

    def _take_in(self, now_s: float) -> int:
        """Read what is there, up to a batch; return how many packets it was."""
        read, source, longest = os.read, self._source, self._shape.mtu_bytes
        for count in range(BATCH):
            try:
                self._admit(read(source, longest), now_s)
            except BlockingIOError:
                return count
        return BATCH

    def _admit(self, packet: bytes, now_s: float) -> None:
        report, shape = self.report, self._shape
        report.packets += 1
        report.size_bytes += len(packet)
        if self._dice() < shape.loss:
            report.lost += 1
            return
        leaves_at_s = now_s
        if shape.bytes_per_s:
            starts_at_s = max(self._free_at_s, now_s)
            if (starts_at_s - now_s) * shape.bytes_per_s > shape.queue_bytes:
                report.overflowed += 1
                return
            self._free_at_s = leaves_at_s = starts_at_s + len(packet) / shape.bytes_per_s
        self._queue.append((leaves_at_s + shape.delay_s, packet))


def open_tun(name: str) -> int:
    """Make a TUN device in this process's namespace; it goes with the descriptor."""
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _TUN_WITHOUT_HEAD))
    return tun


def main(words: list[str]) -> int:
    """Be the link: started by `far` in the client's namespace, ended by closing standard input."""
    server_pid, reports, towards_client, towards_server = words
    server, client = open_tun(SERVER_END), open_tun(CLIENT_END)
    subprocess.run(["ip", "link", "set", SERVER_END, "netns", server_pid], check=True)
    with suppress(OSError):
        os.nice(-10)  # a network is not slowed down by what its ends are busy with
    print("ready", flush=True)
    other = os.fork()
    source, sink, shape = (client, server, towards_server) if other == 0 else (server, client, towards_client)
    direction = Direction(source, sink, Shape(**json.loads(shape)))
    with suppress(KeyboardInterrupt):
        direction.carry()
    name = "server.json" if other == 0 else "client.json"
    Path(reports, name).write_text(json.dumps(asdict(direction.report)), encoding="utf-8")
    if other:
        os.waitpid(other, 0)
    return 0


@dataclass(frozen=True, slots=True)
class Far:
    """A network whose ends are far apart."""

    network: Network
    reports: Path

    def report(self) -> Report:
        """Return what happened towards the client; after the link has ended."""
        return Report(**json.loads((self.reports / "client.json").read_text()))


@contextmanager
def far(
    reports: Path, round_trip_s: float, bytes_per_s: float, loss: float, seed: int = 2, mtu_bytes: int = MTU_BYTES
) -> Iterator[Far]:
    """Join two namespaces by a long link; its queue holds what one round trip brings.

    Args:
        reports: A folder for what the link has to say at its end.
        round_trip_s: The delay, half of it each way.
        bytes_per_s: What goes through towards the client, IP heads included; 0 is no limit.
        loss: The share of packets towards the client that vanish.
        seed: Which ones.
        mtu_bytes: The longest packet; long ones let one core carry more.
    """
    down = Shape(round_trip_s / 2, bytes_per_s, bytes_per_s * round_trip_s, loss, seed, mtu_bytes)
    up = Shape(round_trip_s / 2, mtu_bytes=mtu_bytes)
    with networks.namespaces() as (server, client):
        shapes = [json.dumps(asdict(shape)) for shape in (down, up)]
        command = [*client.enter, sys.executable, __file__, str(server.pid), str(reports), *shapes]
        link = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            if link.stdout is None or link.stdout.readline().strip() != b"ready":
                raise RuntimeError("the link did not start")
            for namespace, device, own, peer in (
                (server, SERVER_END, SERVER, CLIENT),
                (client, CLIENT_END, CLIENT, SERVER),
            ):
                namespace.run("ip", "address", "add", own, "peer", peer, "dev", device)
                namespace.run(
                    "ip", "link", "set", device, "mtu", str(mtu_bytes), "txqueuelen", KERNEL_QUEUE_PACKETS, "up"
                )  # fmt: skip
            yield Far(Network(server, client), reports)
        finally:
            if link.stdin is not None:
                link.stdin.close()
            link.wait()


def missing() -> str | None:
    """Say what this machine lacks for such a link, or None."""
    if lacking := networks.missing():
        return lacking
    device = Path("/dev/net/tun")
    if not device.exists():
        with suppress(OSError):
            device.parent.mkdir(exist_ok=True)
            os.mknod(device, 0o600 | 0o020000, os.makedev(10, 200))
    try:
        os.close(os.open(device, os.O_RDWR))
    except OSError as error:
        return f"/dev/net/tun cannot be opened: {error.strerror}"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
