"""A partial file through kills and power cuts, as many as Hypothesis likes: what it vouches for is there.

Not the journal's words but the bytes themselves are looked at: after a power cut, whatever was not synced is rubbish,
and the journal loses what it had not synced either.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from internlm_setup.fetch.transfer.spans import Spans
from internlm_setup.fetch.transfer.store import Partial

SIZE = 3000
TRUTH = bytes(1 + n % 251 for n in range(SIZE))  # no zero, so that a hole never looks right
RUBBISH = b"\0"
offsets = st.integers(0, SIZE)


class Lives(RuleBasedStateMachine):
    """One partial file, and what may be believed about it."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.boots = 0
        self.recorded = Spans()
        self.durable = Spans()  # what is on the disk for good
        self.sure = Spans()  # what of that the journal must know after a power cut
        self.open()

    def open(self) -> None:
        self.partial = Partial(self.folder, "key", SIZE)
        self.journal = self.folder / "key.pieces"
        self.safe_length = self.journal.stat().st_size  # opening leaves a synced journal
        self.recorded = Spans(self.present())

    def present(self) -> list[tuple[int, int]]:
        """Return what the partial file vouches for."""
        holes = self.partial.holes(0, SIZE)
        starts, ends = [0, *(b for _, b in holes)], [*(a for a, _ in holes), SIZE]
        return [(a, b) for a, b in zip(starts, ends, strict=True) if a < b]

    @rule(start=offsets, end=offsets)
    def bring(self, start: int, end: int) -> None:
        """Write some bytes and tell the journal."""
        self.partial.write(start, TRUTH[start:end])
        if start < end:
            self.partial.record(start, end)
            self.recorded.add(start, end)

    @rule(start=offsets, end=offsets)
    def write_only(self, start: int, end: int) -> None:
        """Write some bytes and be interrupted before the journal hears of it."""
        for a, b in self.recorded.holes(start, end):
            self.partial.write(a, RUBBISH * (b - a))

    @rule()
    def checkpoint(self) -> None:
        """Bring all of it to the disk."""
        self.partial.checkpoint()
        self.durable, self.sure = Spans(self.recorded), Spans(self.recorded)
        self.safe_length = self.journal.stat().st_size

    @rule()
    def kill(self) -> None:
        """End the process at once: nothing recorded is lost."""
        before = list(self.recorded)
        self.partial.close()
        self.open()
        assert self.present() == before

    @rule(lost=st.integers(0, 400), rubbish=st.binary(max_size=60), bit=st.none() | st.integers(0, 5000))
    def kill_and_damage(self, lost: int, rubbish: bytes, bit: int | None) -> None:
        """End it, cut the journal at any byte, put anything behind it, flip a bit: nothing is made up."""
        before = Spans(self.recorded)
        self.partial.close()
        data = bytearray(self.journal.read_bytes())
        if bit is not None:
            data[bit // 8 % len(data)] ^= 1 << bit % 8
        self.journal.write_bytes(bytes(data[: max(0, len(data) - lost)]) + rubbish)
        self.open()
        assert not [hole for a, b in self.present() for hole in before.holes(a, b)]
        for a, b in self.recorded.holes(0, SIZE):
            self.durable.cut(a, b)
        self.sure = Spans()

    @precondition(lambda self: self.journal.exists())
    @rule(data=st.data())
    def power_cut(self, data: st.DataObject) -> None:
        """Lose every byte that was not synced, and any tail of the journal that was not."""
        self.partial.close()
        with (self.folder / "key.bytes").open("r+b") as file:
            for a, b in self.durable.holes(0, SIZE):
                file.seek(a)
                file.write(RUBBISH * (b - a))
        whole = self.journal.read_bytes()
        left = data.draw(st.integers(self.safe_length, len(whole)))
        self.boots += 1
        head, _, rest = whole[:left].partition(b"\n")
        other = re.sub(rb'"boot": "[^"]*"', b'"boot": "another-%d"' % self.boots, head)
        self.journal.write_bytes(other + b"\n" + rest)
        self.open()
        assert not [hole for a, b in self.present() for hole in self.durable.holes(a, b)]
        assert not [hole for a, b in self.sure for hole in self.recorded.holes(a, b)]
        self.durable, self.sure = Spans(self.recorded), Spans(self.recorded)

    @invariant()
    def what_it_vouches_for_is_there(self) -> None:
        if hasattr(self, "partial"):
            there = (self.folder / "key.bytes").read_bytes()
            assert all(there[a:b] == TRUTH[a:b] for a, b in self.present())

    def teardown(self) -> None:
        if hasattr(self, "partial"):
            self.partial.close()
            shutil.rmtree(self.folder)


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
