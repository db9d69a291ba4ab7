"""How fast are the engines of `tunnel` on loopback beside OpenSSH's own client? Ratios, taken in turns.

Needs the OpenSSH client and server, and `src` and `tests` on the path:
`PYTHONPATH=src:tests python benchmarks/tunnel_throughput.py --rounds 5`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import tunnel_ends as ends
from rounds import Spread, ratio, take_turns
from servers.openssh import Sshd, make_key, sshd
from servers.rude import closed_port

HERE = Path(__file__).parent
MIB = 1 << 20
TICKS = os.sysconf("SC_CLK_TCK")
SSH = "ssh -NL"
PEERS = {SSH: [], "ssh gcm": ["-c", "aes128-gcm@openssh.com"]}
OURS = {"fast": "fast", "threaded": "threaded"}
COLUMNS = ("down", "down x8", "up", "CPU s/GB down", "CPU s/GB up", "ping p50", "ping p99", "conn/s", "RSS")

Found = dict[str, float]


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size-mib", type=int, default=512)
    parser.add_argument("--pings", type=int, default=2000)
    parser.add_argument("--tools", default=",".join([*PEERS, *OURS]), help="which, with commas (%(default)s)")
    options = parser.parse_args(words)
    tools = options.tools.split(",")
    with tempfile.TemporaryDirectory() as folder, sshd(Path(folder) / "sshd") as server, _ends() as destination:
        make_key(server.folder / "key")
        server.authorize((server.folder / "key.pub").read_text().strip())
        known = server.folder / "known_hosts"
        known.write_text(server.known_line)

        def run(tool: str) -> Found:
            with _held(tool, server, destination) as (pid, port):
                return _measure(pid, port, options)

        runs = take_turns(tools, options.rounds, run)
    for base in [name for name in PEERS if name in tools]:
        print(f"\nratio to {base} (median, lowest and highest of {options.rounds} rounds)")
        for tool in tools:
            cells = [f"{c} {ratio([r[c] for r in runs[tool]], [r[c] for r in runs[base]])}" for c in COLUMNS]
            print(f"{tool:10} " + " | ".join(cells))
    print("\nabsolute medians (this machine, now)")
    for tool in tools:
        print(f"{tool:10} " + " | ".join(f"{c} {Spread.of([r[c] for r in runs[tool]]).median:.4g}" for c in COLUMNS))
    return 0


def _measure(pid: int, port: int, options: argparse.Namespace) -> Found:
    size = options.size_mib * MIB
    found: Found = {}
    ends.download(port, 8 * MIB)
    found["down"], found["CPU s/GB down"] = _rate(pid, size, lambda: ends.download(port, size))
    found["down x8"], _ = _rate(pid, size, lambda: ends.several(port, size, 8))
    found["up"], found["CPU s/GB up"] = _rate(pid, size, lambda: ends.upload(port, size))
    answers = ends.pings(port, options.pings)
    found["ping p50"], found["ping p99"] = answers[len(answers) // 2] * 1e6, answers[len(answers) * 99 // 100] * 1e6
    found["conn/s"] = ends.connections(port, options.pings // 10)
    status = Path(f"/proc/{pid}/status").read_text()
    found["RSS"] = int(status.split("VmRSS:")[1].split()[0]) / 1024
    return found


def _rate(pid: int, size: int, act: object) -> tuple[float, float]:
    """Return MB/s, and CPU seconds of the client per GB."""
    before_s, begun_s = _cpu_s(pid), time.monotonic()
    act()  # type: ignore[operator]
    return size / 1e6 / (time.monotonic() - begun_s), (_cpu_s(pid) - before_s) / (size / 1e9)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def _started(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
    try:
        yield process
    finally:
        process.communicate(timeout=20)


@contextmanager
def _ends() -> Iterator[int]:
    with _started([sys.executable, str(HERE / "tunnel_ends.py")]) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())


@contextmanager
def _held(tool: str, server: Sshd, destination: int) -> Iterator[tuple[int, int]]:
    if tool in OURS:
        words = [OURS[tool], str(server.folder), str(server.port), str(destination)]
        with _started([sys.executable, str(HERE / "tunnel_hold.py"), *words]) as process:
            assert process.stdout is not None
            yield process.pid, int(process.stdout.readline())
        return
    port = closed_port()
    options = [
        "-oStrictHostKeyChecking=yes",
        f"-oUserKnownHostsFile={server.folder / 'known_hosts'}",
        "-oBatchMode=yes",
    ]
    forward = f"127.0.0.1:{port}:127.0.0.1:{destination}"
    where = ["-F", "none", "-i", str(server.folder / "key"), "-p", str(server.port), f"{server.user}@127.0.0.1"]
    client = subprocess.Popen(["ssh", "-N", "-L", forward, *PEERS[tool], *options, *where])
    try:
        _wait_for(port)
        yield client.pid, port
    finally:
        client.terminate()
        client.wait(20)


def _wait_for(port: int) -> None:
    for _ in range(200):
        try:
            ends.pings(port, 1)
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError("ssh does not listen")


if __name__ == "__main__":
    sys.exit(main())
