"""Writing whole files: all of it, or what was there before."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from internlm_setup.core.errors import ExitCode
from internlm_setup.core.files import (
    REASONS,
    CannotRead,
    CannotWrite,
    check_writable,
    reading,
    sync_folder,
    write_atomically,
    writing,
)
from internlm_setup.core.text import Text

resource = pytest.importorskip("resource")


@contextmanager
def files_at_most(count_bytes: int) -> Iterator[None]:
    """Let the system refuse larger files, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def lowest_free_descriptor() -> int:
    """Say which descriptor the next file gets."""
    fd = os.open(os.devnull, os.O_RDONLY)
    os.close(fd)
    return fd


def names_in(folder: Path) -> list[str]:
    """What lies there, hidden files too."""
    return sorted(p.name for p in folder.iterdir())


def test_new_file_in_a_new_folder(tmp_path: Path) -> None:
    """Missing folders are made, the content is whole, nothing else is left."""
    path = tmp_path / "a" / "b" / "模型.json"
    write_atomically(path, b"content")
    assert path.read_bytes() == b"content"
    assert names_in(path.parent) == ["模型.json"]


def test_replaces_and_sets_the_mode(tmp_path: Path) -> None:
    """An old file is replaced whole and gets the mode asked for."""
    path = tmp_path / "secret"
    path.write_bytes(b"an older and longer content")
    write_atomically(path, b"new", mode=0o600)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600


def test_readers_keep_what_they_opened(tmp_path: Path) -> None:
    """A reader that had the file open sees the old content to its end, never a mixture."""
    path = tmp_path / "file"
    path.write_bytes(b"old content")
    with path.open("rb") as reader:
        first = reader.read(4)
        write_atomically(path, b"NEW CONTENT")
        rest = reader.read()
    assert first + rest == b"old content"


def test_failure_half_way_keeps_the_old_file(tmp_path: Path) -> None:
    """When the system takes only part of the bytes, the old file stays and no rest lies about."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with files_at_most(1000), pytest.raises(CannotWrite) as caught:
        write_atomically(path, bytes(5000))
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["file"]
    assert caught.value.reason is REASONS[errno.EFBIG]
    assert caught.value.exit_code is ExitCode.WRITE


def test_folder_where_the_file_should_be(tmp_path: Path) -> None:
    """A folder in the way is named and left alone."""
    path = tmp_path / "place"
    (path / "inside").mkdir(parents=True)
    with pytest.raises(CannotWrite, match="a folder is where a file is needed"):
        write_atomically(path, b"x")
    assert names_in(tmp_path) == ["place"]
    assert names_in(path) == ["inside"]


def test_file_where_a_folder_should_be(tmp_path: Path) -> None:
    """A file on the way down is named as what it is, in both languages."""
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(CannotWrite) as caught:
        write_atomically(tmp_path / "file" / "below" / "name", b"x")
    assert caught.value.message() == f"cannot write `{tmp_path}/file/below/name`: a file is where a folder is needed"
    assert "需要文件夹的位置已有一个文件" in caught.value.message("zh")


def test_looked_at_before(tmp_path: Path) -> None:
    """A place that takes no file is found out without one; a good place stays as it was."""
    (tmp_path / "file").write_bytes(b"x")
    for name, reason in (("file/below/name", errno.ENOTDIR), ("", errno.EISDIR), ("n" * 300, errno.ENAMETOOLONG)):
        with pytest.raises(CannotWrite) as caught:
            check_writable(tmp_path / name)
        assert caught.value.reason is REASONS[reason]
    check_writable(tmp_path / "a" / "b" / "new")
    check_writable(tmp_path / "file")
    assert names_in(tmp_path) == ["file"]


def test_name_too_long(tmp_path: Path) -> None:
    """A name that the file system cannot hold is said to be that."""
    with pytest.raises(CannotWrite, match="the name is too long"):
        write_atomically(tmp_path / ("n" * 300), b"x")


def test_nothing_there(tmp_path: Path) -> None:
    """What is missing is said to be so in both languages."""
    with pytest.raises(CannotRead) as caught, reading(tmp_path / "none"):
        (tmp_path / "none").read_bytes()
    assert caught.value.message().endswith("no such file or folder")
    assert "没有此文件或目录" in caught.value.message("zh")


def test_unknown_reason_keeps_the_systems_words(tmp_path: Path) -> None:
    """An error we have no words for says what the system said."""
    with pytest.raises(CannotWrite) as caught, writing(tmp_path):
        raise OSError(errno.EIO, "Input/output error")
    assert caught.value.reason == Text(en="Input/output error", zh="Input/output error")
    with pytest.raises(CannotWrite, match="nothing but words"), writing(tmp_path):
        raise OSError("nothing but words")


def test_a_read_that_is_refused(tmp_path: Path) -> None:
    """A file that cannot be read is named, with the reason and exit code 66."""
    with pytest.raises(CannotRead) as caught, reading(tmp_path):
        tmp_path.read_bytes()
    assert caught.value.message() == f"cannot read `{tmp_path}`: a folder is where a file is needed"
    assert caught.value.exit_code is ExitCode.NOT_FOUND


def test_other_errors_pass(tmp_path: Path) -> None:
    """Only refusals of the system are turned into ours."""
    with pytest.raises(KeyError), writing(tmp_path):
        raise KeyError("x")


def test_interruption_leaves_nothing(tmp_path: Path) -> None:
    """Whatever stops the write, no temporary file stays behind."""
    with pytest.raises(TypeError):
        write_atomically(tmp_path / "file", "text, not bytes")  # type: ignore[arg-type]
    assert names_in(tmp_path) == []


def test_sync_of_a_folder_never_fails(tmp_path: Path) -> None:
    """A folder that cannot be opened or synced is not worth a failure, and no descriptor leaks."""
    before = lowest_free_descriptor()
    sync_folder(tmp_path)
    sync_folder(tmp_path / "gone")
    assert lowest_free_descriptor() == before
