"""The tunnel's main line, literally, in both languages: docs/reference/used-by-tunnel.md holds what it must say."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from servers import namespace
from servers.machine import Done, Machine
from servers.openssh import SSHD, Sshd, make_key
from servers.ssh_person import public

pytestmark = pytest.mark.e2e
LINE = ("tunnel", "--port", "33090")
HOST = "ssh.intern-ai.org.cn"
DOCS = Path(__file__).parents[2] / "docs" / "reference"
PAGES = {"en": DOCS / "used-by-tunnel.md", "zh": DOCS / "used-by-tunnel.zh-CN.md"}
LOCALES = {"en": "en_US.UTF-8", "zh": "zh_CN.UTF-8"}
CASE = re.compile(
    r"<!-- case: (?P<name>\S+) -->\n\n"
    r"(?:```text stdout\n(?P<out>.*?)```\n\n)?```text stderr\n(?P<err>.*?)```\n\n"
    r"(?:Exit code: |退出码：)(?P<code>\d+)\n",
    re.DOTALL,
)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIP4o1XW0m9rQb8sN1vY0cZk2u7hTq3yFJd5RkLw6pXeG you@laptop"
# What differs from run to run, and what the pages have there.
CHANGING = (
    (re.compile(r"ssh-ed25519 AAAA\S+ you@\S+"), KEY),
    (re.compile(r"SHA256:\S{43}"), "SHA256:rwNq0FhZkX2mJYqOe5dXbHnQ3bV1kqv3rJX8x3kqZpA"),
    (re.compile(r"\(\S+, pid \d+\)"), "(python3, pid 4321)"),
    (re.compile(r"（[^，]+，进程 \d+）"), "（python3，进程 4321）"),
    (re.compile(r"(process |进程 )\d+"), r"\g<1>4321"),
)
BOTH = pytest.mark.parametrize("language", ["en", "zh"])
# Another program on port 6006 while the line runs; and the line itself, a second time while the first is up.
BUSY = """
"$0" -c 'import socket; s = socket.create_server(("127.0.0.1", 6006)); print(flush=True); s.accept()' >ready &
until [ -s ready ]; do sleep 0.02; done
"$@"; code=$?
kill $!
exit $code
"""
TWICE = """
"$@" 2>first & first=$!
until grep -qE 'something listens|已有程序监听' first; do kill -0 $first || exit 99; sleep 0.05; done
"$@"; code=$?
kill $first
wait $first
exit $code
"""
# The line in the playground, and the page while it is held.
PAGE = """
"$@" 2>said & line=$!
until grep -qE 'something listens|已有程序监听' said; do kill -0 $line || exit 99; sleep 0.05; done
"$0" -c 'import urllib.request as r; print(r.urlopen("http://127.0.0.1:6006").read().decode())' >page
kill $line
wait $line
"""


@dataclass(frozen=True)
class Said:
    """What a page promises, or what a run did."""

    out: str
    err: str
    code: int


def promised(language: str, name: str) -> Said:
    """What the reference page of a language shows for a case."""
    cases = {c["name"]: c for c in CASE.finditer(PAGES[language].read_text(encoding="utf-8"))}
    return Said(cases[name]["out"] or "", cases[name]["err"], int(cases[name]["code"]))


def said(done: Done, machine: Machine) -> Said:
    """What a run said, its home called `/home/you`, and what differs from run to run as the pages have it."""
    out, err = (text.replace(str(machine.home), "/home/you") for text in (done.out, done.err))
    for pattern, instead in CHANGING:
        out, err = pattern.sub(instead, out), pattern.sub(instead, err)
    return Said(out, err, done.code)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """An empty HOME."""
    return Machine(tmp_path)


def dark(prefix: list[str]) -> list[str]:
    """Return a prefix, or skip where there can be no such place."""
    lacks = namespace.missing()
    if lacks:
        pytest.skip(lacks)
    return prefix


@pytest.fixture
def server(tmp_path: Path) -> Sshd:
    """A server that is started inside the namespace, on the port of the line."""
    if SSHD is None or os.geteuid() != 0:
        pytest.skip("needs root and the OpenSSH server")
    (tmp_path / "sshd" / "home").mkdir(parents=True)
    make_key(tmp_path / "sshd" / "host_key")
    Path("/run/sshd").mkdir(exist_ok=True)
    return Sshd(tmp_path / "sshd", 33090, "root")


def beside(server: Sshd) -> list[str]:
    """Return a prefix for a command in whose world the server is at the profile's name."""
    config = server.configure()
    command = [str(SSHD), "-D", "-e", "-f", str(config)]
    return dark(namespace.with_server(server.folder / "net", HOST, command, server.folder / "log"))


def with_key(machine: Machine) -> Path:
    """Give the person a key."""
    folder = machine.home / ".ssh"
    folder.mkdir(mode=0o700)
    return make_key(folder / "id_ed25519")


@BOTH
def test_a_key_first(machine: Machine, language: str) -> None:
    done = machine.run("ssh-key", LANG=LOCALES[language], USER="you")
    assert said(done, machine) == promised(language, "ssh-key")


@BOTH
def test_no_port(machine: Machine, language: str) -> None:
    done = machine.run("tunnel", LANG=LOCALES[language])
    assert said(done, machine) == promised(language, "no-port")


@BOTH
def test_without_dns(machine: Machine, language: str) -> None:
    done = machine.run(*LINE, prefix=dark(namespace.without_network(machine.root / "net")), LANG=LOCALES[language])
    assert said(done, machine) == promised(language, "no-dns")
    assert done.wall_s < 4  # 1 s on a machine that does nothing else
    assert list(machine.home.rglob("*.sock")) == []


@pytest.mark.full
@BOTH
def test_dns_packets_dropped(machine: Machine, language: str) -> None:
    prefix = dark(namespace.with_packets_dropped(machine.root / "net"))
    done = machine.run(*LINE, prefix=prefix, LANG=LOCALES[language])
    assert said(done, machine) == promised(language, "dns-dropped")
    assert done.wall_s < 12


@pytest.mark.full
@BOTH
def test_packets_dropped(machine: Machine, language: str) -> None:
    prefix = dark(namespace.with_packets_dropped(machine.root / "net", {HOST: "192.0.2.80"}))
    done = machine.run(*LINE, prefix=prefix, LANG=LOCALES[language])
    assert said(done, machine) == promised(language, "packets-dropped")
    assert done.wall_s < 12


@BOTH
def test_port_busy(machine: Machine, language: str) -> None:
    prefix = [*dark(namespace.without_network(machine.root / "net")), "sh", "-c", BUSY, sys.executable]
    done = machine.run(*LINE, prefix=prefix, LANG=LOCALES[language])
    assert said(done, machine) == promised(language, "port-busy")


@BOTH
def test_no_key_and_no_terminal(machine: Machine, server: Sshd, language: str) -> None:
    done = machine.run(*LINE, prefix=beside(server), LANG=LOCALES[language])
    assert said(done, machine) == promised(language, "no-key")


@BOTH
def test_a_new_host_key_without_a_terminal(machine: Machine, server: Sshd, language: str) -> None:
    with_key(machine)
    done = machine.run(*LINE, prefix=beside(server), LANG=LOCALES[language])
    assert said(done, machine) == promised(language, "new-host-key")
    assert not (machine.home / ".ssh" / "known_hosts").exists()


@BOTH
def test_a_second_run_beside_the_first(machine: Machine, server: Sshd, language: str) -> None:
    server.authorize(public(with_key(machine)))
    (machine.home / ".ssh" / "known_hosts").write_text(f"[{HOST}]:33090 {server.host_key}\n")
    done = machine.run(*LINE, prefix=[*beside(server), "sh", "-c", TWICE, "twice"], LANG=LOCALES[language])
    assert said(done, machine) == promised(language, "second")
    first = Done(143, "", (machine.cwd / "first").read_text(), 0)
    assert said(first, machine) == promised(language, "first")
    left = machine.home / ".local" / "state" / "internlm-setup" / "tunnels"
    assert list(left.iterdir()) == []


@BOTH
def test_inside_the_playground(machine: Machine, language: str) -> None:
    """The literal line works without a key, a network or a server, and nothing is left of it."""
    prefix = [*dark(namespace.without_network(machine.root / "net")), "sh", "-c", PAGE, sys.executable]
    done = machine.run("playground", "--", "internlm-setup", *LINE, prefix=prefix, LANG=LOCALES[language])
    found = Done(done.code, done.out, (machine.cwd / "said").read_text(encoding="utf-8"), 0)
    assert said(found, machine) == promised(language, "playground")
    assert "This page came through the tunnel" in (machine.cwd / "page").read_text(encoding="utf-8")
    assert list(machine.home.iterdir()) == []


@pytest.mark.parametrize("name", ["no-dns", "dns-dropped", "packets-dropped", "no-key", "new-host-key", "first"])
@BOTH
def test_what_will_be_held_is_said_first(language: str, name: str) -> None:
    lines = promised(language, name).err.splitlines()
    assert "127.0.0.1:6006" in lines[0]
    assert f"`ssh -N -L 6006:127.0.0.1:6006 -p 33090 root@{HOST}`" in lines[1]
    assert "Traceback" not in "".join(lines)
