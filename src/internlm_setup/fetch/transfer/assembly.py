"""One content while it is being put together: what is missing, who is on it, and the verdict at the end.

The pool's lock guards the scheduling fields; the bytes themselves go through `Partial`, which has its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from internlm_setup.core.errors import SetupError
from internlm_setup.fetch.transfer import prefixes, verdict
from internlm_setup.fetch.transfer.manifest import Entry
from internlm_setup.fetch.transfer.piece import Piece, running_mean
from internlm_setup.fetch.transfer.plan import Content, piece_bytes
from internlm_setup.fetch.transfer.sources import Supplier, Suppliers, Way
from internlm_setup.fetch.transfer.spans import Span
from internlm_setup.fetch.transfer.store import Partial, Store
from internlm_setup.fetch.transfer.trial import Account, Trial, Unit
from internlm_setup.fetch.transfer.verify import FileHasher, WrongPiece, wants_git

SMALL_BYTES = 256 << 10
HASH_STEP_BYTES = 8 << 20
LAG_BYTES, MOST_LAG_BYTES = 16 << 20, 128 << 20
MOST_IN_FLIGHT, FEW_IN_FLIGHT = 1 << 30, 2


class Assembly:
    """The state of one content in this run.

    A content of at most 256 KiB is held in memory: a journal for it would cost more than fetching it again.
    """

    def __init__(self, content: Content, store: Store, jobs: int, suppliers: Suppliers | None = None) -> None:
        self.content = content
        self.store = store
        self.partial: Partial | None = None
        self.hasher: FileHasher | None = None
        self.hashing = False
        self.small: bytearray | None = None
        self.queue: list[Span] = []
        self.in_flight: list[Piece] = []
        self.usual_bytes_per_s = self.latency_s = 0.0
        self._new = False
        self.opened = False
        self.single_stream = False
        self.fed_s = 0.0
        self.mismatches = 0
        self.error: SetupError | None = None
        self.finished = False
        self.entries: tuple[Entry, ...] = ()
        self.etag = content.etag
        self._jobs = jobs
        suppliers = suppliers or Suppliers(content.sources, jobs)
        self.ways = [suppliers.way(source) for source in content.sources]
        self.account = Account()
        self.trial: Trial | None = None
        self.suspect: Supplier | None = None  # sent all of it, and it was wrong
        self.liar: Supplier | None = None  # that was surely his fault

    @property
    def senders(self) -> str:
        """Who sent the bytes, who sent most first."""
        return ",".join(self.account.senders()) or self.content.sources[0].name

    @property
    def open_ways(self) -> list[Way]:
        """The ways it may come: past who is suspected of having lied, if there is another."""
        still_open = [way for way in self.ways if way.error is None]
        return [way for way in still_open if way.supplier is not self.suspect] or still_open

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
        due = self.trial is None or self.trial.is_due
        return self.opened and not self.queue and not self._busy and due

    @property
    def _busy(self) -> bool:
        return any(not (p.moved or (p.safe and self.keeps_pieces)) for p in self.in_flight)

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
        self.hasher = self.new_hasher(self.partial, size)
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

    def new_hasher(self, partial: Partial, size: int | None) -> FileHasher:
        """Return a hasher at the start of the file."""
        known = prefixes.load(self.store.state, self.content.sha256, size)
        return FileHasher(partial.path, size, git=wants_git(size, self.content.sha256), expected=known)

    def _queue_holes(self) -> None:
        size = self.content.size_bytes
        if self.partial is None or size is None or self.single_stream:
            whole = size is None or self.partial is None or self.partial.holes(0, size)
            self.queue = [(0, -1 if size is None else size)] if whole else []
            return
        self.queue = self.partial.holes(0, size)

    @property
    def next_bytes(self) -> int:
        """How long the next span may be, as far as is known."""
        start, end = self.queue[0] if self.queue else (0, self.content.size_bytes or 0)
        return (
            max(0, end - start)
            if end - start <= SMALL_BYTES
            else min(end - start, piece_bytes(end - start, self._jobs))
        )

    def take(self, now_s: float, way: Way | None = None) -> Piece | None:
        """Hand out the next span, or None when there is none to hand out now."""
        way = way or self.ways[0]
        if self.trial is not None:
            unit = self.trial.take(way.supplier)
            return None if unit is None else self.begin(unit.start, unit.end, now_s, way, unit)
        out = sum(not piece.moved for piece in self.in_flight)
        if not self.queue or (self.single_stream and self._busy) or out >= self._most_in_flight:
            return None
        start, end = self.queue.pop(0)
        step = self._piece_bytes(end - start, way)
        if self.keeps_pieces and not self.single_stream and end - start > step:
            self.queue.insert(0, (start + step, end))
            end = start + step
        return self.begin(start, None if end < 0 else end, now_s, way)

    def _piece_bytes(self, taken_bytes: int, way: Way) -> int:
        """Say how much to ask for at once; where there are several sources, no more than the others could wait for."""
        left_bytes = taken_bytes + sum(end - start for start, end in self.queue)
        jobs = max(self._jobs, len(self.in_flight))
        if len(self.ways) == 1:
            return piece_bytes(left_bytes, jobs, self.usual_bytes_per_s, self.latency_s)
        supplier = way.supplier
        step = piece_bytes(left_bytes, jobs, supplier.rate_bytes_per_s, supplier.latency_s)
        return min(step, supplier.portion_bytes)

    def begin(self, start: int, end: int | None, now_s: float, way: Way, unit: Unit | None = None) -> Piece:
        """Hand out a piece."""
        in_memory = unit is not None or self.small is not None
        piece = Piece(self, start, end, now_s, way, bytearray() if in_memory else None, unit)
        self.in_flight.append(piece)
        way.supplier.begin(now_s)
        return piece

    def put_back(self, piece: Piece, rest: tuple[int, int | None]) -> None:
        """Queue what is left of a piece; of one in memory that is all of it."""
        start, end = rest
        if piece.unit is not None and self.trial is not None:
            self.trial.give_back(piece.unit, compared=False)
        elif piece.buffer is not None:
            self.small = bytearray()
            self.queue = [(0, self.content.size_bytes or 0)]
        elif end is not None and start < end:
            self.queue.insert(0, (start, end))

    def answered(self, piece: Piece, now_s: float) -> None:
        """Note how long a server took to begin with a piece."""
        piece.answered_s = now_s
        self.latency_s = running_mean(self.latency_s, now_s - piece.begun_s)
        piece.way.supplier.answered(now_s - piece.begun_s, now_s)

    def record(self, piece: Piece) -> None:
        """Journal what a piece has written since the last time (its lock is held)."""
        if self.partial is not None and piece.recorded < piece.at:
            self.partial.record(piece.recorded, piece.at)
            piece.recorded = piece.at

    def give_back(self, piece: Piece, now_s: float) -> int:
        """Take back a piece, carried or not: what it did not reach is queued again.

        A piece without an end counts as carried when its stream ended well, which `arrived` says.

        Returns:
            How many bytes are here for good only now that all of it came.
        """
        if not self.drop(piece, now_s):
            return 0
        carried = piece.arrived or piece.done
        if piece.unit is not None and self.trial is not None:
            self.trial.give_back(piece.unit, compared=carried)
        elif piece.buffer is not None:
            if carried:
                self.small = piece.buffer
                return len(piece.buffer)
            self.put_back(piece, (0, 0))
        elif not (self.finished or (carried and self.keeps_pieces and not self.single_stream)):
            self._queue_rest(piece, carried=carried)
        return 0

    def _queue_rest(self, piece: Piece, *, carried: bool) -> None:
        if not self.keeps_pieces:
            if not carried:
                self.discard()
                self.open()
        elif not self.single_stream:
            self.put_back(piece, (piece.at, piece.end))
        elif not self._busy:  # the last of the pieces that were on their way when ranges were found wanting
            self._queue_holes()

    def drop(self, piece: Piece, now_s: float) -> bool:
        """Let go of a piece whose worker is through with it; say whether what is left of it is still anybody's."""
        self.in_flight.remove(piece)
        if piece.moved:
            return False
        supplier, rate = piece.way.supplier, piece.rate_bytes_per_s(now_s)
        supplier.busy -= 1
        if piece.at > piece.start:
            self.usual_bytes_per_s = running_mean(self.usual_bytes_per_s, rate)
        if piece.fruitful:
            supplier.carried(piece.at - piece.start, rate, piece.begun_s)
        if piece.unit is None:
            self.account.note(supplier, piece.start, piece.at)
        return True

    def open_anew(self) -> None:
        """Begin once more from nothing, past the suspect if there is somebody else."""
        for way in self.ways:
            way.whereabouts.forget()
        self.discard()
        self.open()

    def refetch(self, wrong: WrongPiece) -> None:
        """Queue a piece again whose bytes turned out to be wrong."""
        if self.partial is None:
            raise AssertionError("a piece of an assembly that was never opened")
        self.account.forget(wrong.start, wrong.end)
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
            new: list[Span] = []
            if piece.buffer is not None:
                piece.buffer += view
            elif self.partial is None:
                raise AssertionError("a piece of an assembly that was never opened")
            else:
                new = self.partial.holes(start, end) if self.single_stream else [(start, end)]
                for a, b in new:
                    self.partial.write(a, view[a - start : b - start])
            piece.at = end
            return sum(b - a for a, b in new)

    def finish(self, finished: Callable[[Entry], None], cancelled: threading.Event) -> list[Entry] | None:
        """See `verdict.finish`."""
        return verdict.finish(self, finished, cancelled)

    def discard(self) -> None:
        """Throw away all that is here."""
        if self.partial is not None:
            self.partial.discard()
        self.partial, self.hasher, self.small, self.trial = None, None, None, None
        self.account = Account()
        self.opened = False
