"""Repositories the playground serves: a folder on disk, or a listing made up for a test.

A repository is a value; a `Shelf` looks at its folder and remembers the hashes it has computed.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

BLOCK_BYTES = 1 << 20
LFS_PATTERNS = ("*.bin", "*.safetensors", "*.model", "*.gguf", "*.pt", "*.pth", "*.onnx")


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a listing; `source` is where its bytes are, or None when it is only listed."""

    path: str
    size_bytes: int
    sha256: str
    git_sha1: str
    lfs: bool = False
    source: Path | None = None


@dataclass(frozen=True, slots=True)
class Repository:
    """A model's repository, the same at every hub that `ids` names.

    Attributes:
        ids: Hub id (`huggingface`, `modelscope`, `openxlab`) to the repository's name there.
        folder: The files, served as they are.
        overlays: Hub id to a folder whose files are added there, or stand in for those of the same
            path.
        gated: Files need a token; names and sizes do not.
        granted: With `gated`: whether the token's owner has been let in.
        private: Without a token it looks as if there were no such repository.
        disabled: Taken down by the hub.
        revisions: Names that exist besides the hub's default branch; all show the same files.
        lfs_threshold_bytes: Files longer than this are LFS, whatever their name.
        lfs_patterns: Files of these names are LFS, whatever their size.
        entries: Listed instead of what is on disk; bytes come from `Entry.source`, or from `folder`
            where there.
    """

    ids: Mapping[str, str]
    folder: Path
    overlays: Mapping[str, Path] = field(default_factory=dict)
    gated: bool = False
    granted: bool = True
    private: bool = False
    disabled: bool = False
    revisions: frozenset[str] = frozenset()
    lfs_threshold_bytes: int = 10 << 20
    lfs_patterns: tuple[str, ...] = LFS_PATTERNS
    entries: tuple[Entry, ...] | None = None

    def is_lfs(self, path: str, size_bytes: int) -> bool:
        """Tell whether the hubs keep this file's bytes at their CDN."""
        name = PurePosixPath(path).name
        return size_bytes > self.lfs_threshold_bytes or any(fnmatchcase(name, pattern) for pattern in self.lfs_patterns)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files of one repository at one hub, by path, and the commit that stands for them."""

    commit: str
    entries: Mapping[str, Entry]


@dataclass(frozen=True, slots=True)
class _Stamp:
    size_bytes: int
    mtime_ns: int


class Shelf:
    """One repository and its files' hashes, each computed once per size and time of change."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self._lock = threading.Lock()
        self._hashed: dict[Path, tuple[_Stamp, Entry]] = {}
        self._walked: dict[str, Snapshot] = {}

    def walk(self, hub: str) -> Snapshot:
        """Look at the folder now and return what is there."""
        with self._lock:
            made_up = self.repository.entries
            found = self._on_disk(hub) if made_up is None else (self._listed(e) for e in made_up)
            entries = {entry.path: entry for entry in found}
            previous = self._walked.get(hub)
            if previous is None or previous.entries != entries:
                self._walked[hub] = Snapshot(_commit_of(entries), entries)
            return self._walked[hub]

    def latest(self, hub: str) -> Snapshot:
        """Return what the last look saw; cheap enough to be asked for every file."""
        return self._walked.get(hub) or self.walk(hub)

    def find(self, hub: str, path: str) -> Entry | None:
        """Return one file, looked at again when it changed on disk since the last walk."""
        entry = self.latest(hub).entries.get(path)
        if self.repository.entries is None and (entry is None or self._is_stale(entry)):
            entry = self.walk(hub).entries.get(path)
        return entry

    def _is_stale(self, entry: Entry) -> bool:
        if entry.source is None:
            return False
        known = self._hashed.get(entry.source)
        try:
            return known is None or known[0] != _stamp(entry.source)
        except OSError:
            return True

    def _listed(self, entry: Entry) -> Entry:
        inside = PurePosixPath(entry.path)
        if entry.source is not None or inside.is_absolute() or ".." in inside.parts:
            return entry
        try:
            there = (self.repository.folder / entry.path).is_file()
        except (OSError, ValueError):
            return entry
        if not there:
            return entry
        source = self.repository.folder / entry.path
        size, lfs = entry.size_bytes, entry.lfs
        return Entry(entry.path, size, entry.sha256, entry.git_sha1, lfs, source)

    def _on_disk(self, hub: str) -> Iterator[Entry]:
        files: dict[str, Path] = {}
        for folder in filter(None, (self.repository.folder, self.repository.overlays.get(hub))):
            files |= {f.relative_to(folder).as_posix(): f for f in folder.rglob("*") if f.is_file()}
        for path in sorted(files):
            yield self._entry(path, files[path])

    def _entry(self, path: str, source: Path) -> Entry:
        stamp = _stamp(source)
        known = self._hashed.get(source)
        if known is None or known[0] != stamp:
            lfs = self.repository.is_lfs(path, stamp.size_bytes)
            known = (stamp, hash_file(path, source, lfs=lfs))
            self._hashed[source] = known
        return known[1]


def hash_file(path: str, source: Path, *, lfs: bool) -> Entry:
    """Read a file once and return its entry.

    Args:
        path: Its name in the repository.
        source: Where it is.
        lfs: Whether `git_sha1` is that of the LFS pointer (as the hubs list it) or of the content.
    """
    size_bytes = source.stat().st_size
    sha256 = hashlib.sha256()
    blob = hashlib.sha1(b"blob %d\0" % size_bytes, usedforsecurity=False)
    with source.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            sha256.update(block)
            if not lfs:
                blob.update(block)
    if lfs:
        pointer = (
            f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256.hexdigest()}\nsize {size_bytes}\n"
        ).encode()
        blob = hashlib.sha1(b"blob %d\0" % len(pointer) + pointer, usedforsecurity=False)
    return Entry(path, size_bytes, sha256.hexdigest(), blob.hexdigest(), lfs, source)


def _stamp(file: Path) -> _Stamp:
    status = file.stat()
    return _Stamp(status.st_size, status.st_mtime_ns)


def _commit_of(entries: Mapping[str, Entry]) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    for entry in entries.values():
        digest.update(f"{entry.path}\0{entry.git_sha1}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
