"""`bootstrap.py` as a newcomer meets it: the real file, a real pip, an empty HOME.

Most tests put it beside a toy project that needs no index, so they work without a network; the last
ones install the real project.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from servers.machine import installed_command

pytestmark = [pytest.mark.e2e, pytest.mark.full]
REPOSITORY = Path(__file__).parents[2]
WINDOWS = os.name == "nt"
BASE_PYTHON = Path(sys.base_prefix) / (
    "python.exe" if WINDOWS else f"bin/python{sys.version_info[0]}.{sys.version_info[1]}"
)
KEPT = ("PATH", "SYSTEMROOT", "SSL_CERT_FILE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")

TOY_PYPROJECT = """\
[build-system]
requires = [{requires}]
build-backend = "backend"
backend-path = ["."]
"""
# Builds the toy with nothing but the standard library; `{needs}` become its dependencies.
TOY_BACKEND = """\
import os, time, zipfile
from pathlib import Path

def wheel(folder, name, files, needs=()):
    info = f"{name}-1.0.dist-info"
    head = "Metadata-Version: 2.1\\nName: " + name.replace("_", "-") + "\\nVersion: 1.0\\n"
    more = "".join(f"Requires-Dist: {need}\\n" for need in needs) + "Provides-Extra: test\\n"
    files = {**files, f"{info}/METADATA": head + more}
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    files[f"{info}/RECORD"] = "".join(f"{path},,\\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(Path(folder, f"{name}-1.0-py3-none-any.whl"), "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return f"{name}-1.0-py3-none-any.whl"

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    time.sleep(float(os.environ.get("TOY_SECONDS", "0")))
    entry = "[console_scripts]\\ninternlm-setup = toy:main\\n"
    files = {"toy.pth": str(Path("src").resolve()),
             "internlm_setup-1.0.dist-info/entry_points.txt": entry}
    return wheel(wheel_directory, "internlm_setup", files, os.environ.get("TOY_NEEDS", "").split())
"""
TOY_MODULE = """\
import sys

def main() -> None:
    print("toy", *sys.argv[1:])
    sys.exit(7 if "fail" in sys.argv else 0)
"""


class Checkout:
    """A folder with bootstrap.py in it, and the empty HOME it is run with."""

    def __init__(self, root: Path, home: Path) -> None:
        self.root, self.home = root, home
        self.python = BASE_PYTHON

    def start(self, *words: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        return subprocess.Popen(
            [self.python, self.root / "bootstrap.py", *words],
            env={**kept, "HOME": str(self.home), "SHELL": "/bin/bash", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def run(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        started = self.start(*words, env=env)
        out, err = started.communicate()
        return subprocess.CompletedProcess(started.args, started.returncode, out, err)

    def configure_pip(self, **settings: str) -> None:
        lines = ["[global]", *(f"{name.replace('_', '-')} = {settings[name]}" for name in settings)]
        folder = self.home / ".config" / "pip"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pip.conf").write_text("\n".join(lines) + "\n")


@pytest.fixture
def toy(tmp_path: Path) -> Checkout:
    root, home = tmp_path / "toy's home", tmp_path / "home"
    (root / "src").mkdir(parents=True)
    home.mkdir()
    shutil.copy(REPOSITORY / "bootstrap.py", root)
    (root / "pyproject.toml").write_text(TOY_PYPROJECT.format(requires=""))
    (root / "constraints.txt").write_text("")
    (root / "backend.py").write_text(TOY_BACKEND)
    (root / "src" / "toy.py").write_text(TOY_MODULE)
    (root / "src" / "pytest.py").write_text("import sys\nprint('checks', *sys.argv[1:])\n")
    return Checkout(root, home)


@pytest.fixture
def real(tmp_path: Path) -> Checkout:
    root, home = tmp_path / "checkout", tmp_path / "home"
    root.mkdir()
    home.mkdir()
    for name in ("src", "configs"):
        shutil.copytree(REPOSITORY / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("bootstrap.py", "pyproject.toml", "constraints.txt", "LICENSE", "README.md"):
        shutil.copy(REPOSITORY / name, root)
    return Checkout(root, home)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this machine that refuses, held so that nobody else gets it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port of this machine that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_usage_names_the_verbs(toy: Checkout) -> None:
    """Without a verb there is one line of help, and nothing is made."""
    told = toy.run()
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr == "usage: python3 bootstrap.py tour|test|bench [...]\n"
    assert not (toy.root / ".venv").exists()


def test_first_run_installs_and_hands_over(toy: Checkout) -> None:
    """Words and exit code pass through; nothing but steps and the PATH line is said."""
    told = toy.run("tour", "fail", "--fast")
    assert (told.returncode, told.stdout) == (7, "toy tour fail --fast\n")
    assert told.stderr.splitlines()[:2] == [
        "Making .venv",
        "Installing the project and what it needs",
    ]


def test_bench_is_short_from_anywhere(toy: Checkout) -> None:
    """The folder of the clone is found from wherever one is; words go on, and the exit code comes back."""
    (toy.root / "benchmarks").mkdir()
    (toy.root / "benchmarks" / "run.py").write_text("import sys\nprint(*sys.argv[1:])\nsys.exit(7)\n")
    told = toy.run("bench", "kills", "--rounds", "2")
    assert (told.returncode, told.stdout) == (7, "--short kills --rounds 2\n")


@pytest.mark.skipif(WINDOWS, reason="needs sh")
def test_the_path_line_works_in_sh(toy: Checkout) -> None:
    """The printed line, run as it stands, works even with a quote in the folder's name."""
    line = next(line for line in toy.run("tour").stderr.splitlines() if "export" in line)
    found = subprocess.check_output(["sh", "-c", f"{line}\ncommand -v internlm-setup"], text=True)
    assert found.strip() == str(toy.root / ".venv" / "bin" / "internlm-setup")


def test_the_path_line_is_for_the_users_shell(toy: Checkout) -> None:
    """A fish user gets fish's line set apart, the others below it."""
    told = toy.run("tour", SHELL="/usr/bin/fish").stderr
    assert [line[:12] for line in told.splitlines()[-4:] if line] == [
        "    set -gx ",
        "sh: export P",
        "PowerShell: ",
    ]


def test_chinese_is_spoken_to_who_asks(toy: Checkout) -> None:
    """The variable of the installed command is obeyed."""
    told = toy.run("tour", INTERNLM_SETUP_LANG="zh", PYTHONIOENCODING="utf-8").stderr
    assert told.splitlines()[:2] == ["正在建立 .venv", "正在安装本项目及其依赖"]


@pytest.mark.full
def test_an_ascii_console_survives_chinese(toy: Checkout) -> None:
    """Characters that the console lacks become question marks."""
    told = toy.run("tour", INTERNLM_SETUP_LANG="zh", PYTHONIOENCODING="ascii")
    assert (told.returncode, told.stderr.splitlines()[0]) == (0, "???? .venv")


def test_a_finished_venv_is_used_again(toy: Checkout) -> None:
    """The second run makes and installs nothing."""
    toy.run("tour")
    assert toy.run("tour").stderr.startswith("\nTo call `internlm-setup`")


def test_an_extra_is_added_in_place_and_stays(toy: Checkout) -> None:
    """`test` after `tour` installs into the same `.venv`; `tour` after that has all it needs."""
    toy.run("tour")
    added = toy.run("test", "-k", "x")
    assert added.stdout == "checks -m not full -k x\n"
    assert added.stderr.startswith("Installing the project")
    assert toy.run("tour").stderr.startswith("\nTo call `internlm-setup`")


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_changed_requirements_make_it_anew(toy: Checkout, name: str) -> None:
    """A stale `.venv` is emptied, so that what is no longer needed is gone."""
    toy.run("tour")
    (toy.root / ".venv" / "stray").touch()
    with (toy.root / name).open("a") as file:
        file.write("# changed\n")
    told = toy.run("tour")
    assert (told.returncode, told.stderr.splitlines()[0]) == (0, "Making .venv")
    assert not (toy.root / ".venv" / "stray").exists()


@pytest.mark.full
def test_a_moved_folder_makes_it_anew(toy: Checkout) -> None:
    """The scripts in `.venv` name the old place."""
    toy.run("tour")
    toy.root = toy.root.rename(toy.root.with_name("elsewhere"))
    told = toy.run("tour")
    assert (told.stdout, told.stderr.splitlines()[0]) == ("toy tour\n", "Making .venv")


@pytest.mark.full
@pytest.mark.skipif(WINDOWS, reason="a running program cannot be moved there")
def test_a_stale_venv_can_be_the_active_one(toy: Checkout) -> None:
    """Run by `.venv`'s own Python, it builds on the Python behind it."""
    toy.run("tour")
    (toy.root / "constraints.txt").write_text("# changed\n")
    toy.python = toy.root / ".venv" / "bin" / "python"
    told = toy.run("tour")
    assert (told.stdout, told.stderr.splitlines()[0]) == ("toy tour\n", "Making .venv")


@pytest.mark.full
@pytest.mark.skipif(WINDOWS, reason="needs symlinks")
def test_a_venv_whose_python_is_gone_is_made_anew(toy: Checkout) -> None:
    """As after an upgrade of the system's Python."""
    toy.run("tour")
    (toy.root / ".venv" / "bin" / "python").unlink()
    told = toy.run("tour")
    assert (told.stdout, told.stderr.splitlines()[0]) == ("toy tour\n", "Making .venv")


@pytest.mark.full
def test_someone_elses_venv_is_kept_aside(toy: Checkout) -> None:
    """Only what bootstrap made is removed."""
    (toy.root / ".venv").mkdir()
    (toy.root / ".venv" / "precious").touch()
    assert "The .venv that was here is now" in toy.run("tour").stderr
    assert len(list((toy.root / ".tools").glob("venv-*/precious"))) == 1


@pytest.mark.full
@pytest.mark.skipif(WINDOWS, reason="signals")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_killed_bootstrap_leaves_nothing_that_counts(toy: Checkout, sent: signal.Signals, code: int) -> None:
    """The next run waits for a pip that lives on, then starts over."""
    killed = toy.start("tour", env={"TOY_SECONDS": "4"})
    assert killed.stderr is not None
    assert [killed.stderr.readline(), killed.stderr.readline()][1].startswith("Installing")
    time.sleep(1)
    killed.send_signal(sent)
    killed.communicate()
    assert killed.returncode == code
    told = toy.run("tour")
    assert (told.stdout, told.stderr.splitlines()[0]) == ("toy tour\n", "Making .venv")


@pytest.mark.full
def test_two_at_once_take_turns(toy: Checkout) -> None:
    """The second finds the work of the first and uses it."""
    both = [toy.start("tour", env={"TOY_SECONDS": "1"}) for _ in range(2)]
    said = [one.communicate() for one in both]
    assert [out for out, _ in said] == ["toy tour\n"] * 2
    assert sum("Making .venv" in err for _, err in said) == 1


@pytest.mark.full
def test_constraints_that_cannot_be_met_are_left_out(toy: Checkout, tmp_path: Path) -> None:
    """An index that lacks the pinned version is no reason to stop."""
    spec = importlib.util.spec_from_file_location("backend", toy.root / "backend.py")
    assert spec is not None
    assert spec.loader is not None
    backend = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(backend)
    backend.wheel(tmp_path, "needed", {"needed.py": ""})
    toy.configure_pip(no_index="true", find_links=str(tmp_path))
    (toy.root / "constraints.txt").write_text("needed==2\n")
    told = toy.run("tour", TOY_NEEDS="needed")
    assert (told.returncode, told.stdout) == (0, "toy tour\n")
    assert "constraints.txt cannot all be had here; going on without them" in told.stderr


@pytest.mark.full
def test_no_index_in_reach(toy: Checkout, closed_port: int) -> None:
    """Both tries are told in a line each; the failed `.venv` does not count."""
    (toy.root / "pyproject.toml").write_text(TOY_PYPROJECT.format(requires='"hatchling"'))
    nowhere = f"http://127.0.0.1:{closed_port}/simple"
    toy.configure_pip(index_url=nowhere)
    told = toy.run("tour", HTTPS_PROXY=nowhere, https_proxy=nowhere)
    assert (told.returncode, told.stdout) == (69, "")
    assert told.stderr.splitlines()[2:4] == [
        "The configured package index is out of reach; retrying with `pip --isolated`",
        "No package index is in reach; check the network or the proxy",
    ]
    assert toy.run("tour", HTTPS_PROXY=nowhere, https_proxy=nowhere).returncode == 69


@pytest.mark.full
@pytest.mark.parametrize(
    ("language", "words"), [("en", "` has no pip\n\nInstall it"), ("zh", "` 没有 pip\n\n请先安装")]
)
def test_no_pip_at_all(toy: Checkout, tmp_path: Path, language: str, words: str) -> None:
    """A Python that has neither pip nor ensurepip, as Debian's may be: a message, no traceback."""
    bare = tmp_path / "bare"
    venv.create(bare, with_pip=False)
    toy.python = bare / ("Scripts/python.exe" if WINDOWS else "bin/python")
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "ensurepip.py").write_text("raise SystemExit(1)\n")
    env = {"PYTHONPATH": str(tmp_path / "without"), "PYTHONIOENCODING": "utf-8"}
    told = toy.run("tour", INTERNLM_SETUP_LANG=language, **env)
    assert told.returncode == 69
    assert words in told.stderr
    assert "Traceback" not in told.stderr


def test_python_35_can_read_it() -> None:
    """An old Python gets as far as the message that it is old."""
    tree = ast.parse((REPOSITORY / "bootstrap.py").read_text("utf-8"), feature_version=(3, 5))
    newer = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr)
    assert [node for node in ast.walk(tree) if isinstance(node, newer)] == []


OLD_PYTHONS = sorted(Path("~/.pyenv/versions").expanduser().glob("3.[6-9].*/bin/python3"))
if OLD_PYTHONS:

    @pytest.mark.parametrize("python", OLD_PYTHONS, ids=lambda path: path.parents[1].name)
    def test_an_old_python_says_what_is_needed(toy: Checkout, python: Path) -> None:
        """With no newer Python on PATH: a message that names both versions."""
        toy.python = python
        told = toy.run("tour", PATH=str(toy.home))
        assert (told.returncode, told.stdout) == (69, "")
        version = python.parents[1].name
        assert told.stderr.startswith(f"Python 3.10 or newer is needed; found {version}\n")

    def test_an_old_python_hands_over_to_a_newer(toy: Checkout) -> None:
        """A newer `python3.N` on PATH does the work."""
        toy.python = OLD_PYTHONS[0]
        told = toy.run("tour", "fail", PATH=str(BASE_PYTHON.parent))
        assert (told.returncode, told.stdout) == (7, "toy tour fail\n")
        assert f"-> {BASE_PYTHON}"[:12] in told.stderr


@pytest.mark.full
@pytest.mark.timeout(240)
@pytest.mark.parametrize("port", ["closed_port", "silent_port"])
def test_an_index_out_of_reach_is_gone_round(real: Checkout, port: str, request: pytest.FixtureRequest) -> None:
    """It is noticed within 25 s, said in one line, and the install goes on without it."""
    real.configure_pip(index_url=f"http://127.0.0.1:{request.getfixturevalue(port)}/simple")
    begun = time.monotonic()
    started = real.start("tour", "--help")
    assert started.stderr is not None
    said = [started.stderr.readline() for _ in range(3)]
    assert time.monotonic() - begun < 25
    assert said[2].endswith("is out of reach; retrying with `pip --isolated`\n")
    out, _ = started.communicate()
    assert started.returncode == 0
    assert "tour" in out


@pytest.mark.full
@pytest.mark.timeout(480)
def test_mirrors_out_of_reach_and_then_both_commands(real: Checkout, closed_port: int, tmp_path: Path) -> None:
    """`mirrors` keeps its files, though nobody answers there; the two README commands work all the same."""
    sites = tmp_path / "sites"
    sites.mkdir()
    nowhere = f"http://127.0.0.1:{closed_port}"
    for name in ("cernet", "tuna"):
        (sites / f"{name}.yaml").write_text(
            f"families: {{pypi: {{url: {nowhere}/simple}}, conda: {{url: {nowhere}}}}}\n"
        )
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    env = {**kept, "HOME": str(real.home), "INTERNLM_SETUP_MIRRORS": str(sites)}
    assert subprocess.run([*installed_command(), "mirrors"], env=env, check=False).returncode == 0
    assert nowhere in (real.home / ".config" / "pip" / "pip.conf").read_text()
    tour = real.run("tour")
    assert tour.returncode == 0, tour.stderr
    assert "is out of reach; retrying with `pip --isolated`" in tour.stderr
    told = real.run("test", "--version")
    assert (told.returncode, told.stdout[:7]) == (0, "pytest ")


@pytest.mark.full
@pytest.mark.timeout(240)
def test_a_pip_that_is_too_old_fetches_a_newer(real: Checkout, tmp_path: Path) -> None:
    """Ubuntu 22.04 ships pip 22.0, which cannot install into another environment."""
    venv.create(tmp_path / "old", with_pip=True)
    real.python = tmp_path / "old" / "bin" / "python"
    subprocess.check_call([real.python, "-m", "pip", "install", "-q", "pip==22.0.2"])
    told = real.run("tour", "--help")
    assert told.returncode == 0
    assert told.stderr.splitlines()[:3] == [
        "Making .venv",
        "Fetching a newer pip into .tools/pip",
        "Installing the project and what it needs",
    ]
    assert real.run("tour", "--help").stderr.startswith("\nTo call")


@pytest.mark.full
@pytest.mark.timeout(240)
def test_the_pip_inside_python_will_do(real: Checkout, tmp_path: Path) -> None:
    """No pip but ensurepip: the one that Python carries is put into `.venv`."""
    venv.create(tmp_path / "bare", with_pip=False)
    real.python = tmp_path / "bare" / "bin" / "python"
    told = real.run("test", "--version")
    assert (told.returncode, told.stdout[:7]) == (0, "pytest ")
