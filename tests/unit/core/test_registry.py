"""Plug-ins are found by being there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from internlm_setup.core.registry import module, modules, plugin, plugins

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


def test_two_with_one_id(package: Path, tmp_path: Path) -> None:
    """Two plug-ins that claim one id are a programmer's mistake, said at once."""
    (package / "_other.py").write_text(PLUGIN.format(id="cat"))
    install(tmp_path, "zoo._other:Thing")
    with pytest.raises(ValueError, match="'cat'"):
        plugins("zoo", "THING", "zoo.things")


def test_a_file_is_called_as_its_plugin(package: Path) -> None:
    """Else the plug-in could not be found without importing its siblings."""
    (package / "copy.py").write_text(PLUGIN.format(id="bee"))
    with pytest.raises(ValueError, match=r"zoo\.copy is called 'bee'"):
        plugins("zoo", "THING")


def test_one_is_found_without_its_siblings(package: Path, tmp_path: Path) -> None:
    """Only its own file is imported; those of other distributions are still found."""
    (package / "house_cat.py").write_text(PLUGIN.format(id="house-cat"))
    assert plugin("zoo", "THING", "house-cat", "zoo.things").id == "house-cat"
    assert module("zoo", "cat") == "zoo.cat"
    assert {name for name in sys.modules if name.startswith("zoo.")} == {"zoo.house_cat"}
    (package / "_other.py").write_text(PLUGIN.format(id="dog"))
    install(tmp_path, "zoo._other:Thing")
    assert plugin("zoo", "THING", "dog", "zoo.things").id == "dog"
    assert plugin("zoo", "THING", "dog") is None
