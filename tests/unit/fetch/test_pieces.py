"""Pieces of the real queue: they cover exactly what is missing, whatever is here, and however they are taken over."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import sha256
from internlm_setup.fetch.model import Location
from internlm_setup.fetch.transfer.assembly import SMALL_BYTES, Assembly
from internlm_setup.fetch.transfer.piece import Piece
from internlm_setup.fetch.transfer.plan import Content, Source, piece_bytes
from internlm_setup.fetch.transfer.relief import relieve
from internlm_setup.fetch.transfer.spans import Span, Spans
from internlm_setup.fetch.transfer.store import Store

LARGEST = 64 << 30
DATA = bytes(range(251)) * (9 << 20 >> 8)  # three pieces, the last one odd
whole_pieces = st.integers(1, 40).map(lambda count: count * piece_bytes(1, 1))
sizes = st.builds(int.__add__, whole_pieces, st.integers(-1, 1)) | st.integers(SMALL_BYTES + 1, LARGEST)


@contextmanager
def assembly_of(size: int, digest: str, jobs: int, had: list[Span]) -> Iterator[Assembly]:
    """Open an assembly in a folder where these spans are said to be here already."""
    folder = Path(tempfile.mkdtemp())
    partial = Store(folder).partial("key", size)
    for start, end in had:
        partial.record(start, end)
    partial.close()
    source = Source("one", lambda: Location("https://one.test/", "https://one.test:443"))
    assembly = Assembly(Content("key", size, digest, None, ("model.bin",), (source,)), Store(folder), jobs)
    assembly.open()
    try:
        yield assembly
    finally:
        if assembly.partial is not None:
            assembly.partial.close()
        shutil.rmtree(folder)


def inside(had: list[Span], size: int) -> list[Span]:
    """Make spans of a file of this size out of any."""
    spans = [(start % size, min(size, start % size + length)) for start, length in had]
    return [(a, b) for a, b in spans if a < b]


@settings(max_examples=60)
@given(sizes, st.integers(1, 64), st.lists(st.tuples(st.integers(0, LARGEST), st.integers(0, LARGEST)), max_size=8))
def test_the_queue_is_what_is_missing(size: int, jobs: int, had: list[Span]) -> None:
    """Each missing byte is in one piece, no byte that is here in any, and none is longer than one should be."""
    here = inside(had, size)
    with assembly_of(size, "0" * 64, jobs, here) as assembly:
        spans: list[Span] = []
        while (piece := assembly.take(0.0)) is not None:
            assert piece.end is not None
            spans.append((piece.start, piece.end))
    assert list(Spans(spans)) == Spans(here).holes(0, size)
    assert sum(b - a for a, b in spans) == Spans(spans).size_bytes
    assert all(0 < b - a <= piece_bytes(size, jobs) for a, b in spans)


Step = tuple[str, int, int]
steps = st.lists(
    st.tuples(
        st.sampled_from(["take", "relieve", "bring", "bring", "give back"]), st.integers(0, 9), st.integers(0, 3 << 20)
    ),
    max_size=25,
)


class Workers:
    """Who is on which piece, and how many bytes have come in all."""

    def __init__(self, assembly: Assembly) -> None:
        self.assembly = assembly
        self.out: list[Piece] = []
        self.now_s = 0.0
        self.stored_bytes = 0

    def step(self, what: str, who: int, count: int) -> None:
        """Do one thing, a second after the last."""
        self.now_s += 1.0
        if what in {"take", "relieve"}:
            piece = self.assembly.take(self.now_s) if what == "take" else relieve(self.assembly, self.now_s)
            self.out += [piece] if piece is not None else []
        elif self.out and what == "bring":
            self.bring(self.out[who % len(self.out)], count)
        elif self.out:
            self.give_back(self.out.pop(who % len(self.out)))

    def bring(self, piece: Piece, count: int) -> None:
        self.stored_bytes += self.assembly.store_block(piece, DATA[piece.at : piece.at + count])

    def give_back(self, piece: Piece) -> None:
        with piece.lock:
            self.assembly.record(piece)
        self.assembly.give_back(piece, self.now_s)

    def end(self) -> None:
        """Let everybody stop where he is, then bring what is missing."""
        for left in self.out:
            self.give_back(left)
        while (piece := self.assembly.take(self.now_s)) is not None:
            self.bring(piece, len(DATA))
            self.give_back(piece)


@settings(max_examples=50)
@given(
    st.integers(0, 4),
    steps,
    st.integers(1, 8),
    st.lists(st.tuples(st.integers(0, len(DATA)), st.integers(0, 2 << 20)), max_size=2),
)
def test_pieces_taken_over(begun: int, history: list[Step], jobs: int, had: list[Span]) -> None:
    """However pieces are taken, taken over, left and given back, every missing byte is stored once, and all are."""
    here = inside(had, len(DATA))
    with assembly_of(len(DATA), sha256(DATA), jobs, here) as assembly:
        assert assembly.partial is not None
        for start, end in here:
            assembly.partial.write(start, DATA[start:end])
        workers = Workers(assembly)
        for step in [("take", 0, 0)] * begun + history:
            workers.step(*step)
        workers.end()
        assert assembly.complete
        assert workers.stored_bytes == len(DATA) - Spans(here).size_bytes
        assert assembly.partial.path.read_bytes() == DATA
