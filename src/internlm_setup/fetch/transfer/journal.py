"""The piece journal: which spans of one partial file are on disk, surviving a kill at any byte.

One header line of JSON (what the partial is of, and which boot wrote it), then fixed-size records, each with its own
checksum; whatever follows the first bad record is ignored. A span is recorded only after its bytes were written, so a
killed process loses nothing that is recorded. A power cut can lose bytes that were written but not yet synced: after a
changed boot id only records before the last checkpoint count, and a checkpoint is written only after an fsync.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

from internlm_setup.core.files import write_atomically
from internlm_setup.fetch.transfer.spans import Span, Spans

_RECORD = struct.Struct("<cQQ")
_CHECK = struct.Struct("<I")
RECORD_BYTES = _RECORD.size + _CHECK.size
_SPAN, _CHECKPOINT = b"S", b"C"
COMPACT_AFTER_RECORDS = 20_000


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


def encode(identity: str, boot: str, spans: Iterable[Span]) -> bytes:
    """Return a whole journal whose spans are all checkpointed."""
    head = json.dumps({"journal": 1, "of": identity, "boot": boot}).encode() + b"\n"
    return head + b"".join(_record(_SPAN, a, b) for a, b in spans) + _record(_CHECKPOINT)


def decode(data: bytes, identity: str, boot: str) -> Spans:
    """Return the spans a journal vouches for: empty when it is of something else or its head is damaged."""
    head, _, rest = data.partition(b"\n")
    try:
        known = json.loads(head)
        same_boot = known["boot"] == boot
        if known["journal"] != 1 or known["of"] != identity:
            return Spans()
    except (ValueError, KeyError, TypeError):
        return Spans()
    trusted, fresh = Spans(), Spans()
    for offset in range(0, len(rest) - RECORD_BYTES + 1, RECORD_BYTES):
        body = rest[offset : offset + _RECORD.size]
        if _CHECK.unpack_from(rest, offset + _RECORD.size)[0] != zlib.crc32(body):
            break
        kind, start, end = _RECORD.unpack(body)
        if kind == _SPAN:
            fresh.add(start, end)
        elif kind == _CHECKPOINT:
            trusted, fresh = Spans([*trusted, *fresh]), Spans()
    return Spans([*trusted, *fresh]) if same_boot else trusted


class Journal:
    """An open journal. `record` and `checkpoint` are called under the partial's lock."""

    def __init__(self, path: Path, identity: str) -> None:
        """Open or start the journal at `path` for the content called `identity`."""
        self.path = path
        self._identity = identity
        self._boot = boot_id()
        data = path.read_bytes() if path.exists() else b""
        self.spans = decode(data, identity, self._boot)
        self._rewrite_unsynced()

    def _rewrite_unsynced(self) -> None:
        """Leave one clean file behind: no damaged tail, no long history; nothing gains a checkpoint by it."""
        head = json.dumps({"journal": 1, "of": self._identity, "boot": self._boot}).encode()
        records = b"".join(_record(_SPAN, a, b) for a, b in self.spans)
        write_atomically(self.path, head + b"\n" + records)
        self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0))
        self._records = 0

    def record(self, start: int, end: int) -> None:
        """Note that the bytes `start` to `end` were written to the partial file."""
        self.spans.add(start, end)
        os.write(self._fd, _record(_SPAN, start, end))
        self._records += 1
        if self._records >= COMPACT_AFTER_RECORDS:
            self.close()
            self._rewrite_unsynced()

    def forget(self, start: int, end: int) -> None:
        """Vouch no longer for the bytes `start` to `end`."""
        self.spans.cut(start, end)
        self.close()
        self._rewrite_unsynced()

    def checkpoint(self) -> None:
        """Note that everything recorded so far has been synced to the disk by the caller."""
        os.write(self._fd, _record(_CHECKPOINT))
        os.fsync(self._fd)

    def close(self) -> None:
        """Let go of the file; it stays."""
        os.close(self._fd)
        self._fd = -1  # the number may soon be another file's: a late record must not land there
