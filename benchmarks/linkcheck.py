"""What does the long link of `netlink.py` really deliver: round trip, rate, loss, and where is its ceiling?"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import netlink
import session
from netlink import Far, Report
from networks import CLIENT, SERVER, Namespace
from rounds import Spread

PORT = 9999
PACKET_BYTES = netlink.MTU_BYTES
HEAD_BYTES = 28  # IP and UDP
QUIET_S = 1.0
PATIENCE_S = 10.0
ROUND_TRIPS = 15
TICK_S = 0.001
MBIT = 125_000
MORE_THAN_ANY = 3000 * MBIT


def main(words: Sequence[str] | None = None) -> int:
    """Measure the link alone; inside its namespaces, be one end of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--round-trip-ms", type=float, default=200, help="(%(default)s)")
    parser.add_argument("--mbit", type=float, default=200, help="(%(default)s)")
    parser.add_argument("--loss", type=float, default=0.005, help="(%(default)s)")
    parser.add_argument("--seconds", type=float, default=3.0, help="(%(default)s)")
    parser.add_argument("--end", choices=sorted(ENDS), help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.end:
        print(json.dumps(ENDS[options.end](options.mbit * MBIT, options.seconds)))
        return 0
    if lacking := netlink.missing():
        return session.skip("linkcheck", lacking)
    print(describe(options.round_trip_ms / 1000, options.mbit * MBIT, options.loss, options.seconds))
    return 0


def describe(round_trip_s: float, bytes_per_s: float, loss: float, seconds: float = 3.0) -> str:
    """Measure a link of this shape and one without a limit; return what was found in words."""
    sent = bytes_per_s * 1.1
    trips, came, report = measure(round_trip_s, bytes_per_s, loss, sent, seconds)
    _, most, _ = measure(round_trip_s, 0, 0, MORE_THAN_ANY, seconds)
    asked = f"{round_trip_s * 1000:.0f} ms, {bytes_per_s / MBIT:.0f} Mbit/s, {loss:.2%} loss, MTU {netlink.MTU_BYTES}"
    rate = f"{came / MBIT:.0f} Mbit/s came through when {sent / MBIT:.0f} were sent"
    lost = f"{report.lost / max(report.packets, 1):.2%} lost at random"
    late = f"at worst a packet left {report.latest_s * 1000:.0f} ms late"
    return (
        f"Asked of the link: {asked}.\n"
        f"Measured: a round trip of {trips} ms; {rate}; {lost}; {late}.\n"
        f"Without a limit this machine carries {most / MBIT:.0f} Mbit/s through such a link."
    )


def measure(
    round_trip_s: float, bytes_per_s: float, loss: float, send_bytes_per_s: float, seconds: float
) -> tuple[Spread, float, Report]:
    """Send over a fresh link, first to and fro, then as fast as asked.

    Returns:
        Round trips in milliseconds, bytes a second that arrived (with IP heads), and the link's own report.
    """
    with tempfile.TemporaryDirectory(prefix="internlm-bench-") as folder:
        with netlink.far(Path(folder), round_trip_s, bytes_per_s, loss) as link:
            trips = _exchange(link, ("answer", link.network.server), ("ask", link.network.client), 0, 0)
            came = _exchange(
                link, ("receive", link.network.client), ("send", link.network.server), send_bytes_per_s, seconds
            )
        return Spread.of(trips), came[0], link.report()


def _exchange(
    link: Far, waiting: tuple[str, Namespace], acting: tuple[str, Namespace], bytes_per_s: float, seconds: float
) -> list[float]:
    """Start one end, then the other; return the numbers of the one that measures."""
    del link  # it must be open
    ends = []
    for name, namespace in (waiting, acting):
        numbers = ["--mbit", str(bytes_per_s / MBIT), "--seconds", str(seconds)]
        command = [*namespace.enter, sys.executable, __file__, "--end", name, *numbers]
        end = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        if end.stdout is None or end.stdout.readline() != "ready\n":
            raise RuntimeError(f"the link's end `{name}` did not start")
        ends.append(end)
    said = [json.loads(end.communicate()[0]) for end in ends]
    found: list[float] = said[0] or said[1]
    return found


def _answer(bytes_per_s: float, seconds: float) -> list[float]:
    """Send every packet back, until nothing comes any more."""
    del bytes_per_s, seconds
    with _bound(SERVER) as here, suppress(TimeoutError):
        here.settimeout(PATIENCE_S)
        while True:
            packet, sender = here.recvfrom(2048)
            here.sendto(packet, sender)
            here.settimeout(2 * QUIET_S)
    return []


def _ask(bytes_per_s: float, seconds: float) -> list[float]:
    """Send packets one by one and time the way there and back, in milliseconds; what gets lost is left out."""
    del bytes_per_s, seconds
    trips = []
    with _bound(CLIENT) as here:
        for number in range(ROUND_TRIPS):
            begun_s = time.perf_counter()
            here.sendto(str(number).encode(), (SERVER, PORT))
            try:
                here.recvfrom(2048)
            except TimeoutError:
                continue
            trips.append((time.perf_counter() - begun_s) * 1000)
    return trips


def _send(bytes_per_s: float, seconds: float) -> list[float]:
    """Send packets of full size for a while, at an even rate."""
    payload, sent = bytes(PACKET_BYTES - HEAD_BYTES), 0
    with _bound(SERVER) as here:
        begun_s = time.monotonic()
        while (passed_s := time.monotonic() - begun_s) < seconds:
            while sent < passed_s * bytes_per_s:
                here.sendto(payload, (CLIENT, PORT))
                sent += PACKET_BYTES
            time.sleep(TICK_S)
    return []


def _receive(bytes_per_s: float, seconds: float) -> list[float]:
    """Count what comes until it is quiet; return bytes a second between the first and the last packet."""
    del bytes_per_s, seconds
    came, first_s, last_s = 0, 0.0, 0.0
    with _bound(CLIENT) as here:
        here.settimeout(PATIENCE_S)
        while True:
            try:
                packet = here.recv(2048)
            except TimeoutError:
                break
            last_s = time.monotonic()
            first_s = first_s or last_s
            came += len(packet) + HEAD_BYTES
            here.settimeout(QUIET_S)
    return [came / (last_s - first_s) if last_s > first_s else 0.0]


def _bound(host: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    made.bind((host, PORT))
    made.settimeout(QUIET_S)
    print("ready", flush=True)
    return made


ENDS = {"answer": _answer, "ask": _ask, "send": _send, "receive": _receive}

if __name__ == "__main__":
    sys.exit(main())
