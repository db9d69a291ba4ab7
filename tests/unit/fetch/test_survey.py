"""What is at the destination already, and what is done about it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from fakes import git_sha1, listed, put, sha256
from internlm_setup.fetch.model import RemoteFile
from internlm_setup.fetch.transfer.errors import FileDamaged, FileInTheWay
from internlm_setup.fetch.transfer.manifest import Entry
from internlm_setup.fetch.transfer.survey import Survey, refusal, same_content, survey

WANTED = b"what the hub has"
CHANGED = b"same length, no!"
FILE = listed("sub/a.bin", WANTED)
BY_GIT = RemoteFile("sub/a.bin", len(WANTED), git_sha1=git_sha1(WANTED))
UNHASHED = RemoteFile("sub/a.bin", len(WANTED))


def look(folder: Path, file: RemoteFile = FILE, known: Mapping[str, Entry] | None = None) -> Survey:
    """Survey one file."""
    return survey(folder, [file], known or {}, "one")


def touch(path: Path) -> None:
    """Give a file another modification time."""
    os.utime(path, ns=(1, 1))


def test_nothing_there(tmp_path: Path) -> None:
    """In an empty or missing folder everything is missing, and nothing is made."""
    assert look(tmp_path / "gone") == Survey((), (FILE,), ())
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize("file", [FILE, BY_GIT, UNHASHED, replace(UNHASHED, size_bytes=None)])
def test_unchanged_since_we_wrote_it(tmp_path: Path, file: RemoteFile) -> None:
    """A file with its recorded size and time is done as recorded, without being read."""
    entry = put(tmp_path, "sub/a.bin", WANTED)
    (tmp_path / "sub/a.bin").write_bytes(CHANGED)
    os.utime(tmp_path / "sub/a.bin", ns=(entry.mtime_ns, entry.mtime_ns))
    told: list[str] = []
    found = survey(tmp_path, [file], {entry.path: entry}, "one", checking=told.append)
    assert (found, told) == (Survey((entry,), (), ()), [])


@pytest.mark.parametrize(
    ("file", "proof"),
    [(FILE, "sha256"), (BY_GIT, "git-sha1"), (replace(FILE, git_sha1="0" * 40), "sha256")],
)
def test_touched_but_the_same(tmp_path: Path, file: RemoteFile, proof: str) -> None:
    """A file with another time is read; with the right bytes it is done, proved by the hub's hash."""
    old = put(tmp_path, "sub/a.bin", WANTED)
    touch(tmp_path / "sub/a.bin")
    told: list[str] = []
    found = survey(tmp_path, [file], {old.path: old}, "hub", checking=told.append)
    assert (found.missing, found.in_the_way, told) == ((), (), ["sub/a.bin"])
    (entry,) = found.done
    assert (entry.sha256, entry.git_sha1, entry.size_bytes) == (sha256(WANTED), git_sha1(WANTED), len(WANTED))
    assert (entry.proof, entry.proof_from, entry.source) == (proof, "hub", "disk")
    assert entry.unchanged(tmp_path)


def test_put_there_by_another_tool(tmp_path: Path) -> None:
    """A file that we have no record of is recognised by its bytes."""
    put(tmp_path, "sub/a.bin", WANTED)
    assert [e.path for e in look(tmp_path).done] == ["sub/a.bin"]


@pytest.mark.parametrize("data", [CHANGED, b"another length", b""])
def test_touched_and_different(tmp_path: Path, data: bytes) -> None:
    """A file that somebody changed is in the way: it is not ours to replace."""
    entry = put(tmp_path, "sub/a.bin", WANTED)
    (tmp_path / "sub/a.bin").write_bytes(data)
    touch(tmp_path / "sub/a.bin")
    assert look(tmp_path, known={entry.path: entry}) == Survey((), (), ("sub/a.bin",))
    assert look(tmp_path) == Survey((), (), ("sub/a.bin",))


def test_older_version_of_ours(tmp_path: Path) -> None:
    """A file as we wrote it, where the hub now has another, is fetched anew: nobody's work is lost."""
    entry = put(tmp_path, "sub/a.bin", CHANGED)
    assert look(tmp_path, known={entry.path: entry}) == Survey((), (FILE,), ())


@pytest.mark.parametrize("file", [UNHASHED, replace(FILE, size_bytes=None)])
def test_cannot_be_recognised(tmp_path: Path, file: RemoteFile) -> None:
    """Without a published hash or size, a file we have no record of is in the way, whatever it holds."""
    put(tmp_path, "sub/a.bin", WANTED)
    assert look(tmp_path, file).in_the_way == ("sub/a.bin",)


def a_folder(path: Path) -> None:
    """Make a folder."""
    path.mkdir()


def a_dangling_link(path: Path) -> None:
    """Make a link to nothing."""
    path.symlink_to("nothing")


def a_link_to_something_else(path: Path) -> None:
    """Make a link to a file with other bytes."""
    (path.parent / "other").write_bytes(CHANGED)
    path.symlink_to("other")


def a_link_in_a_circle(path: Path) -> None:
    """Make a link to itself."""
    path.symlink_to(path)


def a_pipe(path: Path) -> None:
    """Make a named pipe, which would never end when read."""
    os.mkfifo(path)


@pytest.mark.parametrize("make", [a_folder, a_dangling_link, a_link_to_something_else, a_link_in_a_circle, a_pipe])
def test_something_else_in_the_way(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """A folder, a link elsewhere or a pipe under the file's name is in the way."""
    (tmp_path / "sub").mkdir()
    make(tmp_path / "sub" / "a.bin")
    assert look(tmp_path) == Survey((), (), ("sub/a.bin",))


def test_link_to_the_same_bytes(tmp_path: Path) -> None:
    """A link to a file with the published bytes, as other tools' caches make them, is as good as the file."""
    put(tmp_path, "blob", WANTED)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.bin").symlink_to("../blob")
    assert [e.path for e in look(tmp_path).done] == ["sub/a.bin"]


def test_file_where_a_folder_is_needed(tmp_path: Path) -> None:
    """Below a file there is nothing: the entry is missing, and the store will name the file."""
    (tmp_path / "sub").write_bytes(b"a file")
    assert look(tmp_path) == Survey((), (FILE,), ())


def test_several_files_in_order(tmp_path: Path) -> None:
    """Each file has its own verdict, in the listing's order."""
    done = put(tmp_path, "done", WANTED)
    put(tmp_path, "blocked", CHANGED)
    files = [listed(path, WANTED) for path in ("blocked", "done", "gone")]
    found = survey(tmp_path, files, {"done": done}, "one")
    assert found == Survey((done,), (files[2],), ("blocked",))


def test_unlisted_files_are_left_alone(tmp_path: Path) -> None:
    """Files that are not the model's are not even looked at."""
    put(tmp_path, "mine.txt", b"mine")
    assert look(tmp_path) == Survey((), (FILE,), ())


def test_cancelled(tmp_path: Path) -> None:
    """A cancelled look never calls a half-read file done."""
    put(tmp_path, "sub/a.bin", WANTED)
    cancelled = threading.Event()
    cancelled.set()
    assert survey(tmp_path, [FILE], {}, "one", cancelled=cancelled).done == ()


RECORD = Entry("a", 3, "aa", "bb", 1, "sha256", "one", "one")


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (RemoteFile("a", 3, "aa"), True),
        (RemoteFile("a", 3, "xx"), False),
        (RemoteFile("a", 4, "aa"), False),
        (RemoteFile("a", None, "aa"), True),
        (RemoteFile("a", 3, None, "bb"), True),
        (RemoteFile("a", 3, None, "xx"), False),
        (RemoteFile("a", 3, "aa", "xx"), True),
        (RemoteFile("a", 3), True),
        (RemoteFile("a", 4), False),
        (RemoteFile("a", None), True),
    ],
)
def test_same_content(file: RemoteFile, expected: bool) -> None:
    """The sha256 decides, then git's hash, then the size, as far as the hub says."""
    assert same_content(RECORD, file) is expected


def test_record_without_gits_hash() -> None:
    """Where the hub has only git's hash and the record has none, the file is not called the same."""
    assert not same_content(replace(RECORD, git_sha1=None), RemoteFile("a", 3, None, "bb"))


def test_why_a_file_is_in_the_way(tmp_path: Path) -> None:
    """One that was fetched once can be repaired, and the command is named; one that never was ours is only named."""
    ours, foreign = refusal(tmp_path / "my model", "a.bin", {"a.bin"}), refusal(tmp_path, "b.bin", {"a.bin"})
    assert isinstance(ours, FileDamaged)
    assert ours.path == str(tmp_path / "my model" / "a.bin")
    assert ours.command == f"internlm-setup verify '{tmp_path}/my model' --repair"
    assert isinstance(foreign, FileInTheWay)
    assert foreign.path == str(tmp_path / "b.bin")
