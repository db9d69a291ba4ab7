"""New keys on the disk: both files or none, never over anything, for the owner alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from internlm_setup.core.files import CannotWrite
from internlm_setup.core.ssh.keys import NewKey, load_private, make, public_blob
from internlm_setup.ssh_key import store
from internlm_setup.ssh_key.errors import KeyDiffers, KeyExists

KEY = make("ed25519")
posix = pytest.mark.skipif(os.name == "nt", reason="modes mean nothing there")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@posix
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_modes(tmp_path: Path, umask: int) -> None:
    """The private file is the owner's alone, the public one everybody's, whatever the umask."""
    path = tmp_path / ".ssh" / "id_ed25519"
    before = os.umask(umask)
    try:
        store.write(path, KEY, "a@b")
    finally:
        os.umask(before)
    assert [mode(p) for p in (path.parent, path, path.with_suffix(".pub"))] == [0o700, 0o600, 0o644]


@posix
def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    """It is somebody's choice; `list` complains if it is a bad one."""
    tmp_path.chmod(0o750)
    store.write(tmp_path / "key", KEY, "a@b")
    assert mode(tmp_path) == 0o750


def test_what_is_written(tmp_path: Path) -> None:
    """The private file opens, and the public one is a line of ASCII with its newline."""
    path = tmp_path / "key"
    store.write(path, KEY, "张三@desk")
    assert load_private(path).asbytes() == KEY.blob
    line = path.with_suffix(".pub").read_bytes()
    assert line.endswith(b" user@desk\n")
    assert line.isascii()


@pytest.mark.parametrize("name", ["key", "key.pub"])
@pytest.mark.parametrize("kind", ["file", "empty", "dangling", "folder"])
def test_nothing_is_overwritten(tmp_path: Path, name: str, kind: str) -> None:
    """Whatever stands where either file goes, it stays, and no half of a key is left beside it."""
    there = tmp_path / name
    if kind == "folder":
        there.mkdir()
    elif kind == "dangling":
        there.symlink_to(tmp_path / "nowhere")
    else:
        there.write_bytes(b"precious" if kind == "file" else b"")
    before = there.lstat()
    with pytest.raises(KeyExists) as error:
        store.write(tmp_path / "key", KEY, "a@b")
    assert error.value.path == str(there)
    assert error.value.free == str(tmp_path / "key-2")
    assert list(tmp_path.iterdir()) == [there]
    assert there.lstat() == before


def test_a_file_that_came_meanwhile(tmp_path: Path) -> None:
    """Looking first is for the person; the system itself refuses to open what is there."""
    (tmp_path / "key").write_bytes(b"precious")
    with pytest.raises(KeyExists):
        store._write_new(tmp_path / "key", b"ours", 0o600)
    assert (tmp_path / "key").read_bytes() == b"precious"


def test_the_name_that_is_offered_is_free(tmp_path: Path) -> None:
    """So the command of the hint works as it stands."""
    for name in ("key", "key-2", "key-3.pub"):
        (tmp_path / name).touch()
    with pytest.raises(KeyExists) as error:
        store.write(tmp_path / "key", KEY, "a@b")
    store.write(Path(error.value.free), KEY, "a@b")
    assert error.value.free == str(tmp_path / "key-4")


def test_a_key_that_does_not_read_back(tmp_path: Path) -> None:
    """It is removed, and said: here the private file is of another key than the public one."""
    other = NewKey(make("ed25519").private, KEY.blob)
    with pytest.raises(KeyDiffers):
        store.write(tmp_path / "key", other, "a@b")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    """The reason is told, and nothing is left."""
    (tmp_path / "file").touch()
    with pytest.raises(CannotWrite, match="a file is where a folder is needed"):
        store.write(tmp_path / "file" / "key", KEY, "a@b")
    with pytest.raises(CannotWrite):
        store.write(tmp_path / ("x" * 252), KEY, "a@b")  # the private name fits, with `.pub` it does not
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_with_a_passphrase(tmp_path: Path) -> None:
    """It is read back with it."""
    store.write(tmp_path / "key", make("ed25519", "secret"), "a@b", "secret")
    assert public_blob(tmp_path / "key", "secret")
