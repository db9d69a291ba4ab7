"""What is still to be done, shared by the threads of one transfer: pieces to carry, contents to hash, how it ended."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from internlm_setup.core.clock import Clock
from internlm_setup.core.errors import (
    DeniedError,
    SetupError,
    StoppedError,
    UnavailableError,
    WriteError,
)
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.transfer.assembly import Assembly
from internlm_setup.fetch.transfer.manifest import Entry
from internlm_setup.fetch.transfer.piece import Piece
from internlm_setup.fetch.transfer.store import Partial
from internlm_setup.fetch.transfer.verify import WrongPiece

MOST_DEAD_IN_A_ROW = 3


class Board:
    """Hands out work and keeps the score. Every method may be called from any thread."""

    def __init__(self, assemblies: Sequence[Assembly], tell: events.Listener, clock: Clock) -> None:
        self.lock = threading.RLock()
        self._work = threading.Condition(self.lock)  # what workers wait for
        self._hashing = threading.Condition(self.lock)  # what hashers wait for
        self._end = threading.Condition(self.lock)  # what those who only watch wait for
        self.cancelled = threading.Event()
        self.fatal: BaseException | None = None
        self.received_bytes = 0
        self.say = events.one_at_a_time(tell)
        self._clock = clock
        self._waiting = deque(assemblies)
        self._active: list[Assembly] = []
        self._to_hash: deque[Assembly] = deque()
        self._dead_in_a_row = 0
        self._paused_until_s = 0.0

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
            if now_s < self._paused_until_s:
                self._work.wait(timeout=min(0.2, self._paused_until_s - now_s))
                continue
            self._active = [a for a in self._active if not a.finished]
            if (piece := self._first(Assembly.take, now_s)) is not None:
                return piece
            if self._waiting:
                assembly = self._waiting.popleft()
                assembly.open()
                self._active.append(assembly)
                return assembly
            if not self._active:
                self._notify_end()
                return None
            if (piece := self._first(Assembly.relieve, now_s)) is not None:
                return piece
            soonest_s = min(a.not_before_s for a in self._active) - now_s
            self._work.wait(timeout=min(soonest_s, 0.2) if soonest_s > 0 else 0.25)
        return None

    def _first(self, offer: Callable[[Assembly, float], Piece | None], now_s: float) -> Piece | None:
        """Return the first piece that a content offers; one that waits to be asked again offers none.

        How fast bytes come is a matter of the real time, whatever the clock that we wait by.
        """
        real_s = time.monotonic()
        for assembly in self._active:
            piece = offer(assembly, real_s) if assembly.not_before_s <= now_s else None
            if piece is not None:
                return piece
        return None

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

    def count(self, assembly: Assembly, count_bytes: int, fresh_bytes: int, *, alive: bool = True) -> None:
        """Note bytes that came; new ones that stay, and not too few of them, prove that the source is `alive`."""
        with self.lock:
            self.received_bytes += count_bytes
            if fresh_bytes and alive and assembly.keeps_pieces:
                assembly.failures = 0
                assembly.fed_s = time.monotonic()
                self._dead_in_a_row = 0
        if fresh_bytes:
            self.say(events.Advanced(assembly.content.paths[0], fresh_bytes))

    def refetch(self, assembly: Assembly, wrong: WrongPiece) -> None:
        """Have one piece of a content fetched again."""
        with self.lock:
            assembly.refetch(wrong)
        self.say(events.Advanced(assembly.content.paths[0], wrong.start - wrong.end))

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

    def pause(self, seconds: float) -> None:
        """Hand out nothing for a while: a server asked us to wait, and it meant all of us."""
        if seconds > 0:
            with self.lock:
                self._paused_until_s = max(self._paused_until_s, self._clock.monotonic() + seconds)
