"""Which engine is taken against real servers, and that a person is told why it is another one."""

from __future__ import annotations

import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from internlm_setup.core.errors import SetupError
from internlm_setup.core.ssh.ask import NobodyToAsk
from internlm_setup.core.ssh.config import HostConfig
from internlm_setup.core.ssh.connect_errors import NoCommonAlgorithm
from internlm_setup.core.ssh.login_errors import KeyRefused
from internlm_setup.core.ssh.model import HostSpec
from internlm_setup.core.text import Text
from internlm_setup.tunnel import events as ev
from internlm_setup.tunnel.choosing import Chosen, Means, means
from internlm_setup.tunnel.model import SessionSpec
from servers.openssh import Sshd, hardware_key, make_key, sshd
from servers.ssh_person import public, spec_of
from servers.tunnels import Story

pytestmark = pytest.mark.loopback
NOTHING = HostConfig({})
WHY = Text(en="because", zh="因为")


def opened(host: HostSpec, found: Means, said: str | None = None, env: dict[str, str] | None = None) -> tuple[str, str]:
    """Open a session twice; returns the engine and what was said, once."""
    story = Story()
    chosen = Chosen("threaded", found, story.hear, said)
    for _ in range(2):
        with closing(chosen.open(SessionSpec(host, ()), NobodyToAsk(), env or {}, lambda _: None)) as session:
            assert session.run("echo in", 100, 10) == b"in\n"
    return chosen.id, " ".join(event.text.en for event in story.told if isinstance(event, ev.Noted))


def test_the_usual_one(server: Sshd) -> None:
    """With a key that we can use nothing is said, whatever else there is."""
    host = spec_of(server, server.folder / "key")
    assert opened(host, means(host, NOTHING, {})) == ("threaded", "")
    assert opened(host, Means(WHY, for_us=True)) == ("threaded", "")


def test_the_profile_says_so(server: Sshd) -> None:
    """It is taken, and said."""
    host = spec_of(server, server.folder / "key")
    assert opened(host, means(host, NOTHING, {}), "openssh") == (
        "openssh",
        "connecting with the system's `ssh`: the profile says so",
    )


def test_nothing_in_common_with_us(tmp_path: Path) -> None:
    """`ssh` is tried, and stays; where it is missing what we found out is said."""
    with sshd(tmp_path / "sshd", "Ciphers chacha20-poly1305@openssh.com") as server:
        server.authorize(public(make_key(server.folder / "key")))
        host = spec_of(server, server.folder / "key")
        engine, said = opened(host, means(host, NOTHING, {}))
        assert engine == "openssh"
        assert said.count("connecting with the system's `ssh`: no common cipher") == 1
        with pytest.raises(NoCommonAlgorithm):
            opened(host, means(host, NOTHING, {}), env={"PATH": str(tmp_path)})


def test_what_only_ssh_can_use(server: Sshd) -> None:
    """Without any key of ours it is taken at once."""
    host = spec_of(server, server.folder / "key")
    assert opened(host, Means(WHY, for_us=False)) == ("openssh", "connecting with the system's `ssh`: because")


def test_an_agent_that_has_a_key(server: Sshd, tmp_path: Path) -> None:
    """We can ask it ourselves."""
    env = {"SSH_AUTH_SOCK": str(tmp_path / "agent")}
    command = ["ssh-agent", "-D", "-a", env["SSH_AUTH_SOCK"]]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as agent:
        try:
            assert agent.stdout is not None
            agent.stdout.readline()
            subprocess.run(["ssh-add", "-q", str(server.folder / "key")], env=env, check=True, timeout=20)
            assert opened(spec_of(server), Means(WHY, for_us=False), env=env)[0] == "threaded"
        finally:
            agent.terminate()


def test_our_keys_do_not_open_the_door(server: Sshd, tmp_path: Path) -> None:
    """Then what only `ssh` can use may; where there is no such thing, nothing more is tried."""
    host = replace(spec_of(server, make_key(tmp_path / "wrong")), identities_only=True)
    story = Story()
    chosen = Chosen("threaded", Means(WHY, for_us=True), story.hear)
    with pytest.raises(KeyRefused):
        chosen.open(SessionSpec(host, ()), NobodyToAsk(), {}, lambda _: None)
    assert len(story.told) == 1
    with pytest.raises(KeyRefused):
        Chosen("threaded", Means(None, for_us=True), story.hear).open(
            SessionSpec(host, ()), NobodyToAsk(), {}, lambda _: None
        )
    assert len(story.told) == 1


def test_a_key_in_hardware(server: Sshd, tmp_path: Path) -> None:
    """It is recognised by its file, and `ssh` is asked to use it: here it finds no device."""
    host = replace(spec_of(server, hardware_key(tmp_path / "id_ed25519_sk")), identities_only=True)
    server.authorize(public(host.identity_files[0]))
    found = means(host, NOTHING, {})
    assert found.for_ssh is not None
    assert "hardware" in found.for_ssh.en
    story = Story()
    with pytest.raises(SetupError) as caught:
        Chosen("threaded", found, story.hear).open(SessionSpec(host, ()), NobodyToAsk(), {}, lambda _: None)
    assert isinstance(caught.value, KeyRefused)
    assert "ED25519-SK" in caught.value.tried


def test_what_the_configuration_offers(tmp_path: Path) -> None:
    """PKCS#11 always, Kerberos only with a ticket; a key file of ours is seen."""
    host = HostSpec("box")
    assert means(host, NOTHING, {}) == Means(None, for_us=False)
    assert means(host, HostConfig({"pkcs11provider": ("none",)}), {}).for_ssh is None
    provided = means(host, HostConfig({"pkcs11provider": ("/usr/lib/p.so",)}), {}).for_ssh
    assert provided is not None
    assert "/usr/lib/p.so" in provided.en
    kerberos = HostConfig({"gssapiauthentication": ("yes",)})
    ticket = tmp_path / "ticket"
    assert means(host, kerberos, {"KRB5CCNAME": f"FILE:{ticket}"}).for_ssh is None
    ticket.touch()
    assert means(host, kerberos, {"KRB5CCNAME": f"FILE:{ticket}"}).for_ssh is not None
    assert means(host, kerberos, {"KRB5CCNAME": "KCM:"}).for_ssh is not None
    key = make_key(tmp_path / "key")
    both = replace(host, identity_files=(key, hardware_key(tmp_path / "sk"), tmp_path / "missing"))
    assert means(both, NOTHING, {}).for_us
