"""Where past fetches went."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from internlm_setup.core.files import CannotWrite
from internlm_setup.fetch.history import MOST_ENTRIES, begin, find, folders, remember, version_of
from internlm_setup.fetch.transfer.manifest import Manifest, write_manifest


def test_found_again(tmp_path: Path) -> None:
    """The newest folder of each name is found, whatever its characters."""
    remember(tmp_path / "state", "chat-7b", Path("/old"))
    remember(tmp_path / "state", "模型", Path("/盘/模型"))
    remember(tmp_path / "state", "chat-7b", Path("/new"))
    assert find(tmp_path / "state", "chat-7b") == Path("/new")
    assert find(tmp_path / "state", "模型") == Path("/盘/模型")
    assert find(tmp_path / "state", "other") is None


def test_folder_that_is_no_utf8(tmp_path: Path) -> None:
    """A folder whose name is not valid UTF-8, as Linux allows, is remembered as it is."""
    folder = Path(os.fsdecode(b"/data/caf\xe9"))
    remember(tmp_path, "chat-7b", folder)
    assert find(tmp_path, "chat-7b") == folder


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff\xfe"])
def test_damaged_list(tmp_path: Path, text: bytes) -> None:
    """A damaged list is an empty one; the next fetch begins it anew."""
    (tmp_path / "fetches.json").write_bytes(text)
    assert find(tmp_path, "chat-7b") is None
    remember(tmp_path, "chat-7b", Path("/new"))
    assert find(tmp_path, "chat-7b") == Path("/new")


def test_the_list_ends_somewhere(tmp_path: Path) -> None:
    """The oldest names are forgotten; a name that is fetched again counts as new."""
    remember(tmp_path, "first", Path("/first"))
    remember(tmp_path, "second", Path("/second"))
    remember(tmp_path, "first", Path("/first"))
    for n in range(MOST_ENTRIES - 1):
        remember(tmp_path, f"model-{n}", Path("/x"))
    assert find(tmp_path, "second") is None
    assert find(tmp_path, "first") == Path("/first")


def test_for_the_owner_only(tmp_path: Path) -> None:
    """What somebody fetched is nobody else's business."""
    remember(tmp_path, "chat-7b", Path("/new"))
    assert (tmp_path / "fetches.json").stat().st_mode & 0o777 == 0o600


def test_cannot_be_written(tmp_path: Path) -> None:
    """A state folder that cannot be written is the system's refusal, for the caller to weigh."""
    (tmp_path / "state").write_text("a file")
    with pytest.raises(CannotWrite):
        remember(tmp_path / "state", "chat-7b", Path("/new"))
    assert find(tmp_path / "state", "chat-7b") is None


def test_what_began_is_known_until_it_is_remembered(tmp_path: Path) -> None:
    """A fetch that never ended leaves its folder in the list of all; one that ended is there once."""
    begin(tmp_path, Path("/b"), "one")
    begin(tmp_path, Path("/a"), "one")
    begin(tmp_path, Path("/b"), "two")
    assert folders(tmp_path) == [Path("/a"), Path("/b")]
    remember(tmp_path, "chat-7b", Path("/b"))
    assert folders(tmp_path) == [Path("/a"), Path("/b")]
    assert (tmp_path / "begun.json").read_text() == '{\n "/a": "one"\n}'
    assert find(tmp_path, "chat-7b") == Path("/b")


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"\xff"])
def test_damaged_list_of_beginnings(tmp_path: Path, text: bytes) -> None:
    """It is an empty one."""
    (tmp_path / "begun.json").write_bytes(text)
    assert folders(tmp_path) == []


def test_a_beginning_that_cannot_be_noted(tmp_path: Path) -> None:
    """Nothing happens: the fetch matters more."""
    (tmp_path / "state").write_text("a file")
    begin(tmp_path / "state", Path("/a"), "one")
    assert folders(tmp_path / "state") == []


def test_whose_version_a_folder_has(tmp_path: Path) -> None:
    """That of the fetch that began last there, else of the one that made its record; a damaged record says nothing."""
    state, folder = tmp_path / "state", tmp_path / "model"
    assert version_of(state, folder) is None
    write_manifest(folder / ".internlm-setup", Manifest("chat", "one", "lab/chat", "main", None, ()))
    assert version_of(state, folder) == "one"
    begin(state, folder, "two")
    assert version_of(state, folder) == "two"
    remember(state, "chat", folder)
    assert version_of(state, folder) == "one"
    (folder / ".internlm-setup" / "manifest.json").write_text("{")
    assert version_of(state, folder) is None
