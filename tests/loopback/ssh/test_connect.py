"""Connecting to the real OpenSSH server: every way in."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from internlm_setup.core.ssh.ask import NobodyToAsk, Remembering
from internlm_setup.core.ssh.connect import Manner, connect
from internlm_setup.core.ssh.model import HostSpec
from internlm_setup.core.ssh.transport import ClientTransport
from servers.openssh import SSHD, Sshd, make_key, sshd
from servers.ssh_person import Person, public, spec_of

pytestmark = [pytest.mark.loopback, pytest.mark.skipif(SSHD is None, reason="needs the OpenSSH server")]
NOBODY = Manner(NobodyToAsk(), {})


def said(transport: ClientTransport, command: str = "echo in") -> str:
    """Run a command there."""
    channel = transport.open_session(timeout=10)
    channel.exec_command(command)
    return str(channel.makefile().read().decode())


@contextmanager
def agent(folder: Path, *keys: Path) -> Iterator[dict[str, str]]:
    """Run an agent that holds keys; yields the environment that leads to it."""
    env = {"SSH_AUTH_SOCK": str(folder / "agent")}
    process = subprocess.Popen(["ssh-agent", "-D", "-a", env["SSH_AUTH_SOCK"]], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        for key in keys:
            subprocess.run(["ssh-add", "-q", str(key)], env=env, check=True, timeout=20)
        yield env
    finally:
        process.terminate()
        process.communicate(timeout=20)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_key_of_each_type(server: Sshd, tmp_path: Path, kind: str) -> None:
    """Keys of every type that `ssh-keygen` makes open the door."""
    key = make_key(tmp_path / "own", kind=kind)
    server.authorize(public(key))
    with closing(connect(spec_of(server, key), NOBODY)) as transport:
        assert said(transport) == "in\n"


def test_fast_cipher_and_long_keys(server: Sshd, key: Path) -> None:
    """AES-GCM is agreed on, and its keys last for 64 GiB as OpenSSH's do."""
    with closing(connect(spec_of(server, key), NOBODY)) as transport:
        assert transport.local_cipher == transport.remote_cipher == "aes128-gcm@openssh.com"
        assert transport.packetizer.REKEY_BYTES == 1 << 36


def test_an_encrypted_key(server: Sshd, tmp_path: Path) -> None:
    """The passphrase is asked for, once, and kept for the next time."""
    key = make_key(tmp_path / "locked", passphrase="open sesame")
    server.authorize(public(key))
    person = Person(passphrases={"locked": "open sesame"})
    manner = Manner(Remembering(person), {})
    for _ in range(2):
        with closing(connect(spec_of(server, key), manner)) as transport:
            assert said(transport) == "in\n"
    assert person.asked == ["locked"]


def test_the_agent(server: Sshd, tmp_path: Path, key: Path) -> None:
    """A key of the agent opens the door; with IdentitiesOnly only when it is named, by its file."""
    with agent(tmp_path, key) as env:
        manner = Manner(NobodyToAsk(), env)
        with closing(connect(spec_of(server), manner)) as transport:
            assert said(transport) == "in\n"
        named = replace(spec_of(server, key), identities_only=True)
        with closing(connect(named, manner)) as transport:
            assert said(transport) == "in\n"


def test_the_agent_spares_the_passphrase(server: Sshd, tmp_path: Path) -> None:
    """An encrypted file whose key the agent holds is signed with there."""
    key = make_key(tmp_path / "locked")
    server.authorize(public(key))
    with agent(tmp_path, key) as env:
        subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", str(key)], check=True, timeout=20)
        spec = replace(spec_of(server, key), identities_only=True)
        with closing(connect(spec, Manner(NobodyToAsk(), env))) as transport:
            assert said(transport) == "in\n"


@pytest.mark.parametrize("beside", [True, False])
@pytest.mark.parametrize("in_agent", [True, False])
def test_a_certificate(tmp_path: Path, beside: bool, in_agent: bool) -> None:
    """A certificate beside its key, or named, opens a door that the key alone does not."""
    authority, key = make_key(tmp_path / "authority"), make_key(tmp_path / "own")
    with sshd(tmp_path / "sshd", f"TrustedUserCAKeys {authority}.pub") as server:
        words = ["ssh-keygen", "-q", "-s", str(authority), "-I", "me", "-n", server.user, f"{key}.pub"]
        subprocess.run(words, check=True, timeout=20)
        spec = spec_of(server, key)
        certificate = Path(f"{key}-cert.pub")
        if not beside:
            certificate = certificate.rename(tmp_path / "elsewhere.pub")
            spec = replace(spec, certificate_files=(certificate,))
        with (
            agent(tmp_path, *([key] if in_agent else [])) as env,
            closing(connect(spec, Manner(NobodyToAsk(), env))) as transport,
        ):
            assert said(transport) == "in\n"


def test_a_certificate_of_the_agent_alone(tmp_path: Path) -> None:
    """So does one that only the agent has."""
    authority, key = make_key(tmp_path / "authority"), make_key(tmp_path / "own")
    with sshd(tmp_path / "sshd", f"TrustedUserCAKeys {authority}.pub") as server:
        words = ["ssh-keygen", "-q", "-s", str(authority), "-I", "me", "-n", server.user, f"{key}.pub"]
        subprocess.run(words, check=True, timeout=20)
        with agent(tmp_path, key) as env, closing(connect(spec_of(server), Manner(NobodyToAsk(), env))) as transport:
            assert said(transport) == "in\n"


def test_a_password(tmp_path: Path) -> None:
    """A password is asked for once and kept in memory for the next connection."""
    person = Person(passwords=["correct horse"])
    manner = Manner(Remembering(person), {})
    with sshd(tmp_path / "sshd", password="correct horse") as server:
        for _ in range(2):
            with closing(connect(spec_of(server), manner)) as transport:
                assert said(transport) == "in\n"
    assert len(person.asked) == 1


def test_a_key_and_then_a_password(tmp_path: Path) -> None:
    """A server that wants both gets both."""
    person = Person(passwords=["correct horse"])
    key = make_key(tmp_path / "own")
    both = "AuthenticationMethods publickey,password"
    with sshd(tmp_path / "sshd", both, password="correct horse") as server:
        server.authorize(public(key))
        with closing(connect(spec_of(server, key), Manner(person, {}))) as transport:
            assert said(transport) == "in\n"


def test_a_refused_key_before_the_password(tmp_path: Path) -> None:
    """A key that is not taken leaves room for the password."""
    person = Person(passwords=["correct horse"])
    keys = [make_key(tmp_path / f"key{n}") for n in range(7)]
    with sshd(tmp_path / "sshd", password="correct horse") as server:
        with closing(connect(spec_of(server, *keys), Manner(person, {}))) as transport:
            assert said(transport) == "in\n"
        assert sum("Failed publickey" in line for line in server.log) == 5


def test_new_host_key_accepted(server: Sshd, key: Path) -> None:
    """A person's yes, or `accept_new`, writes one line; afterwards nobody is asked."""
    for manner in (Manner(Person(trusts=True), {}), Manner(NobodyToAsk(), {}, accept_new=True)):
        spec = spec_of(server, key, known=False)
        connect(spec, manner).close()
        assert spec.known_hosts[0].read_text().split() == server.known_line.split()
        connect(spec, NOBODY).close()


def test_the_known_type_is_asked_for(tmp_path: Path) -> None:
    """With a key of one type on record the server is asked for that one, whatever it would rather show."""
    rsa = make_key(tmp_path / "host_rsa", kind="rsa")
    key = make_key(tmp_path / "own")
    with sshd(tmp_path / "sshd", f"HostKey {rsa}") as server:
        server.authorize(public(key))
        spec = spec_of(server, key)
        spec.known_hosts[0].write_text(f"[127.0.0.1]:{server.port} {rsa.with_suffix('.pub').read_text()}")
        with closing(connect(spec, NOBODY)) as transport:
            assert transport.get_remote_server_key().get_name() == "ssh-rsa"


def test_a_key_known_without_the_port(server: Sshd, key: Path) -> None:
    """The same key on record for the bare name counts; another one there says nothing against it."""
    spec = spec_of(server, key)
    spec.known_hosts[0].write_text(f"127.0.0.1 {server.host_key}\n")
    connect(spec, NOBODY).close()
    spec.known_hosts[0].write_text(f"127.0.0.1 {Path(f'{key}.pub').read_text()}")
    connect(spec, replace(NOBODY, accept_new=True)).close()
    assert len(spec.known_hosts[0].read_text().splitlines()) == 2


def test_through_jump_hosts(server: Sshd, key: Path, tmp_path: Path) -> None:
    """Two servers on the way, and a third that is reached; closing the last ends them all."""
    with sshd(tmp_path / "two") as two, sshd(tmp_path / "three") as three:
        for other in (two, three):
            other.authorize(public(key))
        spec = replace(spec_of(three, key), jumps=(spec_of(server, key), spec_of(two, key)))
        before = set(threading.enumerate())
        proved: list[HostSpec] = []
        with closing(connect(spec, replace(NOBODY, proved=proved.append))) as transport:
            assert [hop.port for hop in proved] == [server.port, two.port, three.port]
            assert said(transport, "echo $SSH_CONNECTION").split()[3] == str(three.port)
            ours = set(threading.enumerate()) - before
            assert len(ours) == 3
        for thread in ours:
            thread.join(10)
            assert not thread.is_alive()


def test_through_a_program(server: Sshd, key: Path) -> None:
    """A ProxyCommand's input and output are the connection; it ends with it, and what it complains hurts nobody."""
    script = (
        "import socket,sys,threading,os;s=socket.create_connection((sys.argv[1],int(sys.argv[2])));"
        "sys.stderr.write('noise\\n'*20000);sys.stderr.flush();"
        "threading.Thread(target=lambda:[os.write(1,d) for d in iter(lambda:s.recv(65536),b'')]+[os._exit(0)]).start();"
        "[s.sendall(d) for d in iter(lambda:os.read(0,65536),b'')]"
    )
    command = f'/usr/bin/env python3 -c "{script}" 127.0.0.1 {server.port}'
    spec = replace(spec_of(server, key), proxy_command=command)
    with closing(connect(spec, replace(NOBODY, env={"PATH": "/usr/bin:/bin"}))) as transport:
        assert said(transport) == "in\n"
        assert said(transport, "head -c 5000000 /dev/zero | wc -c") == "5000000\n"
        assert len(said(transport, "head -c 5000000 /dev/zero")) == 5000000


def test_over_a_connection_that_is_there(server: Sshd, key: Path) -> None:
    """A socket that somebody else made is used, and closed at the end."""
    import socket

    sock = socket.create_connection(("127.0.0.1", server.port))
    transport = connect(spec_of(server, key), NOBODY, sock)
    assert said(transport) == "in\n"
    transport.close()
    transport.join(10)
    assert sock.fileno() == -1


def test_nothing_is_left_behind(server: Sshd, key: Path) -> None:
    """Connections that ended leave no thread and no descriptor."""
    import os

    def count() -> tuple[int, int]:
        return threading.active_count(), len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    connect(spec_of(server, key), NOBODY).close()
    before = count()
    for _ in range(10):
        transport = connect(spec_of(server, key), NOBODY)
        transport.close()
        transport.join(10)
    assert count() <= before
