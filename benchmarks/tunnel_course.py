"""Where tunnels are compared: OpenSSH's server, a service behind it, a way to get there, and who tries."""

# ruff: noqa: E402 - the server is among the tests, which are no package that is installed

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

import netlink
import networks
import peers
import rounds
import session
from networks import Network
from servers.openssh import Sshd, make_key, sshd
from servers.rude import closed_port

ENDS, RELAY = HERE / "tunnel_ends.py", HERE / "tunnel_relay.py"
TICKS = os.sysconf("SC_CLK_TCK")
GOODBYE_S = 10.0
LONG_BYTES = 9000
FORWARD = "127.0.0.1:{here}:127.0.0.1:{there}"
WITH_ENGINE = "import sys; from internlm_setup import cli; from internlm_setup.tunnel import service; \
service.ENGINE = sys.argv.pop(1); sys.exit(cli.main(sys.argv[1:]))"


@dataclass(frozen=True, slots=True)
class Course:
    """A server and the way to it.

    Attributes:
        server: OpenSSH's.
        host: What a client dials.
        port: There.
        service: The port behind the server, on its loopback.
        home: The client's home folder: its key, and the server's.
        enter: Words that lead a command into the client's network.
        network: Both ends, where the way is made of packets.
    """

    server: Sshd
    host: str
    port: int
    service: int
    home: Path
    enter: tuple[str, ...] = ()
    network: Network | None = None

    def role(self, name: str, *given: object) -> list[str]:
        """Return the command that takes a role of `tunnel_ends` in the client's network."""
        return [*self.enter, sys.executable, str(ENDS), name, json.dumps(given)]

    def ask(self, name: str, *given: object, env: Mapping[str, str] | None = None) -> Any:
        """Take a role, and return what it finds.

        Raises:
            RuntimeError: It found nothing, because the tunnel failed.
        """
        done = subprocess.run(self.role(name, *given), env=env, capture_output=True, encoding="utf-8", check=False)
        if done.returncode:
            raise RuntimeError(f"{name}: {(done.stderr.splitlines() or ['no answer'])[-1]}")
        return json.loads(done.stdout)

    def environment(self) -> dict[str, str]:
        """Return the variables that every client gets: an empty home but for the keys."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8", "AUTOSSH_GATETIME": "0"}


@dataclass(frozen=True, slots=True)
class Client:
    """One way to hold a forward.

    Attributes:
        name: As in the tables.
        words: How it is called, up to the options that say where to.
        program: Of ours; None for OpenSSH and what is called like it.
        needs: The program that must be there.
    """

    name: str
    words: tuple[str, ...]
    program: Path | None = None
    needs: str = ""

    def command(self, course: Course, port: int, *, inside: bool = False) -> list[str]:
        """Return the words that lead a port here to the course's service; for who is `inside` the client's network."""
        forward = FORWARD.format(here=port, there=course.service)
        ssh, enter = course.home / ".ssh", () if inside else course.enter
        if self.program is not None:
            where = ["--host", course.host, "--port", str(course.port), "--user", course.server.user, "-L", forward]
            return [*enter, *self.words, "tunnel", *where]
        known = ["-oStrictHostKeyChecking=yes", f"-oUserKnownHostsFile={ssh / 'known_hosts'}", "-oBatchMode=yes"]
        where = ["-F", "none", "-i", str(ssh / "id_ed25519"), "-p", str(course.port)]
        return [*enter, *self.words, "-N", "-L", forward, *known, *where, f"{course.server.user}@{course.host}"]


SSH = Client("ssh -NL", ("ssh",), needs="ssh")
GCM = Client("ssh -c aes128-gcm", ("ssh", "-c", "aes128-gcm@openssh.com"), needs="ssh")
COMPRESSED = Client("ssh -C", ("ssh", "-C"), needs="ssh")
AUTOSSH = Client(
    "autossh, alive 5 s × 2",
    ("autossh", "-M", "0", "-oServerAliveInterval=5", "-oServerAliveCountMax=2", "-oExitOnForwardFailure=yes"),
    needs="autossh",
)


def ours(program: Path, engine: str | None = None) -> Client:
    """Return internlm-setup as it comes, or with another engine than it would take."""
    if engine is None:
        return Client("internlm-setup", (str(program),), program)
    words = (str(program.with_name("python")), "-c", WITH_ENGINE, engine)
    return Client(f"internlm-setup, {engine}", words, program)


@dataclass(frozen=True, slots=True)
class Held:
    """A client that holds a forward: the process that leads its group, and the port here."""

    pid: int
    port: int

    def processes(self) -> list[Path]:
        """Return it and its children, as folders of /proc."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if int(_fields(folder)[2]) == self.pid:
                    found.append(folder)
        return found

    def cpu_s(self) -> float:
        """Return the processor time of those that live."""
        return sum(int(time) for folder in self.processes() for time in _fields(folder)[11:13]) / TICKS

    def resident_bytes(self) -> int:
        """Return the memory that is resident now."""
        return sum(int(_fields(folder)[21]) for folder in self.processes()) * os.sysconf("SC_PAGE_SIZE")


def _fields(process: Path) -> list[str]:
    """Return what /proc's `stat` says behind the name: the first is the third that proc(5) numbers."""
    return (process / "stat").read_text().rpartition(")")[2].split()


@contextmanager
def held(course: Course, client: Client, log: Path) -> Iterator[Held]:
    """Hold a forward until the end of the block; it has answered once when the block begins."""
    port = closed_port()
    with rounds.running(client.command(course, port), course.environment(), log) as started:
        try:
            try:
                course.ask("wait", port)
            except RuntimeError as error:
                said = log.read_text(encoding="utf-8", errors="replace").strip()
                raise RuntimeError(f"{error}; the client said: {said[-500:]}") from error
            yield Held(started.pid, port)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGTERM)
            started.wait_at_most(GOODBYE_S)
            with suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)
            started.end()


@contextmanager
def loopback(folder: Path) -> Iterator[Course]:
    """Have the server on this machine's loopback."""
    with _serving(folder) as (server, service):
        yield _known(Course(server, "127.0.0.1", server.port, service, folder / "person"))


@contextmanager
def relayed(near: Course, round_trip_s: float, bytes_per_s: float = 0.0) -> Iterator[Course]:
    """Put a long way for TCP in front of a server on loopback; see `tunnel_relay`."""
    words = [sys.executable, str(RELAY), str(near.port), str(round_trip_s), str(bytes_per_s)]
    with _program(words) as port:
        yield _known(replace(near, port=port))


@contextmanager
def far(
    folder: Path, round_trip_s: float, bytes_per_s: float, congestion: str, buffer_bytes: int = 0
) -> Iterator[Course]:
    """Have the server at the far end of `netlink`'s link, which loses no packet that its queue has room for.

    Args:
        folder: For its files.
        round_trip_s: The delay, half of it each way.
        bytes_per_s: What goes through towards the client; 0 is as much as this machine carries, in long packets.
        congestion: The congestion control by which the server sends.
        buffer_bytes: What one connection may have under way; 0 leaves the system's limits.
    """
    folder.mkdir()
    mtu_bytes = netlink.MTU_BYTES if bytes_per_s else LONG_BYTES
    with netlink.far(folder, round_trip_s, bytes_per_s, 0, mtu_bytes=mtu_bytes) as link:
        link.network.send_by(congestion)
        if buffer_bytes:
            link.network.buffer(buffer_bytes)
        with _in_network(folder / "server", link.network) as course:
            yield course


@contextmanager
def wired(folder: Path) -> Iterator[Course]:
    """Have the server at the other end of a wire, between two namespaces."""
    with networks.wire() as network, _in_network(folder, network) as course:
        yield course


@contextmanager
def _in_network(folder: Path, network: Network) -> Iterator[Course]:
    with _serving(folder, network) as (server, service):
        enter = network.client.enter
        yield _known(Course(server, networks.SERVER, server.port, service, folder / "person", enter, network))


@contextmanager
def _serving(folder: Path, network: Network | None = None) -> Iterator[tuple[Sshd, int]]:
    """Run the server, which lets a new key in, and the service behind it."""
    enter = network.server.enter if network is not None else ()
    addresses = [f"ListenAddress {networks.SERVER}"] if network is not None else []
    with sshd(folder, *addresses, enter=enter) as server:
        ssh = folder / "person" / ".ssh"
        ssh.mkdir(mode=0o700, parents=True)
        make_key(ssh / "id_ed25519")
        server.authorize((ssh / "id_ed25519.pub").read_text().strip())
        with _program([*enter, sys.executable, str(ENDS), "serve", "[]"]) as service:
            yield server, service


def _known(course: Course) -> Course:
    with (course.home / ".ssh" / "known_hosts").open("a", encoding="utf-8") as file:
        file.write(f"[{course.host}]:{course.port} {course.server.host_key}\n")
    return course


@contextmanager
def _program(words: Sequence[str]) -> Iterator[int]:
    """Run a program that prints a port, until the end of the block."""
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.communicate(timeout=GOODBYE_S)


def serving(course: Course) -> list[int]:
    """Return every process that serves a connection of the course's server."""
    found, todo = [], course.server.sessions()
    while todo:
        found.append(pid := todo.pop())
        with suppress(OSError):
            todo += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return found


def send(number: signal.Signals, processes: Sequence[int]) -> float:
    """Send a signal to processes, some of which may be gone; return the moment."""
    moment_s = time.monotonic()
    for pid in processes:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    return moment_s


def missing() -> str | None:
    """Say what no comparison can do without, or None."""
    return peers.absent("ssh", "sshd", "ssh-keygen")


def parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options of all programs, and the engines of ours."""
    made = session.parser(doc)
    made.add_argument("--engine", action="append", metavar="NAME", help="measure this engine of ours; repeatable")
    return made


def versions(program: Path) -> str:
    """Name the version of everything that is compared."""
    python = str(program.with_name("python"))
    asked = {"OpenSSH": ["ssh", "-V"], "autossh": ["autossh", "-V"], "internlm-setup": [str(program), "--version"]}
    for name in ("paramiko", "cryptography"):
        asked[name] = [python, "-c", f"import importlib.metadata as m; print(m.version('{name}'))"]
    return peers.named({name: peers.version(command) for name, command in asked.items()})
