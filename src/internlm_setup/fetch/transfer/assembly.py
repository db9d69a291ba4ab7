"""One content while it is being put together: what is missing, who is on it, and the verdict at the end.

The pool's lock guards the scheduling fields; the bytes themselves go through `Partial`, which has its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from internlm_setup.core.errors import SetupError
from internlm_setup.fetch.model import Location
from internlm_setup.fetch.transfer import prefixes
from internlm_setup.fetch.transfer.commit import commit, proof_of
from internlm_setup.fetch.transfer.errors import HashMismatch
from internlm_setup.fetch.transfer.location import Whereabouts
from internlm_setup.fetch.transfer.manifest import Entry
from internlm_setup.fetch.transfer.piece import (
    RELIEVE_AFTER_LATENCIES,
    RELIEVE_AFTER_S,
    Piece,
    last_to_arrive,
    running_mean,
    split_at,
)
from internlm_setup.fetch.transfer.plan import Content, Source, piece_bytes
from internlm_setup.fetch.transfer.spans import Span
from internlm_setup.fetch.transfer.store import Partial, Store
from internlm_setup.fetch.transfer.verify import Digest, FileHasher, WrongPiece, wants_git

SMALL_BYTES = 256 << 10
HASH_STEP_BYTES = 8 << 20
LAG_BYTES, MOST_LAG_BYTES = 16 << 20, 128 << 20
MOST_IN_FLIGHT, FEW_IN_FLIGHT = 1 << 30, 2


class Assembly:
    """The state of one content in this run.

    A content of at most 256 KiB is held in memory: a journal for it would cost more than fetching it again.
    """

    def __init__(self, content: Content, store: Store, jobs: int) -> None:
        self.content = content
        self.store = store
        self.partial: Partial | None = None
        self.hasher: FileHasher | None = None
        self.hashing = False
        self.small: bytearray | None = None
        self.queue: list[Span] = []
        self.in_flight: list[Piece] = []
        self._usual_bytes_per_s = self._latency_s = 0.0
        self._new = False
        self.opened = False
        self.single_stream = False
        self.failures = 0
        self.fed_s = 0.0
        self.mismatches = 0
        self.turn = 0
        self.not_before_s = 0.0
        self.error: SetupError | None = None
        self.finished = False
        self.entries: tuple[Entry, ...] = ()
        self.etag = content.etag
        self._jobs = jobs
        self.whereabouts = Whereabouts(self._locate)

    @property
    def source(self) -> Source:
        """The source whose turn it is."""
        return self.content.sources[self.turn % len(self.content.sources)]

    def _locate(self) -> Location:
        return self.source.locate()

    @property
    def kept_bytes(self) -> int:
        """What a later run will find."""
        return 0 if self.partial is None else self.partial.present_bytes

    @property
    def keeps_pieces(self) -> bool:
        """Whether a broken-off piece is kept; without a known size, or in memory, all begins anew."""
        return self.partial is not None and self.content.size_bytes is not None

    @property
    def complete(self) -> bool:
        """Whether every byte is here. Somebody who was relieved of his piece may still wait for an answer."""
        return self.opened and not self.queue and not self._busy

    @property
    def _busy(self) -> bool:
        return any(not (p.safe and self.keeps_pieces) for p in self.in_flight)

    def open(self) -> None:
        """Look at what is here and queue what is missing."""
        self.opened = True
        self.fed_s = time.monotonic()
        size = self.content.size_bytes
        if size is not None and size <= SMALL_BYTES:
            self.small = bytearray()
            self.queue = [(0, size)]
            return
        if not self.content.has_hash and self.content.etag is None:
            self.store.forget(self.content.key)  # nothing says that an earlier run's bytes are of the same file
        self.partial = self.store.partial(self.content.key, size)
        self.hasher = self._hasher(self.partial, size)
        self._new = not self.partial.present_bytes
        self._queue_holes()

    @property
    def _most_in_flight(self) -> int:
        """How many pieces may be on their way.

        Where bytes come faster than they can be hashed, hashing needs the processor more than fetching does. So the
        hash ends with the last byte, and reads what is still in memory. Bytes of earlier runs are no reason to let the
        line wait.
        """
        if not self._new or self.partial is None or self.hasher is None:
            return MOST_IN_FLIGHT
        lag_bytes = self.partial.prefix_bytes - self.hasher.position
        return MOST_IN_FLIGHT if lag_bytes < LAG_BYTES else FEW_IN_FLIGHT if lag_bytes < MOST_LAG_BYTES else 0

    def _hasher(self, partial: Partial, size: int | None) -> FileHasher:
        known = prefixes.load(self.store.state, self.content.sha256, size)
        return FileHasher(partial.path, size, git=wants_git(size, self.content.sha256), expected=known)

    def _queue_holes(self) -> None:
        size = self.content.size_bytes
        if self.partial is None or size is None or self.single_stream:
            whole = size is None or self.partial is None or self.partial.holes(0, size)
            self.queue = [(0, -1 if size is None else size)] if whole else []
            return
        self.queue = self.partial.holes(0, size)

    def take(self, now_s: float) -> Piece | None:
        """Hand out the next span, or None when there is none to hand out now."""
        if not self.queue or (self.single_stream and self._busy) or len(self.in_flight) >= self._most_in_flight:
            return None
        start, end = self.queue.pop(0)
        step = self._piece_bytes(end - start)
        if self.keeps_pieces and not self.single_stream and end - start > step:
            self.queue.insert(0, (start + step, end))
            end = start + step
        return self._begin(start, None if end < 0 else end, now_s)

    def _piece_bytes(self, taken_bytes: int) -> int:
        left_bytes = taken_bytes + sum(end - start for start, end in self.queue)
        jobs = max(self._jobs, len(self.in_flight))
        return piece_bytes(left_bytes, jobs, self._usual_bytes_per_s, self._latency_s)

    def _begin(self, start: int, end: int | None, now_s: float) -> Piece:
        piece = Piece(self, start, end, now_s)
        self.in_flight.append(piece)
        return piece

    def relieve(self, now_s: float) -> Piece | None:
        """Take over a share of the piece that would come last, when nothing else is left to do.

        Not where every connection has been silent so far: the source is, and another question would not help.
        """
        if self.queue or self.single_stream or not self.keeps_pieces:
            return None
        slow = last_to_arrive(self.in_flight, now_s, RELIEVE_AFTER_S + RELIEVE_AFTER_LATENCIES * self._latency_s)
        rates = [p.rate_bytes_per_s(now_s) for p in self.in_flight if p is not slow and p.at > p.start]
        usual = self._usual_bytes_per_s or max((*rates, slow.rate_bytes_per_s(now_s) if slow else 0.0))
        if slow is None or not usual or not slow.lock.acquire(blocking=False):  # whoever holds it is writing: alive
            return None
        try:
            end, slow.end = slow.end, split_at(slow, usual, now_s)
            self.record(slow)  # its worker may never come back to do so
        finally:
            slow.lock.release()
        return self._begin(slow.end, end, now_s)

    def answered(self, piece: Piece, now_s: float) -> None:
        """Note how long a server took to begin with a piece."""
        piece.answered_s = now_s
        self._latency_s = running_mean(self._latency_s, now_s - piece.begun_s)

    def record(self, piece: Piece) -> None:
        """Journal what a piece has written since the last time (its lock is held)."""
        if self.partial is not None and piece.recorded < piece.at:
            self.partial.record(piece.recorded, piece.at)
            piece.recorded = piece.at

    def give_back(self, piece: Piece, now_s: float) -> None:
        """Take back a piece, carried or not: what it did not reach is queued again.

        A piece without an end counts as carried when its stream ended well, which `arrived` says.
        """
        self.in_flight.remove(piece)
        if piece.at > piece.start:
            self._usual_bytes_per_s = running_mean(self._usual_bytes_per_s, piece.rate_bytes_per_s(now_s))
        carried = piece.arrived or piece.done
        if self.finished or (carried and self.keeps_pieces and not self.single_stream):
            return
        if not self.keeps_pieces:
            if not carried:
                self._discard()
                self.open()
        elif self.single_stream:
            if not self._busy:  # the last of the pieces that were on their way when ranges were found wanting
                self._queue_holes()
        elif piece.end is not None:
            self.queue.insert(0, (piece.at, piece.end))

    def refetch(self, wrong: WrongPiece) -> None:
        """Queue a piece again whose bytes turned out to be wrong."""
        if self.partial is None:
            raise AssertionError("a piece of an assembly that was never opened")
        self.partial.drop(wrong.start, wrong.end)
        if not self.single_stream:
            self.queue.insert(0, (wrong.start, wrong.end))
        elif not self._busy:
            self._queue_holes()

    def one_stream(self) -> None:
        """Fetch this content from its start in one request from now on: the server knows no ranges."""
        self.single_stream = True
        self.queue = []

    def store_block(self, piece: Piece, block: bytes) -> int:
        """Put a block where it belongs and return how many of its bytes were new; others may have taken its end."""
        with piece.lock:
            view = memoryview(block) if piece.end is None else memoryview(block)[: piece.end - piece.at]
            start, end = piece.at, piece.at + len(view)
            new = [(start, end)]
            if self.small is not None:
                self.small += view
            elif self.partial is None:
                raise AssertionError("a piece of an assembly that was never opened")
            else:
                new = self.partial.holes(start, end) if self.single_stream else new
                for a, b in new:
                    self.partial.write(a, view[a - start : b - start])
            piece.at = end
            return sum(b - a for a, b in new)

    def finish(self, finished: Callable[[Entry], None], cancelled: threading.Event) -> list[Entry] | None:
        """Verify all bytes and put them in place under every path; `finished` is told each entry first.

        Returns:
            An entry for each path; None when cancelled first.

        Raises:
            HashMismatch: The bytes are not the published ones; they are discarded.
        """
        digest = self._digest(cancelled)
        if cancelled.is_set():
            return None
        try:
            proof = proof_of(self.content, digest, self.source.hub)
        except HashMismatch:
            self._discard()
            raise
        entries = commit(self.content, self._sealed(), digest, proof, self.store, self.source.hub, finished)
        if self.partial is not None:
            self.partial.forget_journal(self.store.target(self.content.paths[0]).parent)
        return entries

    def _sealed(self) -> Path:
        """Return the file that holds the verified bytes, safe on the disk."""
        if self.partial is not None:
            return self.partial.seal()
        waiting = self.store.write_small(self.small or b"")
        self.small = bytearray()
        return waiting

    def _digest(self, cancelled: threading.Event) -> Digest:
        if self.small is not None:
            digest = Digest(len(self.small), git=wants_git(len(self.small), self.content.sha256))
            digest.update(self.small)
            return digest
        if self.partial is None or self.hasher is None:
            raise AssertionError("an assembly was finished before it was opened")
        size = self.partial.prefix_bytes
        if self.content.size_bytes not in {None, size}:
            raise AssertionError("an assembly was finished with a hole in it")
        if self.content.size_bytes is None:  # git's hash begins with the size, known only now
            self.hasher = self._hasher(self.partial, size)
        self.hasher.advance(size, cancelled)
        return self.hasher.digest

    def _discard(self) -> None:
        if self.partial is not None:
            self.partial.discard()
        self.partial, self.hasher, self.small = None, None, None
        self.opened = False
