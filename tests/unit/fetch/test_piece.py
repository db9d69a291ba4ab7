"""Taking over what is left of a slow piece."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import sha256
from internlm_setup.fetch.model import Location
from internlm_setup.fetch.transfer.assembly import Assembly
from internlm_setup.fetch.transfer.piece import LEAST_KEPT_BYTES, Piece, last_to_arrive, split_at
from internlm_setup.fetch.transfer.plan import Content, Source
from internlm_setup.fetch.transfer.relief import relieve
from internlm_setup.fetch.transfer.store import Store

DATA = bytes(range(256)) * 4096 * 8  # 8 MiB: two pieces
MIB = 1 << 20


@pytest.fixture
def assembly(tmp_path: Path) -> Assembly:
    """Return an opened assembly of the data."""
    source = Source("one", lambda: Location("https://one.test/", "https://one.test:443"))
    made = Assembly(Content("key", len(DATA), sha256(DATA), None, ("f",), (source,)), Store(tmp_path), jobs=1)
    made.open()
    return made


def bring(piece: Piece, count: int) -> None:
    """Store some bytes of a piece without telling the journal."""
    piece.assembly.store_block(piece, DATA[piece.at : piece.at + count])


def test_the_last_to_arrive(assembly: Assembly) -> None:
    """The piece that would take longest is chosen; one just begun, nearly done or soon here is none."""
    fast, slow = (
        Piece(assembly, 0, 4 * MIB, 0.0, assembly.ways[0]),
        Piece(assembly, 4 * MIB, 8 * MIB, 0.0, assembly.ways[0]),
    )
    bring(fast, 2 * MIB)
    bring(slow, 1024)
    assert last_to_arrive([fast, slow], 10.0) is slow
    assert last_to_arrive([fast, slow], 0.1) is None
    assert last_to_arrive([fast], 0.5) is fast
    bring(slow, 4 * MIB - 2048)
    assert last_to_arrive([slow], 1000.0) is None


@given(st.integers(0, 4 * MIB), st.floats(0, 1e9), st.floats(0.5, 1e6))
def test_a_cut_is_inside(come: int, fastest: float, now_s: float) -> None:
    """Wherever a piece is cut, its worker keeps nothing that has not come, and nothing beyond its end."""
    piece = Piece.__new__(Piece)
    piece.start, piece.at, piece.end, piece.begun_s = 0, come, 4 * MIB, 0.0
    cut = split_at(piece, max(fastest, piece.rate_bytes_per_s(now_s)), now_s)
    assert come <= cut <= 4 * MIB
    assert cut == come or cut - come >= LEAST_KEPT_BYTES


def test_half_each_for_equals(assembly: Assembly) -> None:
    """Two connections of one speed share what is left."""
    piece = Piece(assembly, 0, 4 * MIB, 0.0, assembly.ways[0])
    bring(piece, 2 * MIB)
    assert split_at(piece, piece.rate_bytes_per_s(5.0), 5.0) == 3 * MIB


def test_a_silent_worker_is_relieved_of_everything(assembly: Assembly) -> None:
    """What it brought counts, what it brings later does not, and the content is whole without it."""
    quick, silent = assembly.take(0.0), assembly.take(0.0)
    assert quick is not None
    assert silent is not None
    bring(quick, 4 * MIB)
    assembly.record(quick)
    assembly.give_back(quick, 1.0)
    bring(silent, 1000)
    relief = relieve(assembly, 60.0)
    assert relief is not None
    assert (silent.done, silent.at, relief.start, relief.end) == (True, 4 * MIB + 1000, 4 * MIB + 1000, 8 * MIB)
    bring(relief, 4 * MIB)
    assert (assembly.complete, assembly.kept_bytes) == (False, 4 * MIB + 1000)
    assembly.record(relief)
    assembly.give_back(relief, 61.0)
    bring(silent, 100)
    assert (assembly.complete, silent.at, assembly.kept_bytes) == (True, 4 * MIB + 1000, len(DATA))
    assembly.give_back(silent, 70.0)
    assert (assembly.complete, assembly.queue) == (True, [])


def test_a_slow_worker_keeps_its_share(assembly: Assembly) -> None:
    """Both halves together are what was left, and what a worker brings beyond its new end is dropped."""
    slow = assembly.take(0.0)
    assembly.queue = []
    assert slow is not None
    bring(slow, MIB)
    relief = relieve(assembly, 4.0)
    assert relief is not None
    assert (slow.end, relief.start, relief.end) == (MIB + 3 * MIB // 2, MIB + 3 * MIB // 2, 4 * MIB)
    bring(slow, 4 * MIB)
    assert slow.done


def test_nobody_is_relieved_needlessly(assembly: Assembly) -> None:
    """Not while pieces wait, not while somebody writes, not where nobody has brought anything."""
    first = assembly.take(0.0)
    assert first is not None
    bring(first, MIB)
    assert relieve(assembly, 60.0) is None
    assembly.queue = []
    with first.lock:
        assert relieve(assembly, 60.0) is None
    assert relieve(assembly, 60.0) is not None


def test_a_silent_source_is_not_asked_more_often(assembly: Assembly) -> None:
    """Where no connection has brought a byte, taking over would only ask again."""
    assembly.queue = assembly.queue[:1]
    assert assembly.take(0.0) is not None
    assert relieve(assembly, 60.0) is None
