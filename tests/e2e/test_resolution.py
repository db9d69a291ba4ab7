"""The declared dependencies resolve to what we mean, with pip and uv, from the index in use."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import venv
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.full, pytest.mark.timeout(180)]
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs' folder of an environment with pip and uv in it."""
    root = tmp_path_factory.mktemp("tools")
    venv.create(root, with_pip=True)
    subprocess.check_call([root / "bin" / "python", "-m", "pip", "install", "-q", "-U", "pip", "uv"])
    return root / "bin"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the build backend reads."""
    root = tmp_path_factory.mktemp("project")
    for name in ("pyproject.toml", "constraints.txt", "LICENSE", "README.md"):
        shutil.copy(REPOSITORY / name, root)
    for name in ("src", "configs"):
        shutil.copytree(REPOSITORY / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    return root


def resolve(tools: Path, wanted: str, *options: str) -> dict[str, tuple[int, ...]]:
    """Return the versions that pip would install, by normal name."""
    command = ["-m", "pip", "install", "--dry-run", "--quiet", "--report", "-", *options, wanted]
    report = json.loads(subprocess.check_output([tools / "python", *command]))
    found = [entry["metadata"] for entry in report["install"]]
    return {
        re.sub(r"[-_.]+", "-", one["name"]).lower(): tuple(map(int, re.findall(r"\d+", one["version"])))
        for one in found
    }


@pytest.mark.parametrize("extra", ["", "[test]"])
def test_the_core_and_its_tests_resolve(tools: Path, project: Path, extra: str) -> None:
    """The newest of everything live together."""
    found = resolve(tools, f"{project}{extra}")
    assert found["huggingface-hub"] >= (1,)
    assert found["modelscope"] >= (1, 40)
    assert found["typer"] >= (0, 24)
    assert found["paramiko"] >= (4,)


def test_openxlab_resolves_to_one_that_works(tools: Path, project: Path) -> None:
    """Without a floor the resolver would fall back to a release that cannot be imported."""
    found = resolve(tools, f"{project}[openxlab]")
    assert found["openxlab"] == (0, 1, 3)
    assert found["huggingface-hub"] >= (1,)
    assert found["modelscope"] >= (1, 40)


def test_constraints_hold_for_all_that_is_installed(tools: Path, project: Path) -> None:
    """Nothing that bootstrap installs is left to the day's newest version."""
    limits = project / "constraints.txt"
    found = resolve(tools, f"{project}[test]", "-c", str(limits))
    named = set(re.findall(r"^([a-z0-9-]+)==", limits.read_text("utf-8"), re.MULTILINE))
    assert set(found) - named == {"internlm-setup"}


@pytest.mark.parametrize("python", ["3.10", "3.12", "3.13"])
def test_constraints_resolve_on_other_pythons(tools: Path, project: Path, python: str) -> None:
    """The same file serves every Python that we name."""
    plain = ["pip", "compile", "-q", "--extra", "test", "-c", "constraints.txt"]
    command = [*plain, "--python-version", python, "pyproject.toml"]
    found = subprocess.check_output([tools / "uv", *command], cwd=project, text=True)
    assert "\npytest==" in found


def test_uv_locks_it_with_every_extra(tools: Path, project: Path) -> None:
    """One universal resolution covers core and extras on all Pythons."""
    subprocess.check_call([tools / "uv", "lock", "--quiet"], cwd=project)
    assert 'name = "openxlab"\nversion = "0.1.3"' in (project / "uv.lock").read_text("utf-8")
