"""Every write to a person's file, so that it can be taken back: byte for byte, or key by key if it was edited since.

A run writes all its files or none. One that was killed is looked after by the next: what it left half done is completed
or cleared away, and which files it wrote is noted.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from internlm_setup.core.clock import Clock
from internlm_setup.core.errors import SetupError
from internlm_setup.core.files import writing
from internlm_setup.core.text import Text
from internlm_setup.mirrors.errors import FileChanged, SnapshotLost, UnknownRecord
from internlm_setup.mirrors.ledger import Entry, Ledger, Touch, digest
from internlm_setup.mirrors.model import Change, Key, Syntax
from internlm_setup.mirrors.revert import Undone, key_by_key
from internlm_setup.mirrors.writing import Draft, data_of, followed, is_torn, look, missing_folders, overwrite

PATIENCE_S = 5.0
_UNKNOWN = Text(en="is not in the journal", zh="不在日志中")
_UNDONE = Text(en="was undone already", zh="已经撤销过")


@dataclass(frozen=True, slots=True)
class Written:
    """One file of a record: whose, where, and which keys."""

    tool: str
    path: Path
    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """One run that wrote; `at` is in seconds since 1970."""

    id: str
    at: float
    files: tuple[Written, ...]
    undone: bool


class Journal:
    """The writes to a person's files. Several processes may use one at once.

    Every method may raise `JournalBusy` when another run does not end, and `CannotWrite` or `CannotRead` for the
    folder.
    """

    def __init__(self, folder: Path, patience_s: float = PATIENCE_S) -> None:
        """Use a folder, which need not exist; wait so long for another run to end."""
        self._ledger = Ledger(folder, patience_s)

    def write(self, changes: Sequence[Change], clock: Clock) -> str | None:
        """Write all files or none; each may be named once.

        Returns:
            The id to undo it with; None when every file is as it should be already.

        Raises:
            FileChanged: A file is not what its change's `before` says; nothing was written.
            CannotWrite: A file cannot be written; nothing was.
        """
        if all(change.before == change.after for change in changes):
            return None
        with self._ledger.locked():
            entries = self._settled()
            steps = []
            for change in changes:
                draft = _draft(change.path, change.after)
                if data_of(draft.before) == change.after:
                    continue
                if data_of(draft.before) != change.before:
                    raise FileChanged(str(change.path))
                keys = tuple(key for key, _, _ in change.edits)
                steps.append((_touch(change.tool, change.path, draft, keys, missing_folders(draft.file)), draft))
            return self._apply(entries, clock.now(), None, steps) if steps else None

    def records(self) -> list[Record]:
        """Return every run that wrote something, newest first; undone ones too."""
        entries = self._ledger.read()
        if any(entry.written is None for entry in entries):
            with self._ledger.locked():
                entries = self._settled()
        return _records(entries)

    def undo(self, record_id: str | None, syntax_of: Callable[[str, Path], Syntax]) -> list[Undone]:
        """Take a run back: all of its files or none.

        Args:
            record_id: None for the newest that is not undone.
            syntax_of: Gives the format of a tool's file.

        Returns:
            What became of each file; empty when there is nothing left to undo.

        Raises:
            UnknownRecord: There is none of this id, or it was undone already.
            FileUnparseable: A file was edited since and cannot be parsed now; nothing was written.
            FileChanged: A file was written to meanwhile; nothing was written.
            CannotWrite: A file cannot be written; nothing was.
            SnapshotLost: The copy of a file is damaged; nothing was written.
        """
        if _chosen(self.records(), record_id) is None:
            return []
        with self._ledger.locked():
            entries = self._settled()
            record = _chosen(_records(entries), record_id)
            if record is None:
                return []
            made = _made(entries)
            told, steps = [], []
            entry = next(entry for entry in entries if entry.id == record.id)
            for touch in [entry.touches[number] for number in reversed(entry.written or ())]:
                undone, draft = self._reverted(touch, _newer(entries, record, touch), made, syntax_of)
                told.append(undone)
                if data_of(draft.before) != draft.after:
                    folders = [f for f in draft.file.parents if draft.after is None and f in made]
                    steps.append((_touch(touch.tool, undone.path, draft, touch.keys, folders), draft))
            self._apply(entries, None, entry.id, steps)
        return told

    def _reverted(
        self, touch: Touch, newer: str | None, made: set[Path], syntax_of: Callable[[str, Path], Syntax]
    ) -> tuple[Undone, Draft]:
        path = Path(touch.path)
        draft = _draft(path, self._ledger.content(touch.before), touch.mode)
        now = data_of(draft.before)
        if newer is None and digest(now) in {touch.before, touch.after}:
            return Undone(path, "removed" if draft.after is None else "exact"), draft
        if now is None:
            return Undone(path, "gone"), replace(draft, after=None)
        ours = self._ledger.content(touch.after)
        found = key_by_key(path, syntax_of(touch.tool, path), touch.keys, draft.after, ours, now)
        after = None if draft.file in made and not found.data.strip() else found.data
        return Undone(path, "keys", found.put_back, found.left, newer), replace(draft, after=after)

    def _apply(
        self, entries: list[Entry], at: float | None, undoes: str | None, steps: Sequence[tuple[Touch, Draft]]
    ) -> str:
        name = str(1 + max((int(entry.id) for entry in entries), default=0))
        entry = Entry(name, at, undoes, tuple(touch for touch, _ in steps))
        drafts = [draft for _, draft in steps]
        for draft in drafts:
            self._ledger.keep(data_of(draft.before))
            self._ledger.keep(draft.after)
        self._ledger.begin(entry)
        try:
            for draft in drafts:
                draft.stage()
            for number, draft in enumerate(drafts):
                draft.commit(partial(self._ledger.note_in_place, entry, number))
            for touch in entry.touches:
                _sweep(touch)
            self._ledger.end(entry, range(len(drafts)))
        except BaseException:
            with suppress(SetupError):  # then the next run looks after it
                self._put_back(entry, drafts)
            raise
        return name

    def _put_back(self, entry: Entry, drafts: Sequence[Draft]) -> None:
        for number, draft in reversed(list(enumerate(drafts))):
            if data_of(look(draft.file)) == draft.after:
                turned = draft.turned()
                turned.stage()
                turned.commit(partial(self._ledger.note_in_place, entry, number))
        self._settle(entry)

    def _settled(self) -> list[Entry]:
        entries = self._ledger.read()
        for entry in entries:
            if entry.written is None:
                self._settle(entry)
        return entries

    def _settle(self, entry: Entry) -> None:
        """Find out what a run that did not end has written, mend what it tore, and clear away its temporary files."""
        written = [number for number, touch in enumerate(entry.touches) if self._was_written(entry, number, touch)]
        for touch in entry.touches:
            with suppress(OSError):
                Path(touch.spare).unlink(missing_ok=True)
            _sweep(touch)
        self._ledger.end(entry, written)

    def _was_written(self, entry: Entry, number: int, touch: Touch) -> bool:
        try:
            now = data_of(look(Path(touch.file)))
        except SetupError:  # it cannot be read any more: an undo will say so
            return True
        if now is not None and number in entry.in_place:
            self._mend(touch, now)
        return digest(now) != touch.before

    def _mend(self, touch: Touch, now: bytes) -> None:
        with suppress(SnapshotLost):
            before, after = (self._ledger.content(name) or b"" for name in (touch.before, touch.after))
            if is_torn(now, before, after):
                with writing(Path(touch.file)):
                    overwrite(Path(touch.file), now, after)


def _records(entries: Sequence[Entry]) -> list[Record]:
    undone = {entry.undoes for entry in entries if len(entry.written or ()) == len(entry.touches)}
    return [
        Record(entry.id, entry.at or 0.0, tuple(_written(entry)), entry.id in undone)
        for entry in reversed(entries)
        if entry.written and entry.undoes is None
    ]


def _written(entry: Entry) -> Iterator[Written]:
    for number in entry.written or ():
        touch = entry.touches[number]
        yield Written(touch.tool, Path(touch.path), touch.keys)


def _chosen(records: Sequence[Record], record_id: str | None) -> Record | None:
    live = [record for record in records if not record.undone]
    if record_id is None:
        return live[0] if live else None
    for record in live:
        if record.id == record_id:
            return record
    reason = _UNDONE if any(record.id == record_id for record in records) else _UNKNOWN
    raise UnknownRecord(record_id, reason, ", ".join(record.id for record in live) or "-")


def _newer(entries: Sequence[Entry], record: Record, touch: Touch) -> str | None:
    """Return the newest change after a record that is in force in the same file."""
    live = {later.id for later in _records(entries) if not later.undone and int(later.id) > int(record.id)}
    for entry in reversed(entries):
        if entry.id in live and any(entry.touches[number].file == touch.file for number in entry.written or ()):
            return entry.id
    return None


def _made(entries: Sequence[Entry]) -> set[Path]:
    """Return every file and folder that was not there before one of our runs."""
    touches = [touch for entry in entries if entry.undoes is None for touch in entry.touches]
    files = [touch.file for touch in touches if touch.before is None]
    return set(map(Path, [*files, *(folder for touch in touches for folder in touch.folders)]))


def _draft(path: Path, after: bytes | None, mode: int | None = None) -> Draft:
    file = followed(path)
    return Draft(file, look(file), after, mode, file.with_name(f".{file.name}.{secrets.token_hex(4)}"))


def _touch(tool: str, path: Path, draft: Draft, keys: tuple[Key, ...], folders: Sequence[Path]) -> Touch:
    return Touch(
        tool=tool,
        path=str(path),
        file=str(draft.file),
        before=digest(data_of(draft.before)),
        after=digest(draft.after),
        mode=draft.before.mode if draft.before else None,
        keys=keys,
        folders=tuple(map(str, folders)),
        spare=str(draft.spare),
    )


def _sweep(touch: Touch) -> None:
    """Remove the folders of a file that is not there, as far as they are empty."""
    for folder in touch.folders:
        with suppress(OSError):
            Path(folder).rmdir()
