"""Lock files: which bytes a fetch brought, and which hubs had them, so that another one brings exactly these.

A lock holds names, commits, sizes and hashes; no address and no token. What it says is checked like a hub's listing:
it may come from anybody.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from internlm_setup.core.files import check_writable, reading, write_if_changed
from internlm_setup.fetch.catalog import Wanted
from internlm_setup.fetch.model import RemoteFile, Snapshot
from internlm_setup.fetch.names import EITHER, PART
from internlm_setup.fetch.source_errors import BadLock, NoLock, OtherLock
from internlm_setup.fetch.transfer.plan import check_listing

SCHEMA = 1
_HUB = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ANY = re.compile(r".*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class LockedHub:
    """A hub that had bytes of the lock, and what to ask it for."""

    hub: str
    repo: str
    revision: str
    commit: str | None

    @classmethod
    def of(cls, snapshot: Snapshot) -> LockedHub:
        """Return what names a listing."""
        return cls(snapshot.hub, snapshot.repo, snapshot.revision, snapshot.commit)


@dataclass(frozen=True, slots=True)
class Lock:
    """What a lock file says.

    Attributes:
        model: The short name.
        hubs: At least one; the first defined the version.
        files: Every file with size and sha256, in path order.
    """

    model: str
    hubs: tuple[LockedHub, ...]
    files: tuple[RemoteFile, ...]

    @property
    def wanted(self) -> Wanted:
        """Return the model and its repository at each hub of the lock."""
        return Wanted(self.model, {each.hub: each.repo for each in self.hubs})

    @property
    def snapshot(self) -> Snapshot:
        """Return its files as the first hub listed them."""
        first = self.hubs[0]
        return Snapshot(first.hub, first.repo, first.revision, first.commit, self.files)


def read(path: Path) -> Lock:
    """Read a lock file.

    Raises:
        NoLock: It is not there.
        CannotRead: The system refused.
        BadLock: It is no lock.
        HostileListing: It names a file or a folder that may not be written.
    """
    if not path.exists():
        raise NoLock(str(path))
    with reading(path):
        data = path.read_bytes()
    try:
        lock = _lock(json.loads(data))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadLock(str(path), f"{type(error).__name__}: {error}"[:200]) from error
    check_listing(str(path), lock.files)
    for name in (name for each in lock.hubs for name in (each.revision, each.commit) if name):
        check_listing(str(path), [RemoteFile(name, None)])  # a folder may be named by it
    return lock


def check_place(path: Path, wanted: Wanted) -> None:
    """Say before a fetch whether its lock may be written: not over the lock of another model, nor over anything else.

    Raises:
        OtherLock, BadLock, HostileListing, CannotRead, CannotWrite: As they say.
    """
    check_writable(path)
    if not path.exists():
        return
    there = read(path)
    if not any(wanted.ids.get(each.hub) == each.repo for each in there.hubs):
        raise OtherLock(str(path), there.model, wanted.name)


def write(path: Path, lock: Lock) -> None:
    """Write a lock file; the same lock always has the same bytes.

    Raises:
        CannotWrite: The system refused.
    """
    files = [
        {"path": f.path, "size_bytes": f.size_bytes, "sha256": f.sha256, "git_sha1": f.git_sha1} for f in lock.files
    ]
    value = {"schema": SCHEMA, "model": lock.model, "hubs": [asdict(each) for each in lock.hubs], "files": files}
    write_if_changed(path, (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode())


def _lock(value: Any) -> Lock:
    if value["schema"] != SCHEMA:
        raise ValueError(f"schema {value['schema']!r} is not known here")
    hubs = tuple(_hub(each) for each in _listed(value["hubs"]))
    files = tuple(_file(each) for each in _listed(value["files"]))
    return Lock(_matching(PART, value["model"]), hubs, tuple(sorted(files, key=lambda f: f.path)))


def _hub(value: Mapping[str, Any]) -> LockedHub:
    commit = value["commit"]
    return LockedHub(
        _matching(_HUB, value["hub"]),
        _matching(EITHER, value["repo"]),
        _matching(_ANY, value["revision"]),
        None if commit is None else _matching(_ANY, commit),
    )


def _file(value: Mapping[str, Any]) -> RemoteFile:
    """Read one file; `check_listing` looks at the values, except for what a listing may leave out."""
    path, size_bytes = value["path"], value["size_bytes"]
    if not isinstance(path, str) or type(size_bytes) is not int:
        raise TypeError("a file needs a path and a size")
    return RemoteFile(path, size_bytes, _matching(_SHA256, value["sha256"]), value["git_sha1"])


def _listed(value: object) -> Sequence[Any]:
    if not isinstance(value, list) or not value:
        raise TypeError("a list is missing or empty")
    return value


def _matching(pattern: re.Pattern[str], value: object) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{value!r} cannot be used")
    return value
