"""`ssh-key` as a person runs it: exit codes, streams, languages, JSON, a terminal; and the keys that result."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

import internlm_setup
from servers.machine import Done, Machine, files_in, installed_command

pytestmark = pytest.mark.e2e

SOURCE = Path(internlm_setup.__file__).parents[1]
LINE = re.compile(r"ssh-ed25519 AAAA\S+ \S+@\S+\n")
needs_keygen = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")
posix = pytest.mark.skipif(os.name == "nt", reason="a terminal of POSIX")


class Person:
    """Runs `ssh-key` in an empty HOME."""

    def __init__(self, folder: Path) -> None:
        paths = [str(SOURCE), os.environ.get("PYTHONPATH", "")]
        self.variables = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "USER": "张三"}
        self.machine = Machine(folder, self.variables)
        self.keys = self.machine.home / ".ssh"

    def run(self, *words: str, **variables: str) -> Done:
        self.machine.variables = {**self.variables, **variables}
        return self.machine.run("ssh-key", *words)

    def on_terminal(
        self, *words: str, answers: tuple[str, ...] = (), ends: tuple[str, ...] = (": ",), **variables: str
    ) -> tuple[str, int]:
        """Run it on a terminal of its own, answering each question; return what was shown and the exit code."""
        import pty

        child, ours = pty.fork()
        if child == 0:
            os.chdir(self.machine.cwd)
            program = [*installed_command(), "ssh-key", *words]
            os.execve(program[0], program, {**self.machine.env, "TERM": "xterm", **variables})
        shown, waiting = "", list(answers)
        while block := _read(ours):
            shown += block
            if waiting and shown.endswith(ends):
                os.write(ours, f"{waiting.pop(0)}\n".encode())
        os.close(ours)
        return shown, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _read(terminal: int) -> str:
    try:
        return os.read(terminal, 1 << 16).decode(errors="replace")
    except OSError:  # the other end is gone
        return ""


@pytest.fixture
def person(tmp_path: Path) -> Person:
    return Person(tmp_path)


def keygen(*words: object) -> str:
    return subprocess.run(["ssh-keygen", *map(str, words)], capture_output=True, encoding="utf-8", check=True).stdout


def test_bare_makes_a_key_and_then_shows_it(person: Person) -> None:
    """The public key is alone on stdout both times; where it goes, and what else would do, is on stderr."""
    made = person.run()
    assert (made.code, bool(LINE.fullmatch(made.out))) == (0, True)
    path = person.keys / "id_ed25519"
    for words in (str(path), "fingerprint: SHA256:", "InternStudio", "ssh-key copy", "--type rsa-4096"):
        assert words in made.err
    assert made.out.split()[2].startswith("user@")
    before = files_in(person.keys)
    assert set(before) == {"id_ed25519", "id_ed25519.pub"}
    assert made.out.encode() == before["id_ed25519.pub"]
    shown = person.run("--lang", "zh")
    assert (shown.code, shown.out, files_in(person.keys)) == (0, made.out, before)
    assert "已有的密钥" in shown.err
    assert "粘贴" in shown.err


@posix
def test_modes(person: Person) -> None:
    """For the owner alone."""
    person.run()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [person.keys, *person.keys.iterdir()]}
    assert modes == {".ssh": 0o700, "id_ed25519": 0o600, "id_ed25519.pub": 0o644}


@needs_keygen
@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_bare_shows_a_key_of_another_kind(person: Person, kind: str) -> None:
    """Nothing is made beside it."""
    person.keys.mkdir(mode=0o700)
    keygen("-q", "-t", kind, "-N", "", "-C", "old@one", "-f", person.keys / f"id_{kind}")
    before = files_in(person.keys)
    done = person.run("--json")
    data = json.loads(done.out)["data"]
    assert (done.code, data["made"], data["comment"]) == (0, False, "old@one")
    assert data["public_key"] == before[f"id_{kind}.pub"].decode().strip()
    assert files_in(person.keys) == before


def test_dry_runs_write_nothing(person: Person) -> None:
    """They say where a key would go."""
    for words in (["--dry-run"], ["new", "--dry-run"]):
        done = person.run(*words)
        assert (done.code, done.out) == (0, "")
        assert str(person.keys / "id_ed25519") in done.err
    assert not person.keys.exists()


@needs_keygen
def test_new_rsa(person: Person) -> None:
    """The tutorial's type, for a console that takes no other."""
    done = person.run("new", "--type", "rsa-4096")
    assert done.code == 0
    assert done.out.startswith("ssh-rsa ")
    assert "rsa-4096" not in done.err
    assert keygen("-y", "-f", person.keys / "id_rsa").split() == done.out.split()[:2]


@needs_keygen
def test_new_with_a_passphrase_from_a_file(person: Person) -> None:
    """ssh-keygen opens it with that passphrase."""
    (person.machine.cwd / "words").write_text("correct horse\n")
    done = person.run("new", "mine", "--passphrase-file", "words")
    assert done.code == 0
    assert "encrypted" in done.err
    assert keygen("-y", "-P", "correct horse", "-f", person.machine.cwd / "mine").split() == done.out.split()[:2]
    assert not person.keys.exists()


def test_nothing_is_overwritten(person: Person) -> None:
    """Exit 73, and the command that it offers works."""
    person.run()
    before = files_in(person.keys)
    done = person.run("new")
    assert (done.code, done.out, files_in(person.keys)) == (73, "", before)
    offered = re.findall(r"`internlm-setup ssh-key (new [^`]+)`", done.err)
    assert person.run(*offered[0].split()).code == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["new", "--type", "dsa"], 2, "ed25519, rsa-4096"),
        (["new", "--passphrase"], 2, "--passphrase-file FILE"),
        (["new", "--passphrase", "--passphrase-file", "x"], 2, "give one of them"),
        (["new", "--passphrase-file", "none"], 66, "none"),
        (["new", "--passphrase-file", "short"], 2, "fewer than 5"),
        (["--dry-run", "new"], 2, "behind the verb"),
        (["show"], 66, "`internlm-setup ssh-key` makes one"),
        (["show", "none"], 66, "no such file"),
        (["show", "short"], 78, "no private key"),
        (["copy"], 66, "`internlm-setup ssh-key` makes one"),
    ],
)
def test_wrong_lines(person: Person, words: list[str], code: int, said: str) -> None:
    """Each has its code and says what to do; none leaves a file."""
    (person.machine.cwd / "short").write_text("abcd")
    done = person.run(*words)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert not person.keys.exists()


@posix
def test_a_passphrase_is_asked_twice(person: Person) -> None:
    """It is not shown, and it opens the key."""
    shown, code = person.on_terminal("new", "--passphrase", answers=("correct horse", "correct horse"))
    assert code == 0, shown
    assert "correct horse" not in shown
    assert "the same again" in shown
    data = json.loads(person.run("show", "--json").out)["data"]
    assert data["encrypted"] is True


@posix
@pytest.mark.parametrize("answers", [("correct horse", "correct house"), ("abc",)])
def test_a_passphrase_that_will_not_do(person: Person, answers: tuple[str, ...]) -> None:
    """Exit 2 and no key."""
    shown, code = person.on_terminal("new", "--passphrase", answers=answers)
    assert code == 2, shown
    assert "no key was made" in shown
    assert not person.keys.exists()


@needs_keygen
def test_a_chinese_comment_is_shown_in_ascii(person: Person) -> None:
    """What is pasted is taken by the console; the file stays as it is."""
    person.keys.mkdir(mode=0o700)
    keygen("-q", "-t", "ed25519", "-N", "", "-C", "张三@desk", "-f", person.keys / "id_ed25519")
    before = files_in(person.keys)
    done = person.run("show")
    assert done.out.split()[2] == "user@desk"
    assert "张三@desk" in done.err
    assert files_in(person.keys) == before


@needs_keygen
def test_a_hidden_public_key(person: Person) -> None:
    """The command that the hint gives is what is missing."""
    person.keys.mkdir(mode=0o700)
    path = person.keys / "id_rsa"
    keygen("-q", "-t", "rsa", "-m", "PEM", "-N", "correct horse", "-f", path)
    path.with_suffix(".pub").unlink()
    done = person.run("show")
    assert done.code == 77
    assert f"ssh-keygen -y -f {path} > {path}.pub" in done.err


@posix
@needs_keygen
def test_list_and_fix(person: Person) -> None:
    """What others can read is named; `--fix` closes it, and only that."""
    assert "`internlm-setup ssh-key` makes one" in person.run("list").err
    person.run()
    path = person.keys / "id_ed25519"
    keygen("-q", "-t", "rsa", "-m", "PEM", "-N", "correct horse", "-C", "old", "-f", person.keys / "other")
    (person.keys / "broken").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAA\n-----END OPENSSH PRIVATE KEY-----\n")
    (person.keys / "broken").chmod(0o600)
    path.chmod(0o644)
    person.keys.chmod(0o777)
    before = files_in(person.keys)
    listed = person.run("list")
    assert listed.code == 0
    for words in ("id_ed25519", "ssh-rsa", "other", "SHA256:", "passphrase"):
        assert words in listed.out
    for words in (f"`{path}`: others can read it (mode 0644)", f"`{person.keys}`: others", "list --fix", "damaged"):
        assert words in listed.err
    assert "mode 0644" in person.run("show").err
    data = json.loads(person.run("list", "--json").out)["data"]
    assert [each["path"] for each in data["too_open"]] == [str(person.keys), str(path)]
    assert [bool(key["problem"]) for key in data["keys"]] == [True, False, False]
    fixed = person.run("list", "--fix", "--lang", "zh")
    assert (fixed.code, "现在其他用户已无法访问" in fixed.err) == (0, True)
    assert [stat.S_IMODE(p.stat().st_mode) for p in (person.keys, path)] == [0o755, 0o600]
    assert files_in(person.keys) == before
    again = json.loads(person.run("list", "--fix", "--json").out)["data"]
    assert (again["too_open"], again["closed"]) == ([], [])


@posix
def test_copy_through_a_terminal(person: Person) -> None:
    """Over SSH the terminal is asked to take the key; nothing on screen is disturbed."""
    line = person.run().out.strip()
    shown, code = person.on_terminal("copy", SSH_CONNECTION="1.2.3.4 5 6.7.8.9 22")
    assert code == 0
    assert f"\x1b]52;c;{base64.b64encode(line.encode()).decode()}\x07" in shown
    assert "ssh-key show" in shown


def test_copy_to_nowhere(person: Person) -> None:
    """Neither a clipboard nor a terminal: exit 69, and what to do instead."""
    person.run()
    done = person.run("copy", PATH="/nowhere")
    assert (done.code, done.out) == (69, "")
    assert "ssh-key show" in done.err


@posix
@pytest.mark.parametrize("works", [True, False])
def test_copy_to_a_clipboard(person: Person, works: bool) -> None:
    """What the clipboard's programs took is compared with the key: one that keeps nothing counts as none."""
    line = person.run().out.strip()
    programs, kept = person.machine.root / "bin", person.machine.root / "clipboard"
    programs.mkdir()
    kept.touch()
    _program(programs / "wl-copy", f"cat > {kept if works else '/dev/null'}")
    _program(programs / "wl-paste", f"cat {kept}")
    path = os.pathsep.join([str(programs), os.environ["PATH"]])
    done = person.run("copy", PATH=path, WAYLAND_DISPLAY="wayland-0")
    assert (done.code, kept.read_text()) == ((0, line) if works else (69, ""))
    assert ("is on the clipboard" in done.err) == works


def _program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
