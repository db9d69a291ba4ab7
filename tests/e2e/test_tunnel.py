"""The tunnel as a person runs it: in the background, from a pasted command, and ended in every state."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from servers.machine import Machine
from servers.openssh import SSHD, Sshd, make_key, sshd
from servers.rude import closed_port
from servers.ssh_person import public
from servers.streams import service
from servers.tunnels import fetch, page, send

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(SSHD is None, reason="needs the OpenSSH server")]
PATIENCE_S = 20.0
# Ends a tunnel by its port once it is up and somebody could have looked at it.
STOP_LATER = """
import sys, time
from pathlib import Path
from internlm_setup.tunnel import records
while not [s for _, s in records.held(Path(sys.argv[1])) if s.state == "up"]:
    time.sleep(0.05)
time.sleep(1)
records.stop(records.chosen(Path(sys.argv[1]), None)[0])
"""


class Somebody(Machine):
    """A person with a key that a server takes, a service there, and a free port here."""

    server: Sshd
    there: int
    port: int

    @property
    def line(self) -> list[str]:
        """The options that lead to the server and the service."""
        forward = f"{self.port}:127.0.0.1:{self.there}"
        return ["--host", "127.0.0.1", "--user", self.server.user, "--port", str(self.server.port), "-L", forward]

    @property
    def tunnels(self) -> Path:
        """The folder of what is held."""
        return self.home / ".local" / "state" / "internlm-setup" / "tunnels"

    def nothing_is_left(self) -> None:
        """No record, no socket, no port, no connection."""
        assert [path.name for path in self.tunnels.glob("*") if path.suffix != ".log"] == []
        socket.create_server(("127.0.0.1", self.port)).close()
        late_s = time.monotonic() + PATIENCE_S
        while self.server.sessions():
            assert time.monotonic() < late_s
            time.sleep(0.02)


@pytest.fixture
def me(tmp_path: Path) -> Iterator[Somebody]:
    """Everything in place."""
    with sshd(tmp_path / "sshd") as server, service(page) as web:
        me = Somebody(tmp_path / "me")
        me.server, me.there, me.port = server, web.port, closed_port()
        folder = me.home / ".ssh"
        folder.mkdir(mode=0o700)
        (folder / "known_hosts").write_text(server.known_line)
        server.authorize(public(make_key(folder / "id_ed25519")))
        yield me


def until(child: subprocess.Popen[str], words: str) -> None:
    """Read what a command says until it says this."""
    assert child.stderr is not None
    said = ""
    for line in child.stderr:
        said += line
        if words in line:
            return
    raise AssertionError(said)


def leftovers(me: Somebody) -> list[str]:
    """What `clean` would remove of tunnels."""
    items = json.loads(me.run("clean", "--dry-run", "--json").out)["data"]["items"]
    return [Path(item["path"]).name for item in items if Path(item["path"]).parent == me.tunnels]


def profiles(me: Somebody, *lines: str) -> None:
    """Write profiles of their own."""
    file = me.home / ".config" / "internlm-setup" / "tunnels.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(f"profiles: [{', '.join(f'{{{line}}}' for line in lines)}]")


def test_in_the_background(me: Somebody) -> None:
    """It goes on after the command; it is shown, a second one is refused, its log is kept, it is stopped."""
    begun = me.run("tunnel", *me.line, "--detach", "--json")
    assert begun.code == 0, begun.err
    pid = json.loads(begun.out)["data"]["pid"]
    assert fetch(me.port) == "page"
    shown = json.loads(me.run("tunnel", "status", "--json").out)["data"]["tunnels"]
    assert [(one["pid"], one["state"], one["ports"]) for one in shown] == [(pid, "up", [me.port])]
    assert str(me.port) in me.run("tunnel", "status").out
    assert leftovers(me) == []
    for again in (me.run("tunnel", *me.line, "--detach"), me.run("tunnel", *me.line)):
        assert again.code == 73
        assert str(pid) in again.err
    send(signal.SIGKILL, me.server.sessions())
    assert fetch(me.port) == "page"
    stopped = me.run("tunnel", "stop", str(me.port))
    assert stopped.code == 0, stopped.err
    me.nothing_is_left()
    log = me.run("tunnel", "logs", str(me.port)).out
    assert [line.split(" ", 2)[2] for line in log.splitlines() if "connected" in line] == [
        "connected",
        "connected again",
    ]
    assert me.run("tunnel", "stop").code == 66
    assert leftovers(me) == [f"{me.port}.log"]
    me.run("clean", "--yes")
    assert leftovers(me) == []
    with pytest.raises(urllib.error.URLError):
        fetch(me.port)


def test_what_ends_it_in_the_background_is_told(me: Somebody) -> None:
    """With its own words and exit code, in the chosen language."""
    (me.home / ".ssh" / "known_hosts").write_text("")
    done = me.run("tunnel", *me.line, "--detach", LANG="zh_CN.UTF-8")
    assert (done.code, "--accept-new" in done.err) == (77, True)
    assert "尚未见过" in done.err
    me.nothing_is_left()


def test_a_unit(me: Somebody) -> None:
    """It is the file alone on stdout, for profiles that can be held; how to install it is said."""
    profiles(me, "name: lab, host: 127.0.0.1, port: 22", "name: home, host: box, port: 22")
    done = me.run("tunnel", "unit", "lab", "home")
    assert done.code == 0, done.err
    assert done.out.startswith("[Unit]\n")
    assert "internlm_setup tunnel hold %i" in done.out
    assert "internlm-setup-tunnel@lab internlm-setup-tunnel@home" in done.err
    assert (me.run("tunnel", "unit", "nobody").code, me.run("tunnel", "unit", "internstudio").code) == (66, 2)


def test_through_the_systems_ssh(me: Somebody) -> None:
    """The profile may ask for it, and the port is held through a cut as ever."""
    key = me.home / ".ssh" / "id_ed25519"
    server = f"host: 127.0.0.1, port: {me.server.port}, user: {me.server.user}, identity_files: [{key}]"
    profiles(me, f"name: lab, engine: openssh, {server}, local: ['{me.port}:127.0.0.1:{me.there}']")
    with me.start("tunnel", "lab") as child:
        until(child, "connecting with the system's `ssh`")
        until(child, "connected")
        assert fetch(me.port) == "page"
        send(signal.SIGKILL, me.server.sessions())
        assert fetch(me.port) == "page"
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=PATIENCE_S)
    me.nothing_is_left()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_systems_ssh_ends_while_it_connects(me: Somebody, how: signal.Signals) -> None:
    """No process and no file of it is left."""
    temporary = me.root / "temporary"
    temporary.mkdir()
    me.variables = {"TMPDIR": str(temporary)}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = f"host: 127.0.0.1, port: {silent.getsockname()[1]}, user: me, local: ['{me.port}:127.0.0.1:1']"
        profiles(me, f"name: lab, engine: openssh, {server}")
        with me.start("tunnel", "lab") as child:
            connection, _ = silent.accept()
            assert list(temporary.iterdir())
            child.send_signal(how)
            child.communicate(timeout=PATIENCE_S)
        with connection:
            connection.settimeout(PATIENCE_S)
            while connection.recv(4096):  # to the end of ssh
                pass
    assert list(temporary.iterdir()) == []
    me.nothing_is_left()


def test_a_pasted_command(me: Somebody) -> None:
    """It is taken as it is, the profile it makes is shown, and that profile works by its name."""
    port = str(me.server.port)
    forward = f"{me.port}:127.0.0.1:{me.there}"
    line = ["ssh", "-p", port, f"{me.server.user}@127.0.0.1", "-CNg", "-L", forward, "-o", "StrictHostKeyChecking=no"]
    said = ""
    for words in (line, [" ".join(line)]):
        with me.start("tunnel", *words) as child:
            assert child.stderr is not None
            said = ""
            while "connected" not in said:
                said += child.stderr.readline()
            assert fetch(me.port) == "page"
            child.send_signal(signal.SIGINT)
            child.communicate(timeout=PATIENCE_S)
        assert "`-g`: ignored" in said
        assert "StrictHostKeyChecking" in said
        me.nothing_is_left()
    lines = said[said.index("profiles:\n") : said.index("connecting")]
    name = lines.split("name: ")[1].split()[0]
    file = me.home / ".config" / "internlm-setup" / "tunnels.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(lines)
    assert name in me.run("tunnel", "list").out
    with me.start("tunnel", name) as child:
        until(child, "connected")
        assert fetch(me.port) == "page"
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=PATIENCE_S)
    me.nothing_is_left()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("state", ["connecting", "proxy", "up", "reconnecting"])
def test_ended_in_every_state(me: Somebody, state: str, how: signal.Signals) -> None:
    """Nothing of it is left: no process, no socket, no file."""
    line = [*me.line]
    silent = socket.create_server(("127.0.0.1", 0))
    marker = me.root / "proxy"
    if state == "connecting":
        line[line.index("--port") + 1] = str(silent.getsockname()[1])
    if state == "proxy":
        (me.home / ".ssh" / "config").write_text(f"ProxyCommand sh -c 'echo $$ > {marker}; sleep 1000'\n")
    with ExitStack() as stack, silent, me.start("tunnel", *line) as child:
        if state in {"connecting", "proxy"}:
            until(child, "connecting")
        else:
            until(child, "connected")
        if state == "connecting":
            stack.enter_context(silent.accept()[0])
        if state == "proxy":
            while not (marker.exists() and marker.read_text().strip()):
                time.sleep(0.02)
        if state == "reconnecting":
            sessions = me.server.sessions()
            me.server.stop()
            send(signal.SIGKILL, sessions)
            until(child, "the connection is lost")
        child.send_signal(how)
        child.communicate(timeout=PATIENCE_S)
    assert child.returncode == 128 + how
    me.nothing_is_left()
    if state == "proxy":
        assert not Path(f"/proc/{marker.read_text().strip()}").exists()


def test_waiting_for_the_background_is_given_up(me: Somebody) -> None:
    """Ctrl-C while the tunnel in the background is not up yet ends both processes."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        line = [*me.line]
        line[line.index("--port") + 1] = str(silent.getsockname()[1])
        with me.start("tunnel", *line, "--detach") as child:
            sock, _ = silent.accept()
            (record,) = (path for path in me.tunnels.glob("*.json"))
            child.send_signal(signal.SIGINT)
            child.communicate(timeout=PATIENCE_S)
        sock.close()
    assert child.returncode == 130
    assert not Path(f"/proc/{record.stem}").exists()
    me.nothing_is_left()


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs /proc")
def test_a_busy_port(me: Somebody) -> None:
    """Who holds it is named, and the advice is this forward on another port."""
    with socket.create_server(("127.0.0.1", me.port)):
        done = me.run("tunnel", *me.line)
    beside = me.port + 10_000 if me.port <= 55_535 else me.port - 10_000
    assert done.code == 73
    assert f"pid {os.getpid()}" in done.err
    assert f"`-L {beside}:127.0.0.1:{me.there}`" in done.err


def test_warnings_are_in_the_stream(me: Somebody) -> None:
    """What is said before the connection is there for programs, and on stderr, as without it."""
    (me.home / ".ssh" / "config").write_text("Match weather rain\n Port 1\n")
    with me.start("tunnel", *me.line, "-g", "--json=stream") as child:
        until(child, "connected")
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate(timeout=PATIENCE_S)
    events = [json.loads(line) for line in out.splitlines()]
    warned = [event["text"] for event in events if event.get("warning")]
    assert events[0]["event"] == "begun"
    assert len(warned) == 2
    assert "`Match weather`" in warned[0]
    assert warned[1].startswith("whoever reaches this machine reaches the port: http://")


def test_on_a_terminal(me: Somebody) -> None:
    """The figures are drawn below what is said, and are gone at the end."""
    stop = subprocess.Popen([sys.executable, "-c", STOP_LATER, str(me.tunnels.parent)], env=me.env, cwd=me.cwd)
    _, shown, code = me.run_on_terminal("tunnel", *me.line, TERM="xterm-256color")
    stop.wait(PATIENCE_S)
    assert code == 0, shown
    assert "Ctrl-C ends it" in shown
    assert "RECONNECTS" in shown
    me.nothing_is_left()
