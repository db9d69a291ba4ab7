"""A key is put onto a real server's list, and the server lets it in."""

from __future__ import annotations

import shutil
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from internlm_setup.core.ssh.errors import CommandRefused
from internlm_setup.core.ssh.execute import execute
from internlm_setup.core.ssh.key_files import public_line
from internlm_setup.core.ssh.keys import load_private, make
from internlm_setup.ssh_key import store
from internlm_setup.ssh_key.errors import KeyNotAccepted, NotInstalled
from internlm_setup.ssh_key.install import install
from servers.openssh import SSHD, Sshd, sshd

pytestmark = [pytest.mark.loopback, pytest.mark.skipif(SSHD is None, reason="needs the OpenSSH server")]
FIRST, SECOND = make("ed25519"), make("ed25519")
FIRST_LINE, LINE = public_line(FIRST.blob, "first"), public_line(SECOND.blob, "it's me@here")


class Person:
    """Somebody with two keys and a server that knows the first."""

    def __init__(self, server: Sshd, folder: Path) -> None:
        self.server, self.folder, self.open = server, folder, list[paramiko.Transport]()
        for name, key in (("first", FIRST), ("second", SECOND)):
            store.write(folder / name, key, name)

    def log_in(self, name: str = "first") -> paramiko.Transport | None:
        transport = paramiko.Transport(socket.create_connection(("127.0.0.1", self.server.port)))
        self.open.append(transport)
        transport.start_client()
        try:
            transport.auth_publickey(self.server.user, load_private(self.folder / name))
        except paramiko.AuthenticationException:
            return None
        return transport

    def install(self) -> bool:
        def by_the_first() -> paramiko.Transport:
            transport = self.log_in()
            assert transport is not None
            return transport

        return install(by_the_first, lambda: self.log_in("second"), LINE)


def person(folder: Path, server: Sshd) -> Iterator[Person]:
    (folder / "keys").mkdir()
    server.authorize(FIRST_LINE)
    someone = Person(server, folder / "keys")
    yield someone
    for transport in someone.open:
        transport.close()


@pytest.fixture
def someone(tmp_path: Path) -> Iterator[Person]:
    with sshd(tmp_path) as server:
        yield from person(tmp_path, server)


@pytest.fixture
def limited(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Person]:
    with sshd(tmp_path, *request.param) as server:
        yield from person(tmp_path, server)


def test_it_opens_the_door(someone: Person) -> None:
    """The line is added once; a second run finds the door open and changes nothing."""
    assert someone.log_in("second") is None
    assert someone.install() is True
    listed = someone.server.authorized_keys.read_text()
    assert listed == f"{FIRST_LINE}\n{LINE}\n"
    assert someone.install() is False
    assert someone.server.authorized_keys.read_text() == listed


@pytest.mark.parametrize(
    "before",
    [
        f"{FIRST_LINE}\n",
        f"{FIRST_LINE}",  # no newline at the end
        f"# mine\n\n  {FIRST_LINE}\r\nnonsense 张三\n\n",
        f'{FIRST_LINE}\n# {LINE}\nfrom="10.0.0.1" {FIRST_LINE}\n',
    ],
)
def test_other_lines_are_not_touched(someone: Person, before: str) -> None:
    """Every byte that was there is there, and ours is a line of its own; one that is commented out does not count."""
    file = someone.server.authorized_keys
    file.write_bytes(before.encode())
    assert someone.install() is True
    between = b"" if before.endswith("\n") else b"\n"
    assert file.read_bytes() == before.encode() + between + f"{LINE}\n".encode()


def test_a_server_that_talks_without_end(someone: Person) -> None:
    """It is not listened to until memory is full."""
    transport = someone.log_in()
    assert transport is not None
    with pytest.raises(CommandRefused):
        execute(transport, "head -c 30000000 /dev/zero", patience_s=1.0)


def test_a_server_that_does_not_listen(someone: Person) -> None:
    """Its answer counts although it closed before it was told everything."""
    transport = someone.log_in()
    assert transport is not None
    answer = execute(transport, "echo no; exit 3", "x" * 10_000_000)
    assert (answer.exit_code, answer.out) == (3, "no\n")


def test_modes_are_made_right(someone: Person) -> None:
    """What sshd would refuse for its modes is closed."""
    file = someone.server.authorized_keys
    file.chmod(0o666)
    file.parent.chmod(0o777)
    someone.install()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (file, file.parent)] == [0o600, 0o700]


def test_an_empty_account(tmp_path: Path) -> None:
    """Folder and list are made; here another list lets the first key in."""
    other = tmp_path / "other"
    listed = tmp_path / "home" / ".ssh" / "authorized_keys"
    with sshd(tmp_path, f"AuthorizedKeysFile {other} {listed}") as server:
        other.write_text(FIRST_LINE)
        someone = Person(server, tmp_path / "keys")
        assert someone.install() is True
        assert listed.read_text() == f"{LINE}\n"
        assert [stat.S_IMODE(path.stat().st_mode) for path in (listed, listed.parent)] == [0o600, 0o700]
        for transport in someone.open:
            transport.close()


@pytest.mark.parametrize("open_home", [False, True])
def test_a_server_that_looks_elsewhere(tmp_path: Path, open_home: bool) -> None:
    """The line is there and is of no use: that is said, and an open home folder named as a likely cause."""
    other = tmp_path / "other"
    with sshd(tmp_path, f"AuthorizedKeysFile {other}") as server:
        other.write_text(FIRST_LINE)
        server.home.chmod(0o770 if open_home else 0o755)
        someone = Person(server, tmp_path / "keys")
        with pytest.raises(KeyNotAccepted, match="chmod go-w" if open_home else "AuthorizedKeysFile"):
            someone.install()
        for transport in someone.open:
            transport.close()


@pytest.mark.parametrize("limited", [["ForceCommand echo no shell here; exit 3"]], indirect=True)
def test_an_account_with_another_purpose(limited: Person) -> None:
    """What the server said is told."""
    with pytest.raises(NotInstalled, match="no shell here"):
        limited.install()


@pytest.mark.parametrize("limited", [["PermitTTY no", "MaxSessions 0"]], indirect=True)
def test_a_server_that_runs_nothing(limited: Person) -> None:
    """No session at all."""
    with pytest.raises(CommandRefused):
        limited.install()


def test_a_list_that_cannot_be_written(someone: Person) -> None:
    """The server's own words are told."""
    file = someone.server.authorized_keys
    (someone.server.home / "list").write_text(file.read_text())
    file.unlink()
    shutil.rmtree(file.parent)
    file.parent.write_text("no folder")
    with sshd(_fresh(someone.folder), f"AuthorizedKeysFile {someone.server.home / 'list'}") as server:
        (server.home / ".ssh").write_text("no folder")
        other = Person(server, _fresh(someone.folder))
        with pytest.raises(NotInstalled, match=r"\.ssh"):
            other.install()
        for transport in other.open:
            transport.close()


def _fresh(folder: Path) -> Path:
    made = folder / f"fresh-{len(list(folder.iterdir()))}"
    made.mkdir()
    return made


@pytest.mark.skipif(shutil.which("ssh") is None, reason="needs ssh")
@pytest.mark.parametrize("kind", ["ed25519", "rsa-4096"])
def test_ssh_logs_in_with_our_keys(tmp_path: Path, kind: str) -> None:
    """The real client takes the file, and the real server the key."""
    key = make("ed25519" if kind == "ed25519" else "rsa-4096")
    path = tmp_path / "key"
    store.write(path, key, "a@b")
    server_folder = tmp_path / "server"
    server_folder.mkdir()
    with sshd(server_folder) as server:
        server.authorize(path.with_suffix(".pub").read_text().strip())
        known = tmp_path / "known_hosts"
        known.write_text(f"[127.0.0.1]:{server.port} {server.host_key}\n")
        options = ["-F", "none", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={known}", "-o", "IdentitiesOnly=yes"]
        line = ["ssh", *options, "-i", str(path), "-p", str(server.port), f"{server.user}@127.0.0.1", "echo in"]
        done = subprocess.run(line, capture_output=True, encoding="utf-8", check=False, timeout=30)
    assert (done.returncode, done.stdout) == (0, "in\n"), done.stderr
