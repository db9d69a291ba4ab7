"""The benchmarks as programs: each starts, and short runs of those that need only nginx find their figures."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

if os.name == "nt":
    pytest.skip("the benchmarks are for Linux", allow_module_level=True)

import run
from servers import openssh

pytestmark = pytest.mark.e2e
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PROGRAMS = [path.stem for path in sorted(BENCHMARKS.glob("*.py")) if "def parse(words" in path.read_text("utf-8")]


def start(program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the benchmarks with the Python of the tests."""
    command = [sys.executable, str(BENCHMARKS / f"{program}.py"), *words]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False)


@pytest.mark.parametrize("program", [*run.QUESTIONS, "run", "linkcheck"])
def test_every_program_starts(program: str) -> None:
    """`--help` says what the program is for: the first sentence of its file."""
    done = start(program, "--help")
    assert done.returncode == 0, done.stderr
    about = ast.get_docstring(ast.parse((BENCHMARKS / f"{program}.py").read_text("utf-8"))) or ""
    assert about.splitlines()[0][:60] in " ".join(done.stdout.split())


def test_all_questions_are_asked() -> None:
    """`run.py all` leaves out no program that answers one."""
    assert sorted(run.QUESTIONS) == [name for name in PROGRAMS if name != "session"]


def test_an_unknown_question_is_refused() -> None:
    """A typing error does not pass for "nothing to do"."""
    done = start("run", "loopbak")
    assert done.returncode == 2
    assert "no such question: loopbak" in done.stderr


@pytest.mark.full
@pytest.mark.loopback
@pytest.mark.timeout(180)
@pytest.mark.skipif(shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") is None, reason="needs nginx")
@pytest.mark.parametrize("question", ["small_files", "loopback"])
def test_a_short_run_finds_its_figures(question: str, tmp_path: Path) -> None:
    """From nginx in both hubs' tongues: the bytes are right, and the table has a row for each way of ours."""
    program = shutil.which("internlm-setup", path=str(Path(sys.executable).parent))
    assert program is not None
    words = ["--short", "--only", "internlm-setup", "--ours", program, "--on", str(tmp_path)]
    more = ["--size-mib", "8", "--where", "memory"] if question == "loopback" else ["--files", "40"]
    done = start(question, *words, *more)
    assert done.returncode == 0, done.stderr
    assert "FAILED" not in done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| internlm-setup")]
    assert {row.split("|")[1].split()[1] for row in rows} == {"huggingface", "modelscope"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.full
@pytest.mark.loopback
@pytest.mark.timeout(180)
@pytest.mark.skipif(openssh.SSHD is None or not shutil.which("ssh"), reason="needs OpenSSH")
def test_a_short_run_holds_a_tunnel(tmp_path: Path) -> None:
    """Beside OpenSSH's client: a row for each figure, and a number of ours in it; nothing is left behind."""
    program = shutil.which("internlm-setup", path=str(Path(sys.executable).parent))
    assert program is not None
    done = start("tunnel_memory", "--short", "--ours", program, "--on", str(tmp_path), "--readers", "2")
    assert done.returncode == 0, done.stderr
    assert "FAILED" not in done.stderr
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if ", MB |" in line]
    assert len(rows) == 2
    assert all("(" in row[-1] for row in rows)
    assert list(tmp_path.iterdir()) == []
