"""What may be removed of this tool's own, and that nothing else goes with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from internlm_setup.core.leftovers import Leftover, disk_bytes, logs, remove, side_environments
from internlm_setup.core.paths import Paths


def paths_in(folder: Path) -> Paths:
    return Paths(folder / "config", folder / "state", folder / "cache", folder / "state" / "log")


def test_side_environments_and_logs(tmp_path: Path) -> None:
    """One line an environment, however many files it has, and one a log file."""
    paths = paths_in(tmp_path)
    for name in ("sidecar/openxlab/bin/python", "sidecar/openxlab/lib/x.py", "log/internlm-setup.log", "fetches.json"):
        (paths.state / name).parent.mkdir(parents=True, exist_ok=True)
        (paths.state / name).write_bytes(b"x" * 5000)
    (found,) = side_environments(paths.state)
    assert (found.kind, found.path) == ("environment", paths.state / "sidecar" / "openxlab")
    assert found.size_bytes >= 10_000
    (log,) = logs(paths)
    assert (log.kind, log.path) == ("log", paths.log_file)
    remove(found)
    remove(log)
    assert sorted(p.name for p in paths.state.rglob("*")) == ["fetches.json", "log", "sidecar"]


def test_nothing_there(tmp_path: Path) -> None:
    """A tool that never ran has left nothing."""
    assert [*side_environments(tmp_path), *logs(paths_in(tmp_path))] == []


def test_sparse_files_count_what_they_take(tmp_path: Path) -> None:
    """A file of a gigabyte with one byte in it takes next to nothing."""
    with (tmp_path / "sparse").open("wb") as file:
        file.write(b"x")
        file.truncate(1 << 30)
    assert 0 < disk_bytes(tmp_path / "sparse") < 1 << 20
    assert disk_bytes(tmp_path / "gone") == 0


@pytest.mark.parametrize("name", ["a-folder", "a-file"])
def test_a_link_goes_alone(tmp_path: Path, name: str) -> None:
    """What a link leads to is neither counted nor removed."""
    (tmp_path / "a-folder").mkdir()
    (tmp_path / "a-folder" / "inside").write_bytes(b"x" * 100_000)
    (tmp_path / "a-file").write_bytes(b"x" * 100_000)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / name)
    assert disk_bytes(link) < 100_000
    remove(Leftover("environment", link, 0))
    assert not link.is_symlink()
    assert (tmp_path / "a-folder" / "inside").exists()
    assert (tmp_path / "a-file").exists()
