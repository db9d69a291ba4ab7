"""Every check of this project: `nox` for the quick ones, `nox -s full` for all of them.

There is no second list of checks: `.ci/run`, the workflow and the commit hooks call these sessions.
Sessions that test the package use a built wheel, never the working tree.
"""

import os
import re
import shutil
import zipfile
from pathlib import Path

import nox

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
MAIN = "3.11"  # the one that runs everything, with coverage of all lines asked for
CONSTRAINTS = "constraints.txt"
CONSTRAINTS_HEAD = (
    "# The versions that bootstrap.py and the checks install, all Pythons and platforms at once.\n"
    "# Made by `nox -s constraints`; not edited by hand.\n"
)
TOOLS = ("build", "hatchling", "import-linter", "nox[uv]", "ruff")
# Programs that the full run looks for, and the Debian packages they come in.
PROGRAMS = {
    "nginx": "nginx",
    "sshd": "openssh-server",
    "aria2c": "aria2",
    "ip": "iproute2",
    "iptables": "iptables",
    "tmux": "tmux",
    "debootstrap": "debootstrap",
    "npm": "npm",
    "zstd": "zstd",
}
SYSTEM_FOLDERS = os.pathsep.join(["/usr/local/sbin", "/usr/sbin", "/sbin"])

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["style", "types", "arch", f"tests-{MAIN}"]


def offer_pyenv_pythons() -> None:
    """Let pyenv's `python3.N` commands work for every version that it holds."""
    root = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    found = [path.name for python in [MAIN, *PYTHONS] for path in root.glob(f"versions/{python}.*")]
    if found:
        os.environ.setdefault("PYENV_VERSION", ":".join(dict.fromkeys(found)))


offer_pyenv_pythons()


def install(session: nox.Session, *wanted: str) -> None:
    """Install with the versions of `constraints.txt`."""
    session.install("-q", "-c", CONSTRAINTS, *wanted)


def wheel(session: nox.Session) -> str:
    """Return the built wheel, the same for every session of one run.

    `INTERNLM_SETUP_WHEEL` names one that was built elsewhere.
    """
    if "INTERNLM_SETUP_WHEEL" not in os.environ:
        install(session, "build", "hatchling")
        shutil.rmtree("dist", ignore_errors=True)
        session.run("python", "-m", "build", "--no-isolation", silent=True)
        (built,) = Path("dist").resolve().glob("*.whl")
        os.environ["INTERNLM_SETUP_WHEEL"] = str(built)
    return os.environ["INTERNLM_SETUP_WHEEL"]


@nox.session
def style(session: nox.Session) -> None:
    """Lint and layout; `nox -s style -- fix` repairs what can be repaired."""
    install(session, "ruff")
    fix = "fix" in session.posargs
    session.run("ruff", "check", *(["--fix"] if fix else []))
    session.run("ruff", "format", *([] if fix else ["--check"]))


@nox.session(python=MAIN)
def types(session: nox.Session) -> None:
    """Check types, in the strict mode that pyproject.toml sets."""
    install(session, "-e", ".[test]", "nox[uv]")
    session.run("mypy", "src", "tests", "benchmarks", "bootstrap.py", "noxfile.py")


@nox.session(python=MAIN)
def arch(session: nox.Session) -> None:
    """Check who may import whom."""
    install(session, "import-linter")
    session.run("lint-imports", env={"PYTHONPATH": "src"})


@nox.session(python=MAIN)
def docs(session: nox.Session) -> None:
    """Fail when the generated reference is stale; `nox -s docs -- write` writes it anew."""
    install(session, "-e", ".[test]")
    session.run("python", "docs/generate.py", *([] if "write" in session.posargs else ["--check"]))


@nox.session(python=MAIN)
def build(session: nox.Session) -> None:
    """Build sdist and wheel, and look into the wheel."""
    os.environ.pop("INTERNLM_SETUP_WHEEL", None)
    built = wheel(session)
    names = zipfile.ZipFile(built).namelist()
    for needed in (r"internlm_setup/configs/.+\.yaml", r"internlm_setup/py\.typed", r".*/LICENSE"):
        if not any(re.fullmatch(needed, name) for name in names):
            session.error(f"{built} holds nothing like {needed}")
    strays = [name for name in names if not name.startswith("internlm_setup")]
    if strays:
        session.error(f"{built} would install beside the package: {', '.join(strays)}")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run tests against the wheel; without arguments, those that need nothing special."""
    install(session, f"internlm-setup[test] @ {Path(wheel(session)).as_uri()}")
    chosen = session.posargs or ["-m", "not full"]
    env = {"COVERAGE_FILE": str(Path(f".coverage.{session.python}").resolve())}
    session.run("coverage", "run", "-m", "pytest", *chosen, env=env)


@nox.session(python=MAIN)
def coverage(session: nox.Session) -> None:
    """Put the coverage of all test runs together; fail under pyproject.toml's limit."""
    install(session, "coverage[toml]")
    session.run("coverage", "combine", "-q")
    session.run("coverage", "report")


@nox.session
def constraints(session: nox.Session) -> None:
    """Write `constraints.txt` with the newest versions that resolve."""
    session.install("-q", "uv")
    more = Path(session.create_tmp(), "tools.in")
    more.write_text("\n".join(TOOLS), encoding="utf-8")
    sources = ["pyproject.toml", str(more), "--extra", "test", "--python-version", min(PYTHONS)]
    plain = ["--quiet", "--no-header", "--no-annotate", "--no-emit-index-url", "--universal"]
    found = session.run("uv", "pip", "compile", *plain, *sources, silent=True)
    Path(CONSTRAINTS).write_text(f"{CONSTRAINTS_HEAD}{found}", encoding="utf-8")


@nox.session(python=False)
def full(session: nox.Session) -> None:
    """Everything, and nothing may skip: the programs are installed where apt can do it.

    The other sessions run after this one, in this order; the whole suite comes last.
    """
    os.environ["INTERNLM_SETUP_FULL"] = "1"
    os.environ["PATH"] += os.pathsep + SYSTEM_FOLDERS
    for old in Path().glob(".coverage*"):
        old.unlink()
    missing = [package for name, package in PROGRAMS.items() if not shutil.which(name)]
    if missing and shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        env = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}  # installed, not started
        quiet = ["-qq", "-o", "Dpkg::Use-Pty=0"]
        session.run("apt-get", "update", *quiet, external=True, env=env)
        install_missing = ["install", "--yes", "--no-install-recommends", *quiet, *missing]
        session.run("apt-get", *install_missing, external=True, env=env)
    elif missing:
        session.warn(f"not installed, so some tests will fail: {', '.join(missing)}")
    for name in ("style", "types", "arch", "build", "docs"):
        session.notify(name, [])
    for python in PYTHONS:
        if python != MAIN:  # the oldest lacks most; newer ones run what needs no server
            fewer = [] if python == min(PYTHONS) else ["tests/unit", "tests/contract"]
            session.notify(f"tests-{python}", ["-m", "not full and not e2e", *fewer])
    session.notify(f"tests-{MAIN}", ["tests"])
    session.notify("coverage", [])
