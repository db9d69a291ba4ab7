"""Plug-ins are found by being there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from internlm_setup.core.registry import modules, plugins

PLUGIN = "class Thing:\n    id = {id!r}\n\nTHING = Thing\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An importable package `zoo` with two plug-ins and a private module."""
    folder = tmp_path / "zoo"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "cat.py").write_text(PLUGIN.format(id="cat"))
    (folder / "ape.py").write_text(PLUGIN.format(id="ape"))
    (folder / "_help.py").write_text("raise RuntimeError\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [n for n in sys.modules if n == "zoo" or n.startswith("zoo.")]:
        del sys.modules[name]


def install(site: Path, entry: str) -> None:
    """Put the metadata of another distribution beside the package."""
    info = site / "other_zoo-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-zoo\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[zoo.things]\nx = {entry}\n")


def test_public_modules_in_order(package: Path) -> None:
    """Modules come in alphabetical order; those with an underscore are no plug-ins and are not imported."""
    assert modules("zoo") == ["zoo.ape", "zoo.cat"]


def test_plugins_by_id(package: Path) -> None:
    """Each file's plug-in is there under its id."""
    assert list(plugins("zoo", "THING")) == ["ape", "cat"]


def test_one_more_file_is_one_more_plugin(package: Path) -> None:
    """A new file needs no list to be edited."""
    (package / "bee.py").write_text(PLUGIN.format(id="bee"))
    assert list(plugins("zoo", "THING")) == ["ape", "bee", "cat"]


def test_other_distributions(package: Path, tmp_path: Path) -> None:
    """An entry point of another distribution is a plug-in like any other, but only in its group."""
    (package / "_other.py").write_text(PLUGIN.format(id="dog"))
    install(tmp_path, "zoo._other:Thing")
    assert list(plugins("zoo", "THING", "zoo.things")) == ["ape", "cat", "dog"]
    assert list(plugins("zoo", "THING", "zoo.others")) == ["ape", "cat"]


def test_two_with_one_id(package: Path) -> None:
    """Two plug-ins that claim one id are a programmer's mistake, said at once."""
    (package / "copy.py").write_text(PLUGIN.format(id="cat"))
    with pytest.raises(ValueError, match="'cat'"):
        plugins("zoo", "THING")
