"""Lock files: which bytes a fetch brought, and which hubs had them, so that another one brings exactly these.

A lock holds names, commits, sizes and hashes; no address and no token. What it says is checked like a hub's listing:
it may come from anybody.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from internlm_setup.core.files import check_writable, reading, write_if_changed
from internlm_setup.core.text import Text
from internlm_setup.fetch.catalog import Wanted
from internlm_setup.fetch.model import RemoteFile, Snapshot
from internlm_setup.fetch.names import EITHER, PART
from internlm_setup.fetch.source_errors import BadLock, NoLock, OtherLock
from internlm_setup.fetch.transfer.errors import HostileListing
from internlm_setup.fetch.transfer.plan import check_listing

SCHEMA = 1
_HUB = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_HOSTILE = Text(en="`{entry}`: {reason}", zh="`{entry}`：{reason}")
_NOT_JSON = Text(en="it is not JSON", zh="内容不是 JSON")
_OTHER_FORMAT = Text(
    en="its format is version {schema}, and this program reads version {ours}",
    zh="它的格式版本是 {schema}，本程序可读的是版本 {ours}",
)
_WRONG_FIELD = Text(en="its field `{field}` is missing or wrong", zh="字段 `{field}` 缺失或有误")


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
        BadLock: It is no lock, or it names a file or a folder that may not be written.
    """
    if not path.exists():
        raise NoLock(str(path))
    with reading(path):
        data = path.read_bytes()
    try:
        lock = _lock(data)
        check_listing(str(path), lock.files)
        for name in (name for each in lock.hubs for name in (each.revision, each.commit) if name):
            check_listing(str(path), [RemoteFile(name, None)])  # a folder may be named by it
    except _Fault as fault:
        raise BadLock(str(path), fault.reason) from fault
    except HostileListing as hostile:  # said by a file, and no hub is to blame
        raise BadLock(str(path), _HOSTILE.fill(entry=hostile.entry, reason=hostile.reason)) from hostile
    return lock


def check_place(path: Path, wanted: Wanted) -> None:
    """Say before a fetch whether its lock may be written: not over the lock of another model, nor over anything else.

    Raises:
        OtherLock, BadLock, CannotRead, CannotWrite: As they say.
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


class _Fault(ValueError):
    """Why a value is no lock."""

    def __init__(self, reason: Text) -> None:
        self.reason = reason


def _lock(data: bytes) -> Lock:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _Fault(_NOT_JSON) from error
    schema = _field(value, "", "schema", int)
    if schema != SCHEMA:
        raise _Fault(_OTHER_FORMAT.fill(schema=schema, ours=SCHEMA))
    model = _field(value, "", "model", str, PART)
    hubs = tuple(_hub(each, f"hubs[{n}].") for n, each in enumerate(_field(value, "", "hubs", list)))
    files = tuple(_file(each, f"files[{n}].") for n, each in enumerate(_field(value, "", "files", list)))
    return Lock(model, hubs, tuple(sorted(files, key=lambda f: f.path)))


def _hub(value: object, at: str) -> LockedHub:
    return LockedHub(
        _field(value, at, "hub", str, _HUB),
        _field(value, at, "repo", str, EITHER),
        _field(value, at, "revision", str),
        _field(value, at, "commit", str, nullable=True),
    )


def _file(value: object, at: str) -> RemoteFile:
    """Read one file; `check_listing` looks at the values, except for what a listing may leave out."""
    return RemoteFile(
        _field(value, at, "path", str),
        _field(value, at, "size_bytes", int),
        _field(value, at, "sha256", str, _SHA256),
        _field(value, at, "git_sha1", str, nullable=True),
    )


def _field(
    value: object, at: str, name: str, kind: type, pattern: re.Pattern[str] | None = None, *, nullable: bool = False
) -> Any:
    """Return a field of exactly this kind; text fits the pattern, and a list is not empty."""
    found: Any = value.get(name) if isinstance(value, dict) else None
    if found is None and nullable:
        return None
    fits = type(found) is kind and found != []
    if not fits or (pattern and not pattern.fullmatch(found)):
        raise _Fault(_WRONG_FIELD.fill(field=at + name))
    return found
