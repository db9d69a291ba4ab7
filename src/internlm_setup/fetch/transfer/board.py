"""What is still to be done, shared by the threads of one transfer: pieces to carry, contents to hash, how it ended."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from internlm_setup.core.clock import Clock
from internlm_setup.core.errors import DeniedError, SetupError, StoppedError, UnavailableError, WriteError
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.transfer.assembly import Assembly
from internlm_setup.fetch.transfer.manifest import Entry
from internlm_setup.fetch.transfer.piece import Piece
from internlm_setup.fetch.transfer.relief import relieve
from internlm_setup.fetch.transfer.sources import Supplier, Suppliers, Way
from internlm_setup.fetch.transfer.store import Partial

MOST_DEAD_IN_A_ROW = 3
MOST_NAP_S = 0.25


class Board:
    """Hands out work and keeps the score. Every method may be called from any thread."""

    def __init__(
        self,
        assemblies: Sequence[Assembly],
        tell: events.Listener,
        clock: Clock,
        suppliers: Suppliers | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self._work = threading.Condition(self.lock)  # what workers wait for
        self._hashing = threading.Condition(self.lock)  # what hashers wait for
        self._end = threading.Condition(self.lock)  # what those who only watch wait for
        self.cancelled = threading.Event()
        self.fatal: BaseException | None = None
        self.received_bytes = 0
        self.say = events.one_at_a_time(tell)
        self._clock = clock
        self.suppliers = suppliers or Suppliers(
            (w.source for a in assemblies for w in a.ways), jobs=len(assemblies) + 1
        )
        self._waiting = _grouped(assemblies)
        self._active: list[Assembly] = []
        self._to_hash: deque[Assembly] = deque()
        self._dead_in_a_row = 0

    def stop(self, error: BaseException | None = None) -> None:
        """End the run: nobody gets more work."""
        with self.lock:
            self.fatal = self.fatal or error
            self.cancelled.set()
            self._notify_end()

    def _notify_end(self) -> None:
        for condition in (self._work, self._hashing, self._end):
            condition.notify_all()

    def wait(self, seconds: float) -> bool:
        """Wait for the end, or so long; say whether it is over."""
        with self.lock:
            return self.over or (self._end.wait(timeout=seconds) and self.over)

    def next_piece(self) -> Piece | None:
        """Wait for a piece to carry; None when there will be no more."""
        while True:
            with self.lock:
                found = self._pick()
            if not isinstance(found, Assembly):
                return found
            # Told without the lock: whoever listens may be slow.
            content = found.content
            self.say(events.FileStarted(content.paths[0], content.size_bytes, found.kept_bytes))
            self.settle(found)

    def _pick(self) -> Piece | Assembly | None:
        """Return a piece, a content that was just begun, or None at the end (the lock is held)."""
        while not self.cancelled.is_set():
            now_s = self._clock.monotonic()
            self._active = [a for a in self._active if not a.finished]
            queued = [a for a in self._active if a.queue or a.trial]
            if (piece := self._first(Assembly.take, queued, now_s)) is not None:
                return piece
            if (assembly := self._next_waiting(now_s)) is not None:
                assembly.open()
                self._active.append(assembly)
                return assembly
            if not self._active and not self._waiting:
                self._notify_end()
                return None
            shared = [a for a in self._active if a.small is None or len(a.ways) > 1]
            if (piece := self._first(relieve, shared, now_s)) is not None:
                return piece
            self._work.wait(timeout=self._nap_s(now_s))
        return None

    def _first(
        self, offer: Callable[[Assembly, float, Way], Piece | None], assemblies: Sequence[Assembly], now_s: float
    ) -> Piece | None:
        """Return the first piece that one of the contents offers, from the source that would bring it soonest.

        How fast bytes come is a matter of the real time, whatever the clock that we wait by.
        """
        real_s = time.monotonic()
        for assembly in assemblies:
            for way in self.suppliers.ready(assembly.open_ways, now_s, assembly.next_bytes):
                piece = offer(assembly, real_s, way)
                if piece is not None:
                    if way.whereabouts.at_hub:
                        way.supplier.gate.take(now_s)
                    return piece
        return None

    def _next_waiting(self, now_s: float) -> Assembly | None:
        """Return the next content that one of its sources may be asked for."""
        ready = [q for q in self._waiting if self.suppliers.ready(q[0][1].ways, now_s, q[0][1].next_bytes)]
        if not ready:
            return None
        group = min(ready, key=lambda q: q[0][0])
        _, assembly = group.popleft()
        self._waiting = [q for q in self._waiting if q]
        return assembly

    def _nap_s(self, now_s: float) -> float:
        """Return how long to wait, unless woken, until there may be something to do."""
        concerned = (*self._active, *(group[0][1] for group in self._waiting))
        waits = [way.waits_s(now_s) for assembly in concerned for way in assembly.open_ways]
        return min([MOST_NAP_S, *(wait_s for wait_s in waits if wait_s > 0)])

    @property
    def over(self) -> bool:
        """Whether nothing is left to do, or nobody is to do it."""
        with self.lock:
            return self.cancelled.is_set() or (not self._waiting and all(a.finished for a in self._active))

    def next_to_hash(self) -> Assembly | None:
        """Wait for a content whose front moved or that is complete; None when there will be no more."""
        with self.lock:
            while not self.cancelled.is_set():
                if self._to_hash:
                    return self._to_hash.popleft()
                if self.over:
                    return None
                self._hashing.wait(timeout=0.5)
        return None

    def settle(self, assembly: Assembly) -> None:
        """Hand a content that became complete to the hashers, and wake whoever waits."""
        with self.lock:
            if assembly.complete and not assembly.finished:
                self.queue_hash(assembly)
            self._work.notify_all()

    def claim(self, assembly: Assembly) -> bool:
        """Let a worker finish a small content itself, unless somebody is on it."""
        with self.lock:
            if assembly.small is None or not assembly.complete or assembly.hashing or assembly.finished:
                return False
            assembly.hashing = True
            return True

    def queue_hash(self, assembly: Assembly) -> None:
        """Ask for a content's hash to be advanced, unless somebody is on it."""
        with self.lock:
            if not assembly.hashing:
                assembly.hashing = True
                self._to_hash.append(assembly)
                self._hashing.notify()

    def count(self, piece: Piece, count_bytes: int, fresh_bytes: int) -> None:
        """Note bytes that came; new ones that stay, and not too few of them, prove that the source is alive."""
        assembly, real_s = piece.assembly, time.monotonic()
        with self.lock:
            self.received_bytes += count_bytes
            piece.way.supplier.received(count_bytes, real_s)
            stays = (fresh_bytes and assembly.keeps_pieces) or piece.unit is not None
            if stays and piece.fruitful:
                piece.way.failures = 0
                assembly.fed_s = real_s
                self._dead_in_a_row = 0
        if fresh_bytes:
            self.say(events.Advanced(assembly.content.paths[0], fresh_bytes))

    def starves(self, assembly: Assembly, patience_s: float) -> bool:
        """Say whether no connection has brought a content anything worth counting for so long, and count anew."""
        with self.lock:
            now_s = time.monotonic()
            starves = now_s - assembly.fed_s >= patience_s
            assembly.fed_s = now_s if starves else assembly.fed_s
            return starves

    def fail(self, assembly: Assembly, error: SetupError) -> None:
        """Give up on a content.

        A refusal or a full disk ends the whole run, and so do three contents in a row that nobody would send.
        """
        with self.lock:
            if assembly.finished:
                return
            assembly.finished = True
            assembly.queue = []
            assembly.error = error
            self._dead_in_a_row += isinstance(error, (StoppedError, UnavailableError))
            dead = self._dead_in_a_row >= MOST_DEAD_IN_A_ROW
            self._notify_if_over()
        self.say(events.FileFailed(assembly.content.paths[0], error.text.fill(**error.details())))
        if dead or isinstance(error, (DeniedError, WriteError)):
            self.stop(error)

    def finish(self, assembly: Assembly, entries: Sequence[Entry]) -> None:
        """Note that a content is in place."""
        with self.lock:
            assembly.entries = tuple(entries)
            assembly.finished = True
            self._dead_in_a_row = 0
            self._notify_if_over()

    def _notify_if_over(self) -> None:
        if self.over:
            self._notify_end()

    def growing(self) -> list[Partial]:
        """Return the partial files that pieces are still coming for."""
        with self.lock:
            return [a.partial for a in self._active if a.partial is not None and not a.complete]

    def answered(self, piece: Piece, asked_at_hub: bool) -> None:
        """Note that an answer begins."""
        with self.lock:
            piece.assembly.answered(piece, time.monotonic())
            if asked_at_hub:
                piece.way.supplier.gate.answered(self._clock.monotonic())

    def give_back(self, piece: Piece) -> None:
        """Take back a piece whose worker is through with it."""
        with self.lock:
            came_bytes = piece.assembly.give_back(piece, time.monotonic())
        if came_bytes:
            self.say(events.Advanced(piece.assembly.content.paths[0], came_bytes))

    def in_flight(self, supplier: Supplier) -> list[Piece]:
        """Return the pieces that a source is asked for (the lock is held)."""
        return [p for a in self._active for p in a.in_flight if p.way.supplier is supplier and not p.moved]


def _grouped(assemblies: Sequence[Assembly]) -> list[deque[tuple[int, Assembly]]]:
    """Sort contents by their sources: where one may not be asked now, the first of each group says so for all."""
    groups: dict[tuple[str, ...], deque[tuple[int, Assembly]]] = {}
    for number, assembly in enumerate(assemblies):
        groups.setdefault(tuple(w.supplier.name for w in assembly.ways), deque()).append((number, assembly))
    return list(groups.values())
