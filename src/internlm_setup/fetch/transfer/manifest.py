"""The record of what is in a folder: `manifest.json`, `SHA256SUMS`, and `finished.jsonl` while a run is under way.

`finished.jsonl` gains one line a verified file, so that a killed run never hashes a finished file again; a run that
ends well folds it into the manifest.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO, get_args

from internlm_setup.core.files import write_if_changed, writing
from internlm_setup.fetch.model import Proof
from internlm_setup.fetch.transfer import prefixes
from internlm_setup.fetch.transfer.errors import BadManifest

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One verified file as it was when it was put in place.

    `proof` names the published hash it was checked against and `proof_from` whose it was; `source` sent the bytes that
    came in this run, who sent most first where there are several, with a comma between.
    """

    path: str
    size_bytes: int
    sha256: str
    git_sha1: str | None
    mtime_ns: int
    proof: Proof
    proof_from: str | None
    source: str

    def unchanged(self, folder: Path) -> bool:
        """Say whether size and modification time on disk are still the recorded ones."""
        try:
            found = (folder / self.path).stat()
        except OSError:
            return False
        return found.st_size == self.size_bytes and found.st_mtime_ns == self.mtime_ns


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a folder holds and where it came from."""

    model: str
    hub: str
    repo: str
    revision: str
    commit: str | None
    files: tuple[Entry, ...]


_KINDS: Mapping[object, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "str | None": (str, type(None)),
    "Proof": (str,),
}


def _told(kind: type[Entry | Manifest], value: object) -> dict[str, Any]:
    """Return a record's own fields from JSON, each of the type that the class gives it."""
    if not isinstance(value, Mapping):
        raise TypeError("a record is not an object")
    told = {f.name: (value[f.name], _KINDS[f.type]) for f in fields(kind) if f.type in _KINDS}
    for name, (given, allowed) in told.items():
        if type(given) not in allowed or (name == "proof" and given not in get_args(Proof)):
            raise TypeError(f"`{name}` cannot be {given!r}")
    return {name: given for name, (given, _) in told.items()}


def _entry(value: object) -> Entry:
    return Entry(**_told(Entry, value))


def _manifest(value: Any) -> Manifest:
    if value["schema"] != SCHEMA:
        raise ValueError(f"schema {value['schema']!r} is not known here")
    return Manifest(**_told(Manifest, value), files=tuple(_entry(e) for e in value["files"]))


def read_manifest(state: Path) -> Manifest | None:
    """Read a folder's manifest, or None when there is none.

    Raises:
        BadManifest: It is there and is not a manifest.
    """
    path = state / "manifest.json"
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return _manifest(value)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadManifest(str(path), f"{type(error).__name__}: {error}") from error


def write_manifest(state: Path, manifest: Manifest) -> None:
    """Write `manifest.json` and `SHA256SUMS` (to be checked from the folder itself), then drop what they replace."""
    value = {"schema": SCHEMA, **asdict(manifest)}
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    write_if_changed(state / "manifest.json", text.encode())
    sums = "".join(f"{e.sha256}  {e.path}\n" for e in manifest.files)
    write_if_changed(state / "SHA256SUMS", sums.encode())
    (state / "finished.jsonl").unlink(missing_ok=True)
    prefixes.prune(state, {e.sha256 for e in manifest.files})


class Finished:
    """The verified files of this run and of earlier ones that were cut off."""

    def __init__(self, state: Path, known: Iterable[Entry]) -> None:
        """Start from the manifest's entries and whatever `finished.jsonl` adds.

        A torn line is ignored, and so is one whose file is not there as recorded: it may have been killed before it
        got its name, and the manifest's record of the older file still holds.
        """
        self._path = state / "finished.jsonl"
        self._lock = threading.Lock()
        self._torn = False
        self._file: BinaryIO | None = None
        self.entries: dict[str, Entry] = {e.path: e for e in known}
        if self._path.exists():
            text = self._path.read_text(encoding="utf-8", errors="replace")
            self._torn = not text.endswith("\n")
            for line in text.split("\n"):
                try:
                    entry = _entry(json.loads(line))
                    is_there = entry.unchanged(state.parent)
                except (ValueError, KeyError, TypeError):
                    continue
                if is_there:
                    self.entries[entry.path] = entry

    def add(self, entry: Entry) -> None:
        """Record a file that is in place."""
        line = json.dumps(asdict(entry), ensure_ascii=False) + "\n"
        with self._lock, writing(self._path):
            self.entries[entry.path] = entry
            if self._file is None:
                self._file = self._path.open("ab")
            self._file.write(("\n" + line if self._torn else line).encode())  # a torn line must not swallow this one
            self._file.flush()
            self._torn = False
            if entry.proof == "none":  # no hash could ever recognise the file again
                os.fsync(self._file.fileno())

    def close(self) -> None:
        """Let go of the file; what was recorded stays."""
        with self._lock, writing(self._path):
            if self._file is not None:
                self._file.close()
                self._file = None
