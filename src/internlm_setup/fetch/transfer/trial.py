"""Who sent which bytes of a content, and which of them lied when its hash is not the published one.

What is published is one hash of the whole, so that says only that something is wrong. What one source sent is asked for
once more from another; where the two differ, one of them lies, and the hash of the whole says which.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from internlm_setup.core.files import reading
from internlm_setup.fetch.transfer.sources import Supplier
from internlm_setup.fetch.transfer.spans import Span, Spans

UNIT_BYTES = 4 << 20
_STEP_BYTES = 4 << 10
MOST_OUT = 4  # what is asked for behind a difference was asked for in vain

Sender = Supplier | None  # None: it was here before this run


class Account:
    """Who sent which bytes of one content in this run. The board's lock guards it."""

    def __init__(self) -> None:
        self._all = Spans()
        self._by_sender: dict[Supplier, Spans] = {}

    def note(self, sender: Supplier, start: int, end: int) -> None:
        """Note bytes that are here from now on; those that somebody else sent before are his."""
        for a, b in self._all.holes(start, end):
            self._by_sender.setdefault(sender, Spans()).add(a, b)
        self._all.add(start, end)

    def forget(self, start: int, end: int) -> None:
        """Note that bytes are thrown away."""
        for spans in (self._all, *self._by_sender.values()):
            spans.cut(start, end)

    def senders(self) -> list[str]:
        """Name those whose bytes are here, who sent most first."""
        sent = {s: spans.size_bytes for s, spans in self._by_sender.items() if spans.size_bytes}
        return [s.name for s in sorted(sent, key=sent.__getitem__, reverse=True)]

    def only_sender(self, start: int, end: int) -> Supplier | None:
        """Return who sent all of a span, if it was one source."""
        for sender, spans in self._by_sender.items():
            if not spans.holes(start, end):
                return sender
        return None

    def by_sender(self, size_bytes: int) -> dict[Sender, list[Span]]:
        """Return all spans of a content by who sent them."""
        found: dict[Sender, list[Span]] = {s: list(spans) for s, spans in self._by_sender.items()}
        found[None] = self._all.holes(0, size_bytes)
        return found


@dataclass(eq=False)
class Unit:
    """Some bytes to be compared, and what each source says they are, where two differ."""

    start: int
    end: int
    sender: Sender
    versions: dict[Sender, bytes] = field(default_factory=dict)


class Trial:
    """The comparison of one content's bytes across its sources. The board's lock guards it, but for `compare`."""

    def __init__(self, sent: Mapping[Sender, Sequence[Span]]) -> None:
        accused = sorted(sent, key=lambda s: s is None or not s.liar)  # known liars first
        queues = [list(_units(sender, sent[sender])) for sender in accused]
        taken_in_turn = [unit for row in zip_longest(*queues) for unit in row if unit is not None]
        known = {s for s in accused if s is not None and s.liar}
        self._waiting = deque(sorted(taken_in_turn, key=lambda unit: unit.sender not in known))
        self._out: set[Unit] = set()
        self._differing: list[Unit] = []
        self._undecided = False

    @property
    def is_due(self) -> bool:
        """Whether the hash has to decide: two sources differ, or nothing is left to compare."""
        return not self._out and (self._undecided or not self._waiting)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to compare."""
        return not self._out and not self._waiting

    def take(self, asked: Supplier) -> Unit | None:
        """Hand out what this source can tell about others; nothing while there is something to decide."""
        if self._undecided or len(self._out) >= MOST_OUT:
            return None
        unit = next((u for u in self._waiting if u.sender is not asked), None)
        if unit is not None:
            self._waiting.remove(unit)
            self._out.add(unit)
        return unit

    def give_back(self, unit: Unit, *, compared: bool) -> None:
        """Take a unit back, to be asked for once more unless it was compared."""
        self._out.discard(unit)
        if not compared:
            self._waiting.appendleft(unit)
        elif unit.versions:
            self._differing.append(unit)
            self._undecided = True

    def only(self, suppliers: Iterable[Supplier]) -> None:
        """Leave out what nobody else can be asked for any more."""
        left = set(suppliers)
        self._waiting = deque(u for u in self._waiting if left - {u.sender})

    @staticmethod
    def compare(unit: Unit, asked: Supplier, said: bytes | bytearray, path: Path) -> None:
        """Keep both versions of what differs in a unit, which is little of it: there may be many such units."""
        with reading(path), path.open("rb", buffering=0) as file:
            file.seek(unit.start)
            here = file.read(unit.end - unit.start)
        steps = range(0, len(here), _STEP_BYTES)
        differing = [at for at in steps if here[at : at + _STEP_BYTES] != said[at : at + _STEP_BYTES]]
        if differing:
            a, b = differing[0], min(differing[-1] + _STEP_BYTES, len(here))
            unit.start, unit.end = unit.start + a, unit.start + b
            unit.versions = {unit.sender: here[a:b], asked: bytes(said[a:b])}

    def decide(self, write: Callable[[int, bytes], None], is_right: Callable[[], bool]) -> tuple[bool, Sender]:
        """Suppose of each accused that he alone lies: put the others' bytes in place and look whether that is right.

        Args:
            write: Puts bytes at an offset.
            is_right: Hashes the whole.

        Returns:
            Whether it is right now, and who lied then.
        """
        accused = dict.fromkeys(s for unit in self._differing for s in unit.versions)
        for liar in accused:
            if all(liar in unit.versions for unit in self._differing):
                for unit in self._differing:
                    write(unit.start, next(said for who, said in unit.versions.items() if who is not liar))
                if is_right():
                    return True, liar
        self._undecided = False
        return False, None

    def replaced(self, liar: Sender) -> Iterator[tuple[int, int, Supplier]]:
        """Yield what came from somebody else in the end."""
        for unit in self._differing:
            for who in unit.versions:
                if who is not None and who is not liar:
                    yield unit.start, unit.end, who


def _units(sender: Sender, spans: Iterable[Span]) -> Iterator[Unit]:
    for start, end in spans:
        for at in range(start, end, UNIT_BYTES):
            yield Unit(at, min(at + UNIT_BYTES, end), sender)
