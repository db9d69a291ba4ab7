"""A span that one worker is on, and how another one takes over what is left of it.

At the end of a file the queue is empty while some connections still have much to bring: a slow one would be waited for.
So whoever is free takes a share of the piece that would come last.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from internlm_setup.fetch.transfer.assembly import Assembly
    from internlm_setup.fetch.transfer.sources import Way
    from internlm_setup.fetch.transfer.trial import Unit

PROGRESS_BYTES = 20 << 10  # what the floor speed brings in one window
RELIEVE_AFTER_S = 0.5
RELIEVE_AFTER_LATENCIES = 3  # a new request, perhaps on a new connection, needs a few round trips to be of use
LEAST_RELIEVED_BYTES = 256 << 10
LEAST_RELIEVED_ELSEWHERE_BYTES = 16 << 10  # from a slow source, which needs long even for that
LEAST_KEPT_BYTES = 64 << 10


@dataclass(eq=False)
class Piece:
    """A span that one worker is on.

    Attributes:
        assembly: The content it is of.
        start: Where it begins.
        end: Where it ends, exclusive; None is the end of the body. Brought nearer by others, under `lock`.
        begun_s: When it was handed out.
        way: Where it comes from.
        buffer: Where its bytes go if not to the disk.
        unit: What it is to be compared with, in a trial.
        moved: Whether all that is left of it was given to somebody else, and nobody waits for its worker.
        replaced: Whether another worker was started in its worker's place.
        asked_s: When its question went out, on the clock that waits are counted by.
        came_s: When its last bytes came; None before.
        answered_s: When the server's answer began; None before.
        at: How far it has come.
        recorded: How much of that the journal knows.
        arrived: Whether a body without a known end was read to its end.
        lock: Held while `at` or `end` changes.
    """

    assembly: Assembly
    start: int
    end: int | None
    begun_s: float
    way: Way
    buffer: bytearray | None = field(default=None, repr=False)
    unit: Unit | None = field(default=None, repr=False)
    moved: bool = field(default=False, init=False)
    replaced: bool = field(default=False, init=False)
    asked_s: float = field(default=0.0, init=False)
    came_s: float | None = field(default=None, init=False)
    at: int = field(init=False)
    recorded: int = field(init=False)
    arrived: bool = field(default=False, init=False)
    answered_s: float | None = field(default=None, init=False)
    lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)
    _asked_end: int | None = field(init=False)

    def __post_init__(self) -> None:
        self.at = self.recorded = self.start
        self._asked_end = self.end

    @property
    def done(self) -> bool:
        """Whether nothing is left of it: all has come, or others took what was left."""
        return self.at == self.end

    @property
    def relieved(self) -> bool:
        """Whether others took some of it."""
        return self.end != self._asked_end

    @property
    def fruitful(self) -> bool:
        """Whether its connection is worth having: it ended its piece itself, or brought what a bad one would not."""
        return self.at - self.start >= PROGRESS_BYTES or self.at == self._asked_end

    @property
    def safe(self) -> bool:
        """Whether the journal knows all of it, so that its worker need not be waited for."""
        return self.recorded == self.end

    @property
    def left_bytes(self) -> int | None:
        """How much is still to come; None where nobody knows."""
        return None if self.end is None else self.end - self.at

    def rate_bytes_per_s(self, now_s: float) -> float:
        """How fast it has come since it was answered."""
        since_s = self.begun_s if self.answered_s is None else self.answered_s
        return (self.at - self.start) / max(now_s - since_s, 0.001)


def last_to_arrive(
    pieces: Iterable[Piece],
    now_s: float,
    patience_s: float = RELIEVE_AFTER_S,
    least_bytes: Callable[[Piece], int] = lambda _: LEAST_RELIEVED_BYTES,
) -> Piece | None:
    """Return the piece that would come last, if it is worth relieving: large enough, and slow enough to be waited for.

    A piece that was begun less than `patience_s` ago says nothing about its speed yet, and one that will be here by
    then is sooner here than anybody else could begin with it.
    """
    begun = {p: p.left_bytes or 0 for p in pieces if now_s - p.begun_s >= patience_s}
    waits_s = {p: n / max(p.rate_bytes_per_s(now_s), 1.0) for p, n in begun.items() if n >= least_bytes(p)}
    last = max(waits_s, key=waits_s.__getitem__, default=None)
    return last if last is not None and waits_s[last] >= patience_s else None


def split_at(piece: Piece, other_bytes_per_s: float, now_s: float) -> int:
    """Say where to cut what is left of a piece, so that its worker and another one end together.

    A worker that would keep next to nothing keeps nothing: its connection is silent, or not worth waiting for.
    """
    rate = piece.rate_bytes_per_s(now_s)
    kept = int((piece.left_bytes or 0) * rate / (rate + other_bytes_per_s)) if rate else 0
    return piece.at + (kept if kept >= LEAST_KEPT_BYTES else 0)


def running_mean(before: float, found: float) -> float:
    """Return a mean of rates or latencies: what was found counts a quarter, the first time all."""
    return found if not before else 0.75 * before + 0.25 * found
