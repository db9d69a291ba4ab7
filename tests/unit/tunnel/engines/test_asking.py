"""What `ssh` asks, and who answers it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from internlm_setup.core.ssh.ask import Login, NewHostKey, NobodyToAsk, Remembering
from internlm_setup.core.ssh.model import HostSpec
from internlm_setup.tunnel.engines._openssh.asking import Asking
from internlm_setup.tunnel.engines.openssh import words_of
from internlm_setup.tunnel.model import SessionSpec
from servers.ssh_person import Person

SPEC = HostSpec("box", 33090, "root")
NEW = (
    "The authenticity of host '[127.0.0.1]:33090 ([127.0.0.1]:33090)' can't be established.\n"
    "ED25519 key fingerprint is SHA256:abc/def+g.\nThis key is not known by any other names.\n"
    "Are you sure you want to continue connecting (yes/no/[fingerprint])? "
)


@pytest.fixture
def person() -> Person:
    return Person(True, ["word"], [["123456"]], {"k 1": "open", "k": "1234"})


@pytest.fixture
def asking(tmp_path: Path, person: Person) -> Iterator[Asking]:
    asking = Asking(tmp_path, SPEC, person)
    yield asking
    asking.close()


@pytest.mark.parametrize(
    ("words", "answer", "asked"),
    [
        ("root@box's password: ", "word", Login("root", "box", 33090)),
        ("a@b@gate's password:", "word", Login("a@b", "gate", 33090)),
        ("Enter passphrase for key '/home/k 1': ", "open", "k 1"),
        ("Enter passphrase for /home/k: ", "1234", "k"),
        ("Enter PIN for ED25519-SK key /home/k: ", "1234", "k"),
        ("(root@box) Verification code: ", "123456", "(root@box) Verification code: "),
        (NEW, "yes", NewHostKey("box", 33090, "ED25519", "SHA256:abc/def+g")),
    ],
)
def test_each_question_finds_its_answer(asking: Asking, person: Person, words: str, answer: str, asked: object) -> None:
    """By what `ssh` says in English, which it always does."""
    assert asking.answer(words) == answer
    assert person.asked == [asked]


def test_a_key_of_a_jump_host(tmp_path: Path, person: Person) -> None:
    """It is that one's, not the last server's."""
    jump = HostSpec("127.0.0.1", 33090, "me")
    asking = Asking(tmp_path, replace(SPEC, jumps=(jump,)), person)
    assert asking.answer(NEW) == "yes"
    asking.close()
    assert person.asked == [NewHostKey("127.0.0.1", 33090, "ED25519", "SHA256:abc/def+g")]


def test_a_folder_that_a_shell_would_run(tmp_path: Path, person: Person) -> None:
    """The program that asks is written for any folder."""
    folder = tmp_path / '$(touch x) "; `touch x`'
    folder.mkdir()
    asking = Asking(folder, SPEC, person)
    done = subprocess.run([folder / "askpass", "root@box's password: "], cwd=tmp_path, capture_output=True, check=True)
    asking.close()
    assert done.stdout == b"word\n"
    assert not (tmp_path / "x").exists()


def test_what_is_no_question(asking: Asking, person: Person) -> None:
    """It is passed on, and answered with nothing."""
    assert asking.answer("Confirm user presence for key ED25519-SK SHA256:abc", "none") == ""
    assert person.asked == []
    assert not asking.password


def test_a_wrong_answer_is_not_asked_for_again(asking: Asking, person: Person) -> None:
    """Nor is a second one made up."""
    person.passwords = ["wrong", "also wrong"]
    assert asking.answer("root@box's password: ") == "wrong"
    assert asking.answer("root@box's password: ") is None
    assert asking.password


def test_an_old_answer_that_is_wrong_now_is_asked_for_anew(tmp_path: Path, person: Person) -> None:
    """As when the machine was recreated with another password."""
    person.passwords = ["old", "new"]
    keeping = Remembering(person)
    for name, answers in (("first", ["old"]), ("second", ["old", "new", None])):
        (tmp_path / name).mkdir()
        asking = Asking(tmp_path / name, SPEC, keeping)
        assert [asking.answer("root@box's password: ") for _ in answers] == answers
        asking.close()


def test_the_program_that_ssh_starts(asking: Asking, tmp_path: Path) -> None:
    """It passes the question on and prints the answer; where nobody answers it fails."""

    def asked(by: Asking, *words: str) -> tuple[int, bytes]:
        env = by.env({"PATH": "/usr/bin:/bin"})
        done = subprocess.run([env["SSH_ASKPASS"], *words], env=env, stdout=subprocess.PIPE, timeout=20, check=False)
        return done.returncode, done.stdout

    assert asked(asking, "root@box's", "password: ") == (0, b"word\n")
    (tmp_path / "other").mkdir()
    nobody = Asking(tmp_path / "other", SPEC, NobodyToAsk())
    assert asked(nobody, "code: ") == (1, b"")
    nobody.close()


def test_it_may_be_asked_by_nobody_else(asking: Asking, tmp_path: Path) -> None:
    """The program is ours alone; a screen that there is stays known."""
    assert (tmp_path / "askpass").stat().st_mode & 0o777 == 0o700
    assert asking.env({"DISPLAY": ":7"})["DISPLAY"] == ":7"


def test_the_way_through_other_servers() -> None:
    """Each hop has its own options, and a `%` stays one through every level."""
    jumps = (HostSpec("gate", 22, "a", proxy_command="nc 50% x"), HostSpec("::1", 2022, "b", alias="inner"))
    spec = SessionSpec(HostSpec("box", 33090, "root", jumps=jumps), ())
    words = words_of("ssh", spec, Path("/c/control"))
    (way,) = [word.partition("=")[2] for word in words if word.startswith("ProxyCommand=")]
    assert "-W '[box]:33090' -- inner" in way
    assert "[::1]:2022" in way
    assert "50%%%%%%%% x" in way
    assert "ControlPath" not in way
