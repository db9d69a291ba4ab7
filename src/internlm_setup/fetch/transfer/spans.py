"""Which bytes of a content are here: sorted, disjoint, half-open spans."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

Span = tuple[int, int]


class Spans:
    """A set of byte offsets kept as half-open spans that never touch. Not thread-safe."""

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in spans:
            self.add(start, end)

    def __iter__(self) -> Iterator[Span]:
        return iter(list(zip(self._starts, self._ends, strict=True)))

    def __repr__(self) -> str:
        return f"Spans({list(self)})"

    @property
    def size_bytes(self) -> int:
        """How many bytes are in the set."""
        return sum(self._ends) - sum(self._starts)

    @property
    def prefix_bytes(self) -> int:
        """How many bytes are here from offset 0 without a hole: what an in-order hash may read."""
        return self._ends[0] if self._starts and self._starts[0] == 0 else 0

    def add(self, start: int, end: int) -> None:
        """Put `start` to `end` into the set; overlaps are fine, an empty span changes nothing."""
        if start >= end:
            return
        low = bisect_left(self._ends, start)
        high = bisect_right(self._starts, end)
        if low < high:
            start, end = min(start, self._starts[low]), max(end, self._ends[high - 1])
        self._starts[low:high] = [start]
        self._ends[low:high] = [end]

    def cut(self, start: int, end: int) -> None:
        """Take `start` to `end` out of the set."""
        kept = Spans()
        for a, b in self:
            kept.add(a, min(b, start))
            kept.add(max(a, end), b)
        self._starts, self._ends = kept._starts, kept._ends

    def holes(self, start: int, end: int) -> list[Span]:
        """Return what is not in the set between `start` and `end`, in order."""
        found: list[Span] = []
        at = start
        for index in range(bisect_right(self._ends, start), len(self._starts)):
            if self._starts[index] >= end:
                break
            if self._starts[index] > at:
                found.append((at, self._starts[index]))
            at = max(at, self._ends[index])
        if at < end:
            found.append((at, end))
        return found
