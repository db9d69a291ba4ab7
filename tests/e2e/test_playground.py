"""The playground's dev machine, by commands as a person types them; everything is gone with it."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from servers import namespace
from servers.leftovers import Leftovers
from servers.machine import Done, Machine

pytestmark = pytest.mark.e2e
INSIDE = ("playground", "--", "sh", "-c")
TUNNEL = "internlm-setup tunnel --port 33090"
# Another program on port 33090 while the command runs.
BUSY = """
"$0" -c 'import socket; s = socket.create_server(("127.0.0.1", 33090)); print(flush=True); s.accept()' >ready &
until [ -s ready ]; do sleep 0.02; done
"$@"; code=$?
kill $!
exit $code
"""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """An empty HOME, and a folder for all that is temporary."""
    return Machine(tmp_path, {"TMPDIR": str(Leftovers(tmp_path / "tmp").folder)})


def inside(machine: Machine, script: str, *prefix: str, agent: str = "") -> Done:
    """Run a script in the playground, on a machine without a network; nothing of it is left."""
    lacks = namespace.missing()
    if lacks:
        pytest.skip(lacks)
    dark = namespace.without_network(machine.root / "net")
    done = machine.run(*INSIDE, f"set -e; {script}", prefix=[*dark, *prefix], SSH_AUTH_SOCK=agent)
    rest = Leftovers(machine.root / "tmp")
    assert (rest.processes(), rest.files()) == (set(), [])
    assert list(machine.home.iterdir()) == []
    return done


def test_a_tunnel_in_the_background_ends_with_the_playground(machine: Machine) -> None:
    """And its page is there until then."""
    done = inside(machine, f"{TUNNEL} --detach; internlm-setup tunnel status")
    assert done.code == 0, done.err
    assert "root@127.0.0.1 port 33090" in done.out


def test_the_key_that_a_person_makes(machine: Machine) -> None:
    """It opens the machine, which then need not be told of it; a key that is not there does not."""
    own = "internlm-setup ssh-key new --type rsa-4096 >/dev/null; rm ~/.ssh/id_ed25519*"
    done = inside(machine, f"{own}; internlm-setup ssh-key install root@ssh.intern-ai.org.cn:33090")
    assert done.code == 0, done.err
    assert "logs in to root@127.0.0.1 already" in done.err
    refused = inside(machine, f"rm ~/.ssh/id_*; {TUNNEL}")
    assert refused.code == 77
    assert "`internlm-setup ssh-key`" in refused.err


def test_the_command_that_the_tutorial_has(machine: Machine) -> None:
    """Pasted as it is, it leads to the stand-in."""
    pasted = "ssh -p 33090 root@ssh.intern-ai.org.cn -CNg -L 6006:127.0.0.1:6006 -o StrictHostKeyChecking=no"
    done = inside(machine, f"internlm-setup tunnel --detach {pasted}")
    assert done.code == 0, done.err


def test_a_persons_agent_stays_out_of_it(machine: Machine) -> None:
    """Its variable leads to logins that are no business of a stand-in."""
    done = inside(machine, 'test -z "$SSH_AUTH_SOCK"', agent="/tmp/agent")
    assert done.code == 0, done.err


def test_other_clients_of_the_servers(machine: Machine) -> None:
    """`serve` says how the real `ssh` gets to the page, and ends by Ctrl-C without an error."""
    if shutil.which("ssh") is None:
        pytest.skip("no ssh")
    with machine.start("playground", "serve", "--json=stream") as serving:
        assert serving.stdout is not None
        told = json.loads(serving.stdout.readline())
        words = shlex.split(told["ssh"].replace(" -N -L 6006:", " -W "))
        asking = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        page = subprocess.run(words, input=asking, capture_output=True, timeout=30, check=False)
        assert b"This page came through the tunnel" in page.stdout, page.stderr
        serving.send_signal(signal.SIGINT)
        out, _ = serving.communicate(timeout=30)
    ending = json.loads(out)
    assert (serving.returncode, ending["exit_code"], ending["errors"]) == (130, 130, [])


def test_the_usual_port_is_taken(machine: Machine) -> None:
    """Another one is used, and said so, with the command."""
    port_of = "$(grep -o ':[0-9]* ' ~/.ssh/known_hosts | tr -d ': ')"
    done = inside(machine, f"internlm-setup tunnel --port {port_of} --detach", "sh", "-c", BUSY, sys.executable)
    assert done.code == 0, done.err
    assert "port 33090 is taken here" in done.err
    port = done.err.split("`internlm-setup tunnel --port ")[1].split("`")[0]
    assert f"-p {port} root@127.0.0.1" in done.err
