"""The piece journal: which spans of one partial file are on disk, surviving a kill at any byte.

One header line of JSON (what the partial is of, and which boot wrote it), then fixed-size records, each with its own
checksum; whatever follows the first bad record is ignored. A span is recorded only after its bytes were written, so a
killed process loses nothing that is recorded. A power cut can lose bytes that were written but not yet synced: after a
changed boot id only the records that a checkpoint covers count. A checkpoint is written after an fsync and covers the
records that were there when that fsync began, so that pieces may go on arriving meanwhile.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from internlm_setup.core.files import write_atomically
from internlm_setup.fetch.transfer.spans import Span, Spans

_RECORD = struct.Struct("<cQQ")
_CHECK = struct.Struct("<I")
RECORD_BYTES = _RECORD.size + _CHECK.size
_SPAN, _CHECKPOINT = b"S", b"C"
COMPACT_AFTER_RECORDS = 20_000
VERSION = 2  # in 1, a checkpoint covered everything before it


def boot_id() -> str:
    """Name this boot of the machine; empty where the system does not say (then every boot looks the same).

    Source:
        random(4), `/proc/sys/kernel/random/boot_id`, read 2026-11.
    """
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _record(kind: bytes, start: int = 0, end: int = 0) -> bytes:
    body = _RECORD.pack(kind, start, end)
    return body + _CHECK.pack(zlib.crc32(body))


def _head(identity: str, boot: str) -> bytes:
    return json.dumps({"journal": VERSION, "of": identity, "boot": boot}).encode() + b"\n"


def encode(identity: str, boot: str, synced: Iterable[Span], unsynced: Iterable[Span] = ()) -> bytes:
    """Return a whole journal; a checkpoint covers `synced`."""
    covered = [_record(_SPAN, a, b) for a, b in synced]
    later = [_record(_SPAN, a, b) for a, b in unsynced]
    return _head(identity, boot) + b"".join([*covered, _record(_CHECKPOINT, len(covered)), *later])


@dataclass(frozen=True, slots=True)
class Vouched:
    """What a journal vouches for: `spans` in this boot of the machine, and of these `synced` after a power cut."""

    spans: Spans
    synced: Spans


def read(data: bytes, identity: str, boot: str) -> Vouched:
    """Read a journal; it vouches for nothing when it is of something else or its head is damaged.

    After another boot than the one that wrote it, `spans` are the synced ones.
    """
    head, _, rest = data.partition(b"\n")
    try:
        known = json.loads(head)
        same_boot = known["boot"] == boot
        if known["journal"] != VERSION or known["of"] != identity:
            return Vouched(Spans(), Spans())
    except (ValueError, KeyError, TypeError):
        return Vouched(Spans(), Spans())
    spans: list[Span] = []
    covered = records = 0
    for offset in range(0, len(rest) - RECORD_BYTES + 1, RECORD_BYTES):
        body = rest[offset : offset + _RECORD.size]
        if _CHECK.unpack_from(rest, offset + _RECORD.size)[0] != zlib.crc32(body):
            break
        kind, start, end = _RECORD.unpack(body)
        if kind == _SPAN:
            spans.append((start, end))
        elif kind == _CHECKPOINT:
            covered = max(covered, min(start, records))
        records += kind == _SPAN
    synced = Spans(spans[:covered])
    return Vouched(Spans(spans) if same_boot else Spans(synced), synced)


def decode(data: bytes, identity: str, boot: str) -> Spans:
    """Return the spans that may be believed in this boot."""
    return read(data, identity, boot).spans


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a journal: what was recorded when an fsync began."""

    spans: tuple[Span, ...]
    records: int
    generation: int
    forgotten: int


class Journal:
    """An open journal. Its methods are called under the partial's lock."""

    def __init__(self, path: Path, identity: str) -> None:
        """Open or start the journal at `path` for the content called `identity`."""
        self.path = path
        self._identity = identity
        self._boot = boot_id()
        self._generation = 0
        self._forgotten = 0
        found = read(path.read_bytes() if path.exists() else b"", identity, self._boot)
        self.spans, self._synced = found.spans, found.synced
        self._rewrite()

    def _rewrite(self) -> None:
        """Leave one clean file behind: no damaged tail, no long history; nothing gains a checkpoint by it."""
        write_atomically(self.path, encode(self._identity, self._boot, self._synced, self.spans))
        self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0))
        self._records = len(list(self._synced)) + len(list(self.spans))
        self._compact_at = self._records + COMPACT_AFTER_RECORDS
        self._generation += 1

    def record(self, start: int, end: int) -> None:
        """Note that the bytes `start` to `end` were written to the partial file."""
        self.spans.add(start, end)
        os.write(self._fd, _record(_SPAN, start, end))
        self._records += 1
        if self._records >= self._compact_at:
            self.close()
            self._rewrite()

    def forget(self, start: int, end: int) -> None:
        """Vouch no longer for the bytes `start` to `end`."""
        self.spans.cut(start, end)
        self._synced.cut(start, end)
        self._forgotten += 1
        self.close()
        self._rewrite()

    def mark(self) -> Mark:
        """Note what is recorded now, before the bytes are synced."""
        return Mark(tuple(self.spans), self._records, self._generation, self._forgotten)

    def checkpoint(self, mark: Mark) -> None:
        """Note that everything recorded at `mark` has been synced to the disk by the caller."""
        if mark.forgotten != self._forgotten:  # it vouches for bytes that turned out wrong
            return
        self._synced = Spans([*self._synced, *mark.spans])
        if mark.generation == self._generation:
            os.write(self._fd, _record(_CHECKPOINT, mark.records))
            os.fsync(self._fd)
        else:  # rewritten meanwhile: the records it counted are gone
            self.close()
            self._rewrite()

    def close(self) -> None:
        """Let go of the file; it stays."""
        os.close(self._fd)
        self._fd = -1  # the number may soon be another file's: a late record must not land there
