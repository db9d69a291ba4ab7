"""A tunnel by password on a terminal: asked once, kept for reconnects, also by the process in the background."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from servers.machine import Machine, installed_command
from servers.openssh import SSHD, Sshd, sshd
from servers.rude import closed_port
from servers.streams import service
from servers.tunnels import fetch, page, send

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        SSHD is None or sys.platform != "linux" or os.geteuid() != 0 or shutil.which("unshare") is None,
        reason="a password of its own needs the OpenSSH server, root and a mount namespace",
    ),
]
PASSWORD = "let me in 一次"


@dataclass
class Student:
    """Somebody with a password, a terminal, and a service at the server."""

    machine: Machine
    server: Sshd
    there: int
    port: int

    def run(self, *words: str, answers: tuple[str, ...], up: Callable[[int], object] = bool) -> tuple[str, int]:
        """Run the line on a terminal, answer its questions, and do something once it is connected."""
        import pty

        child, ours = pty.fork()
        if child == 0:
            os.chdir(self.machine.cwd)
            forward = f"{self.port}:127.0.0.1:{self.there}"
            line = ["--host", "127.0.0.1", "--user", self.server.user, "--port", str(self.server.port), "-L", forward]
            program = [*installed_command(), "tunnel", *line, *words]
            os.execve(program[0], program, {**self.machine.env, "TERM": "xterm"})
        shown, waiting, begun = "", list(answers), False
        with suppress(OSError):  # the terminal's end
            while block := os.read(ours, 1 << 16):
                shown += block.decode(errors="replace")
                if waiting and shown.endswith(("] ", ": ")):
                    os.write(ours, f"{waiting.pop(0)}\n".encode())
                if not begun and "connected" in shown:
                    begun = True
                    up(child)
        os.close(ours)
        return shown, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def through_a_reconnect(self) -> None:
        """The page is there, before and after the session is killed."""
        assert fetch(self.port) == "page"
        send(signal.SIGKILL, self.server.sessions())
        assert fetch(self.port) == "page"


@pytest.fixture
def student(tmp_path: Path) -> Iterator[Student]:
    with sshd(tmp_path / "server", password=PASSWORD) as server, service(page) as web:
        yield Student(Machine(tmp_path / "me"), server, web.port, closed_port())


def test_in_the_foreground(student: Student) -> None:
    """The fingerprint is agreed to and the password asked once; a reconnect asks nobody."""

    def up(child: int) -> None:
        student.through_a_reconnect()
        os.kill(child, signal.SIGINT)

    shown, code = student.run(answers=("y", PASSWORD), up=up)
    assert code == 130, shown
    assert "error" not in shown  # Ctrl-C is how it is ended
    assert shown.count("password of") == 1
    assert PASSWORD not in shown


def test_in_the_background(student: Student) -> None:
    """What it asks is asked here; the password goes into no file."""
    shown, code = student.run("--detach", answers=("y", PASSWORD))
    assert code == 0, shown
    assert shown.count("password of") == 1
    student.through_a_reconnect()
    assert student.machine.run("tunnel", "stop").code == 0
    files = [path for path in student.machine.home.rglob("*") if path.is_file()]
    assert files
    assert not any(PASSWORD.encode() in path.read_bytes() for path in files)


@pytest.mark.parametrize("how", [(), ("--detach",)])
def test_a_wrong_password(student: Student, how: tuple[str, ...]) -> None:
    shown, code = student.run(*how, "--accept-new", answers=("wrong",))
    assert code == 77, shown
    assert "does not take this password" in shown


@pytest.mark.parametrize("how", [(), ("--detach",)])
def test_ended_at_the_question(student: Student, how: tuple[str, ...]) -> None:
    """Ctrl-C while a password is typed: the terminal is put right, and nothing is left."""
    shown, code = student.run(*how, "--accept-new", answers=("\x03",))
    assert code == 130, shown
    assert "Traceback" not in shown
    assert not list(student.machine.home.rglob("*.sock"))
    assert student.machine.run("tunnel", "status").out == ""
