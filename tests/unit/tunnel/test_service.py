"""What is held: the command line over a profile over `~/.ssh/config` over what is usual."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from internlm_setup.core.paths import Paths
from internlm_setup.tunnel.errors import UnknownProfile
from internlm_setup.tunnel.forwards import parse
from internlm_setup.tunnel.held import option_of
from internlm_setup.tunnel.held_errors import PortMissing
from internlm_setup.tunnel.service import Plan, Request, World, open_to_all, plan

HOST = "ssh.intern-ai.org.cn"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A person without a configuration."""
    (tmp_path / ".ssh").mkdir()
    env = {"USER": "me"}
    return World(env, tmp_path, Paths.of(env, tmp_path, "linux"))


def config(world: World, words: str) -> None:
    (world.home / ".ssh" / "config").write_text(words)


def planned(world: World, *words: str, **asked: Any) -> Plan:
    return plan(Request(words=words, **asked), world)


def forwards_of(found: Plan) -> list[str]:
    return [option_of(forward) for forward in found.spec.forwards]


def test_the_default(world: World) -> None:
    found = planned(world, port=33090)
    assert (found.spec.host.host, found.spec.host.port, found.spec.host.user) == (HOST, 33090, "root")
    assert forwards_of(found) == ["-L 6006:127.0.0.1:6006"]
    assert found.begun.server == f"root@{HOST} port 33090"
    assert (found.notes, found.warnings, found.made) == ((), (), None)


def test_a_port_for_each_machine(world: World) -> None:
    """It must be said, once: here, in the profile or in `~/.ssh/config`."""
    with pytest.raises(PortMissing):
        planned(world)
    config(world, f"Host {HOST}\n  Port 37367\n")
    assert planned(world).spec.host.port == 37367
    assert planned(world, port=1).spec.host.port == 1


def test_another_server(world: World) -> None:
    """Its name in `~/.ssh/config` brings its address, port, account and forwards."""
    config(world, "Host box\n HostName 192.0.2.7\n User you\n Port 2022\n LocalForward 7860 127.0.0.1:7860\n")
    found = planned(world, host="box")
    assert (found.spec.host.host, found.spec.host.port, found.spec.host.user) == ("192.0.2.7", 2022, "you")
    assert forwards_of(found) == ["-L 7860:127.0.0.1:7860"]
    assert forwards_of(planned(world, host="other")) == ["-L 6006:127.0.0.1:6006"]
    assert planned(world, host="other").spec.host.user == "me"


def test_given_forwards_replace_the_usual_one(world: World) -> None:
    wanted = (parse("local", "8501:127.0.0.1:8501"), parse("dynamic", "1080"))
    assert forwards_of(planned(world, port=1, forwards=wanted)) == ["-L 8501:127.0.0.1:8501", "-D 1080"]


def test_for_everybody(world: World) -> None:
    """`-g` opens what listens here; what names its address keeps it."""
    wanted = (parse("local", "1:h:1"), parse("local", "127.0.0.1:2:h:2"), parse("remote", "3:h:3"))
    found = planned(world, port=1, forwards=wanted, to_all=True)
    assert forwards_of(found) == ["-L *:1:h:1", "-L 127.0.0.1:2:h:2", "-R 3:h:3"]


@pytest.mark.allow_hosts(["192.0.2.1"])  # whose route is looked up; nothing is sent
@pytest.mark.parametrize(
    ("words", "told"),
    [
        *((words, 0) for words in ("1", "localhost:1:a:2", "127.0.0.2:1:a:2", "[::1]:1:a:2")),
        *((words, 1) for words in ("*:1:a:2", ":1:a:2", "0.0.0.0:1:a:2", "[::]:1:a:2", "192.0.2.7:1:a:2")),
    ],
)
def test_ports_that_others_reach(world: World, words: str, told: int) -> None:
    """That is said, whatever asked for it."""
    found = planned(world, host="box", forwards=(parse("local", words),))
    assert len(list(open_to_all(found.spec))) == told


def test_a_profile_of_ones_own(world: World) -> None:
    world.paths.config.mkdir(parents=True)
    (world.paths.config / "tunnels.yaml").write_text("profiles:\n- {name: lab, host: lab.example, local: ['8888']}\n")
    found = planned(world, "lab")
    assert (found.spec.host.host, found.spec.host.port) == ("lab.example", 22)
    assert forwards_of(found) == ["-L 8888:127.0.0.1:8888"]
    with pytest.raises(UnknownProfile):
        planned(world, "nowhere")


def test_a_pasted_command(world: World) -> None:
    """As one word or many; what the person adds wins, and what is not followed is said."""
    line = f"ssh -p 37367 root@{HOST} -CNg -L 7860:127.0.0.1:7860 -o StrictHostKeyChecking=no"
    for words in (line.split(), [line]):
        found = planned(world, *words)
        assert (found.spec.host.port, forwards_of(found)) == (37367, ["-L 7860:127.0.0.1:7860"])
        assert len(found.notes) == 2
        assert found.made is not None
    assert planned(world, line, port=5).spec.host.port == 5
    assert forwards_of(planned(world, "ssh", "box")) == ["-L 6006:127.0.0.1:6006"]


def test_jumps(world: World) -> None:
    found = planned(world, host="box", jumps=("a@one:2222", "two"))
    assert [(hop.user, hop.host, hop.port) for hop in found.spec.host.jumps] == [("a", "one", 2222), ("me", "two", 22)]


def test_what_is_said_first(world: World) -> None:
    wanted = (parse("local", "[::1]:1:h:1"), parse("remote", "*:2:h:2"), parse("dynamic", "1080"))
    begun = planned(world, host="box", forwards=wanted).begun
    assert [words.en for words in begun.forwards] == [
        "[::1]:1 here leads to h:1 on box",
        "*:2 on box leads to h:2 here",
        "127.0.0.1:1080 here is a SOCKS proxy that leads wherever box can reach",
    ]
    assert begun.command.startswith("ssh -N ")


def test_compression(world: World) -> None:
    """A pasted `-C`, then `~/.ssh/config`, then what the line turns out to be."""
    assert planned(world, "ssh -C me@box").spec.compression == "on"
    assert planned(world, host="box").spec.compression == "auto"
    config(world, "Host box\n Compression yes\nHost other\n Compression no\n")
    assert planned(world, host="box").spec.compression == "on"
    assert planned(world, host="other").spec.compression == "off"
    assert planned(world, "ssh -C other").spec.compression == "on"
