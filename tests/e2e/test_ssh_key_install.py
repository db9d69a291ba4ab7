"""`ssh-key install` on a terminal, against the real OpenSSH server: by password once, then by the key."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.test_ssh_key import Person
from servers.openssh import SSHD, Sshd, sshd

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        SSHD is None or sys.platform != "linux" or os.geteuid() != 0 or shutil.which("unshare") is None,
        reason="a password of its own needs the OpenSSH server, root and a mount namespace",
    ),
]
PASSWORD = "let me in 一次"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    with sshd(tmp_path / "server", password=PASSWORD) as running:
        yield running


@pytest.fixture
def person(tmp_path: Path) -> Person:
    someone = Person(tmp_path)
    someone.run()
    return someone


def where(server: Sshd) -> str:
    return f"{server.user}@127.0.0.1:{server.port}"


def test_by_password_once(person: Person, server: Sshd) -> None:
    """The server's fingerprint is shown and agreed to, the password asked once, and then neither any more."""
    server.authorize("# somebody else's")
    shown, code = person.on_terminal("install", where(server), answers=("y", PASSWORD), ends=("] ", ": "))
    assert code == 0, shown
    assert "first contact" in shown
    assert PASSWORD not in shown
    assert shown.count("password of") == 1
    line = person.run("show").out
    assert server.authorized_keys.read_text() == f"# somebody else's\n{line}"
    again = person.run("install", where(server), "--json")
    assert (again.code, json.loads(again.out)["data"]["added"]) == (0, False)
    assert server.authorized_keys.read_text() == f"# somebody else's\n{line}"


def test_a_wrong_password(person: Person, server: Sshd) -> None:
    """Exit 77, and nothing is there."""
    shown, code = person.on_terminal("install", where(server), "--accept-new", answers=("wrong",))
    assert code == 77, shown
    assert not server.authorized_keys.exists()


def test_nobody_to_ask(person: Person, server: Sshd) -> None:
    """A new server, or a password that would be needed: exit 77 without a terminal."""
    assert person.run("install", where(server)).code == 77
    assert person.run("install", where(server), "--accept-new").code == 77
    assert not server.authorized_keys.exists()


def test_a_key_with_a_passphrase(person: Person, server: Sshd) -> None:
    """It is asked once though the key is tried twice."""
    (person.machine.cwd / "words").write_text("correct horse\n")
    person.run("new", "mine", "--passphrase-file", "words")
    answers = ("correct horse", PASSWORD)
    shown, code = person.on_terminal("install", where(server), "mine", "--accept-new", answers=answers)
    assert code == 0, shown
    assert shown.count("passphrase for") == 1


def test_dry_run(person: Person) -> None:
    """Nobody is connected to."""
    done = person.run("install", "root@192.0.2.1:33090", "--dry-run", "--lang", "zh")
    assert (done.code, done.out) == (0, "")
    assert "root@192.0.2.1（端口 33090）" in done.err


def test_no_such_address(person: Person) -> None:
    """Exit 2."""
    assert person.run("install", "root@host:99999").code == 2
