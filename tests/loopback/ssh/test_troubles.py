"""Every trouble on the way to a server has its own error, met with the real OpenSSH server or a rude one."""

from __future__ import annotations

import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from internlm_setup.core.errors import ExitCode, SetupError
from internlm_setup.core.reach import CAUSES
from internlm_setup.core.ssh.ask import NobodyToAsk, Remembering
from internlm_setup.core.ssh.connect import Manner, Patience, connect
from internlm_setup.core.ssh.connect_errors import (
    ConnectionLost,
    HostKeyChanged,
    HostKeyNew,
    HostKeyRevoked,
    HostUnknown,
    HostUnreachable,
    JumpRefused,
    NoCommonAlgorithm,
    NotSsh,
    ProxyCommandFailed,
    ServerSilent,
)
from internlm_setup.core.ssh.errors import KeyEncrypted, KeyUnsupported, WrongPassphrase
from internlm_setup.core.ssh.login_errors import KeyRefused, NoWayIn, PasswordRefused, TooManyKeys
from internlm_setup.core.ssh.model import HostSpec
from servers.openssh import SSHD, Sshd, make_key, sshd
from servers.rude import black_hole, closed_port, listening
from servers.ssh_person import Person, public, spec_of

pytestmark = [pytest.mark.loopback, pytest.mark.skipif(SSHD is None, reason="needs the OpenSSH server")]
SHORT = Patience(greeting_s=0.5, handshake_s=0.5, login_s=5, channel_s=5)
NOBODY = Manner(NobodyToAsk(), {}, patience=SHORT)
SECRET = "correct horse"  # of a server that ends with its test


def failure(spec: HostSpec, manner: Manner = NOBODY) -> SetupError:
    """Return the error of an attempt; its words hold no password in either language."""
    with pytest.raises(SetupError) as caught:
        connect(spec, manner).close()
    error = caught.value
    assert SECRET not in f"{error.message('en')}{error.message('zh')}{error.next_step()}{error.details()}"
    return error


def there(port: int, host: str = "127.0.0.1") -> HostSpec:
    return HostSpec(host, port, "me")


def test_no_such_name() -> None:
    """A name that does not resolve is an unknown host."""
    error = failure(there(22, "b" * 64 + ".test"))
    assert isinstance(error, HostUnknown)
    assert error.exit_code is ExitCode.UNAVAILABLE


def test_refused_and_silent_networks() -> None:
    """A closed port refuses, and packets that vanish are a time-out, each with the port in its words."""
    error = failure(there(port := closed_port()))
    assert isinstance(error, HostUnreachable)
    assert (error.cause_id, error.exit_code) == ("refused", ExitCode.UNAVAILABLE)
    assert str(port) in error.message()
    with black_hole() as port:
        error = failure(there(port))
    assert isinstance(error, HostUnreachable)
    assert error.cause_id == "time-out"


def test_no_route() -> None:
    """A network that ends here is no fault of the other side, and its advice says so."""
    no_route, refused = (HostUnreachable("box", 22, cause, CAUSES[cause]) for cause in ("no-route", "refused"))
    assert "this machine's network" in (no_route.next_step() or "")
    assert "console" in (refused.next_step() or "")


def test_no_greeting() -> None:
    """A server that takes the connection and keeps silent is given up."""
    with listening(answer=None) as rude:
        error = failure(there(rude.port))
    assert isinstance(error, ServerSilent)
    assert error.exit_code is ExitCode.UNAVAILABLE


def test_no_handshake() -> None:
    """So is one that only greets."""
    with socket.create_server(("127.0.0.1", 0)) as rude:
        spec = there(rude.getsockname()[1])

        import threading

        def greet() -> None:
            caller, _ = rude.accept()
            caller.sendall(b"SSH-2.0-rude\r\n")
            callers.append(caller)

        callers: list[socket.socket] = []
        threading.Thread(target=greet, daemon=True).start()
        error = failure(spec)
        for caller in callers:
            caller.close()
    assert isinstance(error, ServerSilent)


def test_hung_up() -> None:
    """A server that closes at once has closed the connection."""
    with listening(answer=b"") as rude:
        assert isinstance(failure(there(rude.port)), ConnectionLost)


def test_too_many_callers(tmp_path: Path) -> None:
    """OpenSSH's server that is full says so before it closes, which may pass."""
    with sshd(tmp_path / "sshd", "PerSourceMaxStartups 1") as server:
        with socket.create_connection(("127.0.0.1", server.port)) as first:
            assert first.recv(4) == b"SSH-"
            error = failure(spec_of(server))
        assert isinstance(error, ConnectionLost)
        assert error.words.startswith(": ")


def test_something_else_answers() -> None:
    """What is no SSH server is quoted."""
    with listening(b"HTTP/1.1 400 Bad Request\r\n\r\n") as rude:
        error = failure(there(rude.port))
    assert isinstance(error, NotSsh)
    assert (error.words, error.exit_code) == ("HTTP/1.1 400 Bad Request", ExitCode.PROTOCOL)


@pytest.mark.parametrize(
    ("line", "theirs"),
    [
        ("Ciphers chacha20-poly1305@openssh.com", "chacha20-poly1305@openssh.com"),
        ("KexAlgorithms sntrup761x25519-sha512@openssh.com", "sntrup761x25519-sha512@openssh.com"),
        ("HostKeyAlgorithms ssh-rsa\nHostKey {rsa}", "ssh-rsa"),
        ("MACs umac-128@openssh.com\nCiphers aes128-ctr", "umac-128@openssh.com"),
    ],
)
def test_no_common_algorithm(tmp_path: Path, line: str, theirs: str) -> None:
    """The kind and both lists are named."""
    rsa = make_key(tmp_path / "rsa", kind="rsa")
    with sshd(tmp_path / "sshd", *line.format(rsa=rsa).split("\n")) as server:
        error = failure(spec_of(server))
    assert isinstance(error, NoCommonAlgorithm)
    assert error.theirs.split(", ")[0] == theirs
    assert error.ours
    assert error.exit_code is ExitCode.PROTOCOL
    assert f"-p {server.port} " in (error.next_step() or "")


@pytest.mark.parametrize("ask", [NobodyToAsk(), Person(trusts=False)])
def test_new_host_key(tmp_path: Path, ask: Person | NobodyToAsk) -> None:
    """A host key that nobody vouched for ends it: nothing is sent and nothing is written down."""
    with sshd(tmp_path / "sshd") as server:  # others that are served may still have their lines to write
        spec = spec_of(server, make_key(tmp_path / "key"), known=False)
        error = failure(spec, replace(NOBODY, ask=ask))
    assert isinstance(error, HostKeyNew)
    assert error.exit_code is ExitCode.DENIED
    words = ["ssh-keygen", "-lf", str(server.folder / "host_key.pub")]
    assert error.fingerprint in subprocess.run(words, capture_output=True, check=True, text=True).stdout
    assert spec.known_hosts[0].read_text() == ""
    assert not any("user" in line for line in server.log)


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_changed_host_key(server: Sshd, key: Path, tmp_path: Path, kind: str) -> None:
    """Another key on record, of the same type or not, ends it, even with `accept_new`; the given command forgets it."""
    spec = spec_of(server, key)
    spec.known_hosts[0].write_text(
        f"# mine\n[127.0.0.1]:{server.port} {public(make_key(tmp_path / 'old', kind=kind))}\n"
    )
    error = failure(spec, replace(NOBODY, accept_new=True))
    assert isinstance(error, HostKeyChanged)
    assert (error.exit_code, error.line) == (ExitCode.DENIED, 2)
    assert "recreated" in error.message()
    subprocess.run(error.forget, shell=True, check=True, capture_output=True)
    assert isinstance(failure(spec), HostKeyNew)


def test_revoked_host_key(server: Sshd, key: Path) -> None:
    """A key that a line revokes ends it, whatever other lines say."""
    spec = spec_of(server, key)
    with spec.known_hosts[0].open("a") as file:
        file.write(f"@revoked * {server.host_key}\n")
    error = failure(spec, replace(NOBODY, accept_new=True))
    assert isinstance(error, HostKeyRevoked)
    assert (error.exit_code, error.line) == (ExitCode.DENIED, 2)


def test_nothing_to_log_in_with(server: Sshd, tmp_path: Path) -> None:
    """No key, no agent, nobody to ask: the error names `ssh-key`."""
    error = failure(spec_of(server, tmp_path / "missing"))
    assert isinstance(error, NoWayIn)
    assert (error.methods, error.exit_code) == ("publickey", ExitCode.DENIED)
    assert "internlm-setup ssh-key" in str(error.next_step())


def test_keys_refused(server: Sshd, tmp_path: Path) -> None:
    """The keys that were tried are named, at most five, with what could not be used."""
    keys = [make_key(tmp_path / f"key{n}") for n in range(6)]
    locked = make_key(tmp_path / "locked", passphrase="secret")
    error = failure(spec_of(server, keys[0], locked))
    assert isinstance(error, KeyRefused)
    assert error.exit_code is ExitCode.DENIED
    assert str(keys[0]) in error.message()
    assert f"{locked}` needs its passphrase" in error.message()
    error = failure(spec_of(server, *keys))
    assert isinstance(error, KeyRefused)
    assert error.tried.count("SHA256:") == 5


def test_too_many_keys(tmp_path: Path) -> None:
    """A server that hangs up before all keys had their turn is told from one that refuses them."""
    keys = [make_key(tmp_path / f"key{n}") for n in range(3)]
    with sshd(tmp_path / "sshd", "MaxAuthTries 2") as server:
        error = failure(replace(spec_of(server, *keys), alias="box"))
    assert isinstance(error, TooManyKeys)
    assert error.count == 2
    assert "for box in" in (error.next_step() or "")


def test_unusable_keys(server: Sshd, tmp_path: Path) -> None:
    """When a key that cannot be used is all there is, that is the error."""
    locked = make_key(tmp_path / "locked", passphrase="secret")
    (broken := tmp_path / "broken").write_text("no key")
    assert isinstance(failure(spec_of(server, locked)), KeyEncrypted)
    assert isinstance(failure(spec_of(server, broken)), KeyUnsupported)
    wrong = Remembering(Person(passphrases={"locked": SECRET}))
    assert isinstance(failure(spec_of(server, locked), replace(NOBODY, ask=wrong)), WrongPassphrase)


def test_wrong_password(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A wrong password is asked for once, told, forgotten, and in no log."""
    caplog.set_level(0)
    person = Person(passwords=[SECRET, "right one"])
    manner = replace(NOBODY, ask=Remembering(person))
    with sshd(tmp_path / "sshd", password="right one") as server:
        error = failure(spec_of(server), manner)
        assert isinstance(error, PasswordRefused)
        assert error.exit_code is ExitCode.DENIED
        connect(spec_of(server), manner).close()
    assert SECRET not in caplog.text


def test_password_changed_meanwhile(tmp_path: Path) -> None:
    """A kept password that is refused later is asked for anew, once."""
    person = Person(passwords=["old", "new"])
    manner = replace(NOBODY, ask=Remembering(person))
    with sshd(tmp_path / "one", password="old") as server:
        connect(spec_of(server), manner).close()
    with sshd(tmp_path / "two", port=server.port, password="new") as server:
        connect(spec_of(server), manner).close()
    assert len(person.asked) == 2


def test_jump_hosts_that_lead_nowhere(server: Sshd, key: Path, tmp_path: Path) -> None:
    """A jump host that may not forward, and one that cannot get there, are told apart."""
    with sshd(tmp_path / "strict", "AllowTcpForwarding no") as strict:
        strict.authorize(public(key))
        error = failure(replace(spec_of(server, key), jumps=(spec_of(strict, key),)))
    assert isinstance(error, JumpRefused)
    assert error.exit_code is ExitCode.DENIED
    error = failure(replace(there(closed_port()), jumps=(spec_of(server, key),)))
    assert isinstance(error, HostUnreachable)
    assert error.cause_id == "jump"


def test_program_that_fails() -> None:
    """What a ProxyCommand said last is shown, with its exit code, and `ssh -G` of its own name shows it."""
    error = failure(replace(there(22), alias="box", proxy_command="sh -c 'echo no way >&2; exit 3'"))
    assert isinstance(error, ProxyCommandFailed)
    assert (error.status, error.words, error.exit_code) == (3, "no way", ExitCode.UNAVAILABLE)
    assert "`ssh -G box`" in (error.next_step() or "")


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-x\r\n" + b"\x00" * 64, b"SSH-1.5-old\r\n"])
def test_nothing_of_paramiko_is_seen(answer: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever goes wrong, paramiko's own lines and tracebacks stay off the terminal."""
    with listening(answer) as rude:
        failure(there(rude.port))
    assert capfd.readouterr() == ("", "")
