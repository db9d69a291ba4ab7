"""What a run knows of its machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from internlm_setup.core.paths import Paths
from internlm_setup.mirrors.world import SITES_VARIABLE, OnPath, conda_subdir, make_world, read


def program(folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.mark.skipif(os.name == "nt", reason="programs have suffixes there")
def test_programs_are_found_on_path(tmp_path: Path) -> None:
    """The first folder wins, and Debian's `pip3` is pip."""
    first, second = tmp_path / "a", tmp_path / "b"
    uv, pip3 = program(first, "uv"), program(second, "pip3")
    program(second, "uv")
    found = OnPath(os.pathsep.join(map(str, (first, second))))
    assert found.get("uv") == uv
    assert found.get("pip") == pip3
    assert "conda" not in found
    assert list(found) == ["pip3", "uv"]


@pytest.mark.parametrize(
    ("platform", "processor", "subdir"),
    [
        ("linux", "x86_64", "linux-64"),
        ("linux", "aarch64", "linux-aarch64"),
        ("linux", "ppc64le", "linux-ppc64le"),
        ("darwin", "arm64", "osx-arm64"),
        ("darwin", "x86_64", "osx-64"),
        ("win32", "AMD64", "win-64"),
    ],
)
def test_subdir(platform: str, processor: str, subdir: str) -> None:
    assert conda_subdir(platform, processor) == subdir


def test_reading(tmp_path: Path) -> None:
    """A file gives its bytes, a folder the names in it, nothing gives None."""
    (tmp_path / "b").write_bytes(b"\xff")
    (tmp_path / "a").mkdir()
    assert (read(tmp_path), read(tmp_path / "b"), read(tmp_path / "c")) == (b"a\nb", b"\xff", None)


def test_own_sites_by_file_and_by_variable(tmp_path: Path) -> None:
    """The variable's folder is laid over the user's, the user's over the catalogue."""
    env = {SITES_VARIABLE: str(tmp_path / "sites")}
    paths = Paths.of(env, tmp_path, "linux")
    mine = paths.config / "mirrors"
    for folder, port in ((mine, 1), (tmp_path / "sites", 2)):
        folder.mkdir(parents=True)
        (folder / "tuna.yaml").write_text(f"families: {{pypi: {{url: 'http://127.0.0.1:{port}'}}}}\n")
    (mine / "office.yaml").write_text("families: {npm: {url: 'https://npm.example'}}\n")
    sites = make_world(env, tmp_path, tmp_path, paths).sites
    assert sites.serving("tuna", "pypi").url == "http://127.0.0.1:2"
    assert sites.serving("tuna", "conda").url == "https://mirrors.tuna.tsinghua.edu.cn/anaconda"
    assert sites.serving("office", "npm").url == "https://npm.example"
