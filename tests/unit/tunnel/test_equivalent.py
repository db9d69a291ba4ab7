"""The command of `ssh` that does the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from internlm_setup.core.ssh.model import HostSpec
from internlm_setup.tunnel.equivalent import equivalent, shown
from internlm_setup.tunnel.forwards import parse
from internlm_setup.tunnel.model import SessionSpec
from internlm_setup.tunnel.pasted import read_pasted

HOST = HostSpec("ssh.intern-ai.org.cn", 33090, "root", identity_files=(Path("/home/me/.ssh/id_ed25519"),))


def test_the_tutorials_tunnel() -> None:
    """As a person would type it: keys that `ssh` tries anyway are left out."""
    spec = SessionSpec(HOST, (parse("local", "6006:127.0.0.1:6006"),))
    assert shown(spec) == "ssh -N -L 6006:127.0.0.1:6006 -p 33090 root@ssh.intern-ai.org.cn"


def test_everything_at_once() -> None:
    """Kinds, keys, jumps; a shell takes it as one command."""
    host = replace(HOST, port=22, identity_files=(Path("/k/my key"),), jumps=(HostSpec("::1", 1, "a"), HostSpec("b")))
    spec = SessionSpec(host, (parse("remote", "*:0:[::1]:1"), parse("dynamic", "1080")), compression="on")
    assert shown(spec) == (
        "ssh -N -C -R '*:0:[::1]:1' -D 1080 -i '/k/my key' -J 'a@[::1]:1,b' root@ssh.intern-ai.org.cn"
    )


def test_a_proxy_command() -> None:
    """It was expanded already, so what looks like a token is none."""
    spec = SessionSpec(replace(HOST, proxy_command="nc 100% h"), (parse("local", "1"),))
    assert "-o" in equivalent(spec)
    assert "ProxyCommand=nc 100%% h" in equivalent(spec)


def test_what_is_shown_can_be_pasted() -> None:
    """The way back leads to the same."""
    spec = SessionSpec(HOST, (parse("local", "6006:127.0.0.1:6006"), parse("dynamic", "[::1]:1080")))
    found = read_pasted([shown(spec)])
    assert (found.profile.host, found.profile.user, found.profile.port) == (HOST.host, HOST.user, HOST.port)
    assert found.profile.forwards == spec.forwards
    assert found.notes == ()
