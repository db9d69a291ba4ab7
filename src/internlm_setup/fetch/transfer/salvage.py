"""What is worth keeping of a damaged file: its good spans go into the partial of what it should be.

The damaged file itself is only read. Whatever is kept wrongly is found by the hash, like a wrong byte from a hub.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from internlm_setup.core.files import reading
from internlm_setup.fetch.transfer.spans import Span, Spans
from internlm_setup.fetch.transfer.store import Partial

LEAST_KEPT_BYTES = 256 << 10  # less than that is a Git LFS pointer or an error page, not a part of the file
ZERO_BLOCK_BYTES = 32 << 10  # a run of 64 KiB of zeros holds one of these, wherever its pages begin
COPY_BYTES = 8 << 20
_ZEROS = bytes(ZERO_BLOCK_BYTES)


def worth_keeping(path: Path, size_bytes: int, *, pieces_are_known: bool) -> list[Span]:
    """Return the spans of a damaged file that may be right.

    Args:
        path: The file.
        size_bytes: How long it should be.
        pieces_are_known: Whether prefix digests will find every wrong piece; then all of it may be kept. Otherwise
            only visible damage is left out: what is missing at the end, holes, and long runs of zeros.

    Returns:
        Spans in order. Empty when nothing can be gained: too little is there, or all of it looks right.
    """
    with reading(path), path.open("rb", buffering=0) as file:
        found_bytes = os.fstat(file.fileno()).st_size
        kept = Spans([(0, min(found_bytes, size_bytes))])
        if not pieces_are_known:
            for start, end in _blanks(file, kept.prefix_bytes):
                kept.cut(start, end)
            if found_bytes == size_bytes == kept.size_bytes:
                return []
    return list(kept) if kept.size_bytes >= LEAST_KEPT_BYTES else []


def keep(path: Path, spans: list[Span], partial: Partial) -> None:
    """Copy spans of a file into a partial, as far as they are missing there."""
    with reading(path), path.open("rb", buffering=0) as file:
        for start, end in [hole for a, b in spans for hole in partial.holes(a, b)]:
            at = start
            while at < end and (copied := partial.copy_from(file, at, min(COPY_BYTES, end - at))):
                partial.record(at, at + copied)
                at += copied


def _blanks(file: BinaryIO, end: int) -> Iterator[Span]:
    """Yield the holes of a sparse file, and its runs of zero blocks with one block more at either side."""
    at = 0
    for start, stop in extents(file, end):
        yield at, start
        for block in range(start - start % ZERO_BLOCK_BYTES, stop, ZERO_BLOCK_BYTES):
            file.seek(block)
            if block + ZERO_BLOCK_BYTES <= end and file.read(ZERO_BLOCK_BYTES) == _ZEROS:
                yield max(0, block - ZERO_BLOCK_BYTES), min(end, block + 2 * ZERO_BLOCK_BYTES)
        at = stop
    yield at, end


def extents(file: BinaryIO, end: int) -> Iterator[Span]:
    """Yield where a file has data; all of it where the system does not say.

    Source:
        lseek(2), SEEK_DATA and SEEK_HOLE, read 2026-11.
    """
    if not hasattr(os, "SEEK_DATA"):
        yield 0, end
        return
    at = 0
    while at < end:
        try:
            start = os.lseek(file.fileno(), at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole until the end
                return
            yield at, end
            return
        if start >= end:
            return
        at = min(end, os.lseek(file.fileno(), start, os.SEEK_HOLE))
        yield start, at
