"""What is already at the destination: finished, partial, missing, or something else in the way. Writes nothing."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from internlm_setup.core.errors import WriteError
from internlm_setup.fetch.model import RemoteFile
from internlm_setup.fetch.transfer.errors import FileDamaged, FileInTheWay
from internlm_setup.fetch.transfer.manifest import Entry
from internlm_setup.fetch.transfer.verify import Digest, hash_file, judge, wants_git


@dataclass(frozen=True, slots=True)
class Survey:
    """The state of each selected file.

    Attributes:
        done: Verified files, with their record.
        missing: Files to fetch; those that replace an older version of ours included.
        in_the_way: Paths of files that are neither ours nor what the hub has.
    """

    done: tuple[Entry, ...]
    missing: tuple[RemoteFile, ...]
    in_the_way: tuple[str, ...]


def survey(
    folder: Path,
    files: Sequence[RemoteFile],
    known: Mapping[str, Entry],
    hub: str,
    *,
    cancelled: threading.Event | None = None,
    checking: Callable[[str], None] | None = None,
) -> Survey:
    """Compare the destination with what a hub has.

    A file whose size and modification time are the recorded ones is not read again; any other existing file of the
    right size is hashed, `checking` being told its path first.
    """
    done: list[Entry] = []
    missing: list[RemoteFile] = []
    blocked: list[str] = []
    for file in files:
        entry = known.get(file.path)
        path = folder / file.path
        if entry is not None and entry.unchanged(folder):
            if same_content(entry, file):
                done.append(entry)
            else:
                missing.append(file)
        elif not path.exists() and not path.is_symlink():
            missing.append(file)
        else:
            found = _recognise(path, file, hub, cancelled, checking)
            if found is None:
                blocked.append(file.path)
            else:
                done.append(found)
    return Survey(tuple(done), tuple(missing), tuple(blocked))


def refusal(folder: Path, path: str, known: Container[str]) -> WriteError:
    """Say why a file in the way is not replaced: it was fetched and has changed since, or it never was ours."""
    if path not in known:
        return FileInTheWay(str(folder / path))
    return FileDamaged(str(folder / path), shlex.join(["internlm-setup", "verify", str(folder), "--repair"]))


def still_true(entries: Mapping[str, Entry], files: Sequence[RemoteFile], folder: Path) -> tuple[Entry, ...]:
    """Return the records that hold now, in path order: unchanged on disk, and of what a hub lists."""
    listed = {f.path: f for f in files}
    return tuple(
        entry
        for path, entry in sorted(entries.items())
        if path in listed and entry.unchanged(folder) and same_content(entry, listed[path])
    )


def same_content(entry: Entry, file: RemoteFile) -> bool:
    """Say whether a recorded file is what a hub lists; by size alone only where the hub publishes no hash."""
    if file.size_bytes is not None and entry.size_bytes != file.size_bytes:
        return False
    if file.sha256 is not None:
        return entry.sha256 == file.sha256
    return file.git_sha1 is None or entry.git_sha1 == file.git_sha1


def _recognise(
    path: Path,
    file: RemoteFile,
    hub: str,
    cancelled: threading.Event | None,
    checking: Callable[[str], None] | None,
) -> Entry | None:
    """Return a record of a file that some other tool put there, if its bytes are the published ones."""
    if not path.is_file() or path.stat().st_size != file.size_bytes:
        return None
    if file.sha256 is None and file.git_sha1 is None:
        return None
    if checking is not None:
        checking(file.path)
    stat = path.stat()
    try:
        digest: Digest = hash_file(path, git=wants_git(stat.st_size, file.sha256), cancelled=cancelled)
    except OSError:  # not ours to read, so not ours to replace
        return None
    good, proof = judge(digest, file.sha256, file.git_sha1)
    if not good:
        return None
    return Entry(
        path=file.path,
        size_bytes=stat.st_size,
        sha256=digest.sha256,
        git_sha1=digest.git_sha1,
        mtime_ns=stat.st_mtime_ns,
        proof=proof,
        proof_from=hub,
        source="disk",
    )
