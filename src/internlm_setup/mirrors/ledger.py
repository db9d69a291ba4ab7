"""What the journal is kept in: `journal.jsonl`, one fact a line, and a copy of every content before and after a write.

A line is synced before what it announces is done. A line that was cut off, or is not ours, counts for nothing.
Nothing is ever removed: the copies of a file's first state above all. Copies hold passwords that stand in addresses,
so all of it is for the owner alone.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from internlm_setup.core.files import reading, sync_folder, write_if_changed, writing
from internlm_setup.mirrors.errors import JournalBusy, SnapshotLost
from internlm_setup.mirrors.model import Key


@dataclass(frozen=True, slots=True)
class Touch:
    """One file of an entry.

    Attributes:
        tool: The target's id.
        path: The path that was chosen.
        file: Where it led, links followed.
        before: The sha256 of the bytes before; None for no file.
        after: The same for the bytes to write.
        mode: The permission bits before; None for no file.
        keys: The keys that differ.
        folders: What to remove when the file is not there and they are empty, deepest first.
        spare: The temporary file.
    """

    tool: str
    path: str
    file: str
    before: str | None
    after: str | None
    mode: int | None
    keys: tuple[Key, ...]
    folders: tuple[str, ...]
    spare: str


@dataclass(slots=True)
class Entry:
    """One run that wrote, or began to.

    Attributes:
        id: Counted from 1.
        at: Seconds since 1970; None for an undo.
        undoes: The id of the entry that this one undoes.
        touches: The files, in the order they are written.
        in_place: Numbers of the files that were about to be written in place.
        written: Numbers of the files that were written; None while the run is not over.
    """

    id: str
    at: float | None
    undoes: str | None
    touches: tuple[Touch, ...]
    in_place: set[int] = field(default_factory=set)
    written: tuple[int, ...] | None = None


def digest(data: bytes | None) -> str | None:
    """Return the name of a content; None for no file."""
    return None if data is None else hashlib.sha256(data).hexdigest()


class Ledger:
    """The folder of the journal; it is made by the first write."""

    def __init__(self, folder: Path, patience_s: float) -> None:
        self._folder = folder
        self._lines = folder / "journal.jsonl"
        self._patience_s = patience_s

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs out; wait for one that is writing.

        Raises:
            JournalBusy: It did not end in time.
            CannotWrite: The folder cannot be made.
        """
        import filelock

        lock = filelock.FileLock(self._folder / "lock", mode=0o600)
        with writing(self._folder):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=self._patience_s)
            except filelock.Timeout as error:  # an OSError too, so it must be caught first
                raise JournalBusy(str(self._folder)) from error
        try:
            yield
        finally:
            lock.release()

    def read(self) -> list[Entry]:
        """Return every entry, oldest first.

        Raises:
            CannotRead: The journal is there and may not be read.
        """
        with reading(self._lines):
            try:
                lines = self._lines.read_bytes().split(b"\n")
            except FileNotFoundError:
                return []
        entries: dict[str, Entry] = {}
        for line in lines:
            try:
                _take(json.loads(line), entries)
            except (ValueError, TypeError, KeyError, AttributeError):
                continue
        return list(entries.values())

    def begin(self, entry: Entry) -> None:
        """Note what is about to be written."""
        told = {"id": entry.id, "at": entry.at, "undoes": entry.undoes}
        self._append({"begin": {**told, "touches": [asdict(touch) for touch in entry.touches]}})

    def note_in_place(self, entry: Entry, number: int) -> None:
        """Note that a file is about to be written in place."""
        self._append({"in_place": number, "of": entry.id})
        entry.in_place.add(number)

    def end(self, entry: Entry, written: Sequence[int]) -> None:
        """Note what was written."""
        self._append({"end": list(written), "of": entry.id})
        entry.written = tuple(written)

    def keep(self, data: bytes | None) -> str | None:
        """Keep a copy of a content and return its name."""
        name = digest(data)
        if data is not None and name is not None:
            with writing(self._folder):
                self._copy(name).parent.mkdir(mode=0o700, exist_ok=True)
            write_if_changed(self._copy(name), data, mode=0o600)
        return name

    def content(self, name: str | None) -> bytes | None:
        """Return a content that was kept.

        Raises:
            SnapshotLost: The copy is not what it should be.
        """
        if name is None:
            return None
        try:
            data = self._copy(name).read_bytes()
        except OSError as error:
            raise SnapshotLost(str(self._copy(name))) from error
        if digest(data) != name:
            raise SnapshotLost(str(self._copy(name)))
        return data

    def _copy(self, name: str) -> Path:
        return self._folder / "copies" / name

    def _append(self, fact: object) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        with writing(self._lines), os.fdopen(os.open(self._lines, flags, 0o600), "r+b", buffering=0) as file:
            length = file.seek(0, os.SEEK_END)
            cut_off = length > 0 and (file.seek(length - 1), file.read(1))[1] != b"\n"
            file.write(b"\n" * cut_off + json.dumps(fact).encode() + b"\n")  # ASCII: a path may be no valid UTF-8
            os.fsync(file.fileno())
            if not length:
                sync_folder(self._folder)


def _take(fact: dict[str, object], entries: dict[str, Entry]) -> None:
    match fact:
        case {
            "begin": {"id": str(name), "at": float() | int() | None as at, "undoes": undoes, "touches": [*touches]}
        } if name.isdigit():
            entries[name] = Entry(name, at, undoes and str(undoes), tuple(_touch(**touch) for touch in touches))
        case {"in_place": int(number), "of": str(name)}:
            entries[name].in_place.add(number)
        case {"end": [*written], "of": str(name)}:
            entry = entries[name]
            entry.written = tuple(number for number in range(len(entry.touches)) if number in written)
        case _:  # not ours
            pass


def _touch(keys: Sequence[Sequence[str]], folders: Sequence[str], **rest: object) -> Touch:
    return Touch(**rest, keys=tuple(map(tuple, keys)), folders=tuple(folders))  # type: ignore[arg-type]
