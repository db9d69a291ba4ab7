"""Side environments: made once, used again, made anew when broken, and gone when removed."""

from __future__ import annotations

import os
import subprocess
import threading
import zipfile
from pathlib import Path

import pytest

from internlm_setup.core import sidecar
from internlm_setup.core.sidecar import NoInstaller, Sidecar, SidecarFailed
from internlm_setup.core.text import Text

TINY = Sidecar("tiny-1.0", ("tiny==1.0",), "tiny", "1 kB")
IN_FULL = pytest.mark.full  # each takes a pip
INFO = "tiny-1.0.dist-info"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An environment whose only package index is a folder with one package."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "tiny-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny.py", "SIZE = 1\n")
        wheel.writestr(f"{INFO}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        wheel.writestr(f"{INFO}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{INFO}/RECORD", "")
    index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "UV_NO_INDEX": "1", "UV_FIND_LINKS": str(wheels)}
    return {**os.environ, **index, "HOME": str(tmp_path / "home")}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def made(state: Path, env: dict[str, str], attempts: list[list[str]] | None = None) -> tuple[Path, list[Text]]:
    """Have it ready; return its interpreter and what was told."""
    told: list[Text] = []
    return sidecar.ready(TINY, state, env, told.append, attempts), told


def imports(python: Path) -> bool:
    return subprocess.run([python, "-c", "import tiny"], check=False, capture_output=True).returncode == 0


def pip(*options: str) -> list[str]:
    return [sidecar.python_with_pip(), "-m", "pip", "--python", "{python}", "install", "--quiet", *options]


def test_it_is_made_once_and_used_again(state: Path, env: dict[str, str]) -> None:
    python, told = made(state, env)
    assert imports(python)
    assert [text.en for text in told] == [
        f"making an environment of its own for tiny==1.0, once: about 1 kB in `{sidecar.home(state) / TINY.name}`"
    ]
    assert made(state, env) == (python, [])


def test_nothing_half_made_is_left(state: Path, env: dict[str, str]) -> None:
    made(state, env)
    assert [entry.name for entry in sidecar.found(state)] == ["tiny-1.0"]


@pytest.mark.parametrize(
    "damage", [pytest.param("mark", marks=IN_FULL), "module", pytest.param("python", marks=IN_FULL)]
)
def test_a_broken_one_is_made_anew(state: Path, env: dict[str, str], damage: str) -> None:
    python, _ = made(state, env)
    folder = python.parents[1]
    victims = {"mark": folder / sidecar.MARK, "python": python}
    (next(folder.rglob("tiny.py")) if damage == "module" else victims[damage]).unlink()
    again, told = made(state, env)
    assert (again, len(told), imports(again)) == (python, 1, True)


@IN_FULL
def test_other_requirements_make_another(state: Path, env: dict[str, str]) -> None:
    made(state, env)
    newer = Sidecar(TINY.name, ("tiny>=1.0",), "tiny", "1 kB")
    told: list[Text] = []
    sidecar.ready(newer, state, env, told.append)
    assert len(told) == 1


@IN_FULL
def test_the_remains_of_a_killed_run_are_cleared_away(state: Path, env: dict[str, str]) -> None:
    remains = sidecar.home(state) / ".tiny-1.0.killed"
    remains.mkdir(parents=True)
    (remains / "half").write_text("half")
    assert [(f.name, f.size_bytes) for f in sidecar.found(state)] == [(remains.name, 4)]
    made(state, env)
    assert not remains.exists()


@IN_FULL
def test_two_runs_at_once_make_it_once(state: Path, env: dict[str, str]) -> None:
    told: list[Text] = []
    runs = [threading.Thread(target=sidecar.ready, args=(TINY, state, env, told.append)) for _ in range(2)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert len(told) == 1


def test_an_index_out_of_reach_is_passed_by_once(state: Path, env: dict[str, str]) -> None:
    """The second way is tried when the first one fails."""
    python, _ = made(state, env, [pip("--find-links", "/nowhere", "no-such-package"), pip()])
    assert imports(python)


def test_a_failure_leaves_nothing_and_names_the_package(state: Path, env: dict[str, str]) -> None:
    env["PIP_FIND_LINKS"] = str(state)
    with pytest.raises(SidecarFailed, match=r"no environment could be made for tiny==1\.0: .*tiny") as caught:
        made(state, env, [pip(), pip()])
    assert sidecar.found(state) == ()
    assert "python -m pip download --no-deps tiny==1.0" in (caught.value.next_step("en") or "")


def test_without_an_installer(state: Path, env: dict[str, str]) -> None:
    with pytest.raises(NoInstaller):
        made(state, env, [])


def test_the_ways_to_install(env: dict[str, str], tmp_path: Path) -> None:
    """Uv is first where it is; pip is asked a second time without the user's settings."""
    (tmp_path / "uv").write_text("#!/bin/sh\n")
    (tmp_path / "uv").chmod(0o755)
    ways = sidecar.installers({**env, "PATH": f"{tmp_path}{os.pathsep}{env['PATH']}"})
    assert Path(ways[0][0]).name == "uv"
    assert ["--isolated" in way for way in ways] == [False, False, True]


def test_removed(state: Path, env: dict[str, str]) -> None:
    made(state, env)
    (entry,) = sidecar.found(state)
    assert entry.size_bytes > 0
    sidecar.remove(entry.folder)
    assert sidecar.found(state) == ()
    assert not [p for p in sidecar.home(state).iterdir() if p.is_dir()]


def test_other_packages_do_not_lead_it_astray(env: dict[str, str]) -> None:
    assert sidecar.apart({**env, "PYTHONPATH": "/elsewhere", "PYTHONHOME": "/elsewhere"}) == env
