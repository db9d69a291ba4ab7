"""The system's own `ssh` as an engine: what only it can do, what it asks, and what it complains of in our words."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from internlm_setup.core.errors import SetupError
from internlm_setup.core.ssh.ask import Asker, Login, NewHostKey, NobodyToAsk, Remembering
from internlm_setup.core.ssh.connect_errors import (
    ConnectionLost,
    HostKeyChanged,
    HostKeyNew,
    HostKeyRevoked,
    HostUnknown,
    HostUnreachable,
    NoCommonAlgorithm,
    NotSsh,
)
from internlm_setup.core.ssh.login_errors import KeyRefused, NoWayIn, PasswordRefused, TooManyKeys
from internlm_setup.core.ssh.model import HostSpec
from internlm_setup.tunnel.engines.openssh import ENGINE
from internlm_setup.tunnel.errors import NoOpenSsh
from internlm_setup.tunnel.model import Session, SessionSpec
from servers.openssh import SSHD, Sshd, make_key, sshd
from servers.rude import closed_port
from servers.ssh_person import Person, public, spec_of
from servers.streams import ENGINES, echo, service

pytestmark = [pytest.mark.loopback, pytest.mark.skipif(SSHD is None, reason="needs the OpenSSH server")]


def up(host: HostSpec, ask: Asker | None = None, env: Mapping[str, str] | None = None, **spec: object) -> Session:
    whole = replace(SessionSpec(host, ()), **spec)  # type: ignore[arg-type]  # its own fields
    return ENGINE.open(whole, ask or NobodyToAsk(), env or {}, lambda _: None)


def works(host: HostSpec, ask: Asker | None = None, **spec: object) -> None:
    with closing(up(host, ask, {}, **spec)) as session:
        assert session.run("echo in", 100, 10) == b"in\n"


@pytest.fixture
def key(server: Sshd) -> Path:
    return server.folder / "key"


def test_who_the_server_is_comes_first(server: Sshd, key: Path) -> None:
    """It is told when the server has proved who it is, as by every engine."""
    told: list[str] = []
    ENGINE.open(SessionSpec(spec_of(server, key), ()), NobodyToAsk(), {}, told.append).close()
    assert told == ["auth"]


def test_a_password(tmp_path: Path) -> None:
    """It is asked for once, and kept for the next time."""
    person = Person(passwords=["correct horse"])
    keeping = Remembering(person)
    with sshd(tmp_path / "sshd", password="correct horse") as server:
        for _ in range(2):
            works(spec_of(server), keeping)
        assert person.asked == [Login(server.user, "127.0.0.1", server.port)]


def test_a_wrong_password(tmp_path: Path) -> None:
    """It is refused in words, and asked for no second time."""
    person = Person(passwords=["wrong", "wrong again"])
    with sshd(tmp_path / "sshd", password="correct horse") as server, pytest.raises(PasswordRefused):
        up(spec_of(server), person)
    assert len(person.asked) == 1


def test_a_passphrase(server: Sshd, tmp_path: Path) -> None:
    """The key's own is asked for."""
    key = make_key(tmp_path / "locked", passphrase="open sesame")
    server.authorize(public(key))
    person = Person(passphrases={"locked": "open sesame"})
    works(spec_of(server, key), person)
    assert person.asked == ["locked"]


def test_a_new_host_key(server: Sshd, key: Path) -> None:
    """A yes, or `--accept-new`, writes it down; a no, or nobody, is an error that shows it."""
    person = Person(trusts=True)
    works(spec_of(server, key, known=False), person)
    (asked,) = person.asked
    assert isinstance(asked, NewHostKey)
    assert (asked.port, asked.fingerprint[:7]) == (server.port, "SHA256:")
    works(spec_of(server, key, known=False), accept_new=True)
    for asker in (NobodyToAsk(), Person(trusts=False)):
        spec = spec_of(server, key, known=False)
        with pytest.raises(HostKeyNew) as caught:
            up(spec, asker)
        assert caught.value.fingerprint == asked.fingerprint
        assert spec.known_hosts[0].read_text() == ""


def test_a_host_key_that_is_another_or_revoked(server: Sshd, key: Path) -> None:
    """Nothing is sent, and the line is named; `--accept-new` changes nothing."""
    spec = spec_of(server, key)
    name = f"[127.0.0.1]:{server.port}"
    spec.known_hosts[0].write_text(f"# first\n{name} {public(key)}\n")
    with pytest.raises(HostKeyChanged) as changed:
        up(spec, Person(trusts=True), accept_new=True)
    assert (changed.value.file, changed.value.line) == (str(spec.known_hosts[0]), 2)
    assert name in changed.value.forget
    spec.known_hosts[0].write_text(f"@revoked {name} {server.host_key}\n")
    with pytest.raises(HostKeyRevoked) as revoked:
        up(spec, Person(trusts=True), accept_new=True)
    assert revoked.value.line == 1


def test_keys_that_do_not_open_the_door(server: Sshd, tmp_path: Path) -> None:
    """Which were tried is said; with none at all, what the server takes."""
    with pytest.raises(KeyRefused) as refused:
        up(replace(spec_of(server, make_key(tmp_path / "wrong")), identities_only=True))
    assert "wrong" in refused.value.tried
    with pytest.raises(NoWayIn) as none:
        up(replace(spec_of(server, tmp_path / "missing"), identities_only=True, identity_files=(Path("/dev/null"),)))
    assert none.value.methods == "publickey"
    keys = [make_key(tmp_path / f"key{n}") for n in range(7)]
    with pytest.raises(TooManyKeys):
        up(replace(spec_of(server, *keys), identities_only=True))


def test_nobody_there(server: Sshd, key: Path, tmp_path: Path) -> None:
    """The name, the port, or what answers is wrong."""
    spec = spec_of(server, key)
    with pytest.raises(HostUnreachable) as refused:
        up(replace(spec, port=closed_port()))
    assert refused.value.cause_id == "refused"
    with pytest.raises(HostUnknown):
        up(replace(spec, host="no-such-host.invalid"))
    with service(lambda sock: sock.sendall(b"HTTP/1.1 400 Bad Request\r\n" * 2000)) as web, pytest.raises(NotSsh):
        up(replace(spec, port=web.port))
    with service(lambda sock: sock.close()) as rude, pytest.raises(ConnectionLost):
        up(replace(spec, port=rude.port))


def test_a_server_that_only_it_can_talk_to(tmp_path: Path) -> None:
    """With one cipher that paramiko lacks, the others find nothing in common and this engine does."""
    with sshd(tmp_path / "sshd", "Ciphers chacha20-poly1305@openssh.com") as server, service(echo) as there:
        server.authorize(public(make_key(server.folder / "key")))
        spec = spec_of(server, server.folder / "key")
        with pytest.raises(NoCommonAlgorithm):
            ENGINES["threaded"].open(SessionSpec(spec, ()), NobodyToAsk(), {}, lambda _: None)
        with closing(up(spec)) as session:
            channel = session.open_channel(there, there, 10)
            channel.send_all(b"hello")
            assert channel.recv(100) == b"hello"
            channel.close()


def test_a_server_that_has_nothing_in_common_with_it_either(tmp_path: Path, server: Sshd, key: Path) -> None:
    """What the server offers is named."""
    program = tmp_path / "ssh"
    program.write_text('#!/bin/sh\nexec /usr/bin/ssh -o KexAlgorithms=diffie-hellman-group1-sha1 "$@"\n')
    program.chmod(0o700)
    with pytest.raises(NoCommonAlgorithm) as caught:
        up(spec_of(server, key), env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert "curve25519-sha256" in caught.value.theirs


def test_no_ssh_here(tmp_path: Path) -> None:
    """It is said that it is missing."""
    with pytest.raises(NoOpenSsh):
        up(HostSpec("box"), env={"PATH": str(tmp_path)})


def test_an_unknown_complaint_is_passed_on(server: Sshd, key: Path, tmp_path: Path) -> None:
    """In its own words, without what it says to programmers."""
    program = tmp_path / "ssh"
    program.write_text("#!/bin/sh\necho 'debug1: noise' >&2; echo 'command-line: line 0: odd' >&2; exit 255\n")
    program.chmod(0o700)
    with pytest.raises(SetupError, match="command-line: line 0: odd") as caught:
        up(spec_of(server, key), env={"PATH": str(tmp_path)})
    assert "noise" not in str(caught.value)


def test_compression_as_was_asked(server: Sshd, key: Path) -> None:
    """It cannot be switched later, which is said."""
    with closing(up(spec_of(server, key), compression="on")) as session:
        assert session.compress(True) is False
        assert session.recent == b""
        assert session.run("true", 10, 10) == b""


def test_it_ends_when_we_are_killed(server: Sshd, key: Path, tmp_path: Path) -> None:
    """No `ssh` is left behind."""
    program = (
        "import sys, time; from pathlib import Path; from internlm_setup.core.ssh.ask import NobodyToAsk;"
        "from internlm_setup.core.ssh.model import HostSpec; from internlm_setup.tunnel.model import SessionSpec;"
        "from internlm_setup.tunnel.engines.openssh import ENGINE; a = sys.argv;"
        "spec = HostSpec('127.0.0.1', int(a[1]), a[2], 'box', (Path(a[3]),), known_hosts=(Path(a[4]),));"
        "s = ENGINE.open(SessionSpec(spec, ()), NobodyToAsk(), {}, lambda _: None);"
        "print(s._process.pid, flush=True); time.sleep(60)"
    )
    words = [str(server.port), server.user, str(key), str(spec_of(server, key).known_hosts[0])]
    ours = subprocess.Popen([sys.executable, "-c", program, *words], stdout=subprocess.PIPE)
    assert ours.stdout is not None
    with ours.stdout as said:
        theirs = int(said.readline())
    ours.send_signal(signal.SIGKILL)
    ours.wait(10)
    for _ in range(200):
        if not Path(f"/proc/{theirs}").exists():
            return
        time.sleep(0.05)
    os.kill(theirs, signal.SIGKILL)
    pytest.fail("ssh goes on")


def test_threads_end_where_there_is_no_session(server: Sshd, key: Path) -> None:
    """Nothing is left of what did not come up."""
    before = set(threading.enumerate())
    with pytest.raises(HostUnreachable):
        up(replace(spec_of(server, key), port=closed_port()))
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()
