"""Who gets which piece next, and when a run ends."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from fakes import StillClock, sha256
from internlm_setup.core.errors import SetupError
from internlm_setup.core.files import CannotWrite
from internlm_setup.core.text import Text
from internlm_setup.fetch.errors import FileMissing
from internlm_setup.fetch.model import Location
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.transfer.assembly import Assembly
from internlm_setup.fetch.transfer.board import MOST_DEAD_IN_A_ROW, Board
from internlm_setup.fetch.transfer.errors import FileRefused, TransferFailed
from internlm_setup.fetch.transfer.piece import PROGRESS_BYTES
from internlm_setup.fetch.transfer.plan import Content, Source
from internlm_setup.fetch.transfer.store import Store

DEAD = TransferFailed("x", "one", Text(en="why", zh="为何"))
GONE = FileMissing("one", "x", 404)
REFUSED = FileRefused("one", "x", 403)
FULL = CannotWrite("/x", Text(en="the disk is full", zh="磁盘已满"))
DATA = b"abc"


def assemblies_in(folder: Path, count: int, size_bytes: int = 3) -> list[Assembly]:
    """Return assemblies of contents, small ones unless told otherwise."""
    source = Source("one", lambda: Location("https://one.test/", "https://one.test:443"))
    contents = (Content(f"k{n}", size_bytes, sha256(DATA), None, (f"f{n}",), (source,)) for n in range(count))
    return [Assembly(content, Store(folder), jobs=1) for content in contents]


def board_of(assemblies: list[Assembly]) -> tuple[Board, list[events.Event]]:
    """Return a board and the list of what it tells."""
    told: list[events.Event] = []
    return Board(assemblies, told.append, StillClock()), told


def test_pieces_in_order(tmp_path: Path) -> None:
    """Contents begin in the given order, each told when its first piece goes out."""
    board, told = board_of(assemblies_in(tmp_path, 2))
    pieces = [board.next_piece(), board.next_piece()]
    assert [p.assembly.content.paths for p in pieces if p] == [("f0",), ("f1",)]
    assert told == [events.FileStarted("f0", 3, 0), events.FileStarted("f1", 3, 0)]
    assert board.growing() == []


def test_nothing_to_do() -> None:
    """A board without contents sends everybody home."""
    board, _ = board_of([])
    assert (board.next_piece(), board.next_to_hash()) == (None, None)


def test_a_complete_content_is_hashed_once(tmp_path: Path) -> None:
    """A content whose bytes are all here goes to one hasher; when it is finished, everybody goes home."""
    board, _ = board_of(assemblies_in(tmp_path, 1))
    piece = board.next_piece()
    assert piece is not None
    piece.assembly.store_block(piece, DATA)
    piece.assembly.give_back(piece, 0.0)
    board.settle(piece.assembly)
    board.settle(piece.assembly)
    assert board.next_to_hash() is piece.assembly
    piece.assembly.finished = True
    assert (board.next_to_hash(), board.next_piece()) == (None, None)


def test_a_content_that_waits_is_passed_over(tmp_path: Path) -> None:
    """While one content waits to be asked again, the next one's pieces go out."""
    one, two = assemblies_in(tmp_path, 2)
    board, _ = board_of([one, two])
    piece = board.next_piece()
    assert piece is not None
    one.give_back(piece, 0.0)
    one.ways[0].not_before_s = StillClock().monotonic() + 60
    following = board.next_piece()
    assert following is not None
    assert following.assembly is two


def test_stopped(tmp_path: Path) -> None:
    """After a stop nobody gets work, and the first reason is kept."""
    board, _ = board_of(assemblies_in(tmp_path, 3))
    board.stop(DEAD)
    board.stop(KeyError())
    assert (board.next_piece(), board.next_to_hash(), board.fatal) == (None, None, DEAD)


def test_a_stop_wakes_who_waits(tmp_path: Path) -> None:
    """Somebody who waits for work learns of a stop."""
    (assembly,) = assemblies_in(tmp_path, 1)
    board, _ = board_of([assembly])
    board.next_piece()
    got: list[object] = []
    waiting = threading.Thread(target=lambda: got.append(board.next_piece()), daemon=True)
    waiting.start()
    board.stop()
    waiting.join(timeout=20)
    assert got == [None]


@pytest.mark.parametrize(("error", "stops"), [(REFUSED, True), (FULL, True), (GONE, False), (DEAD, False)])
def test_what_ends_the_whole_run(tmp_path: Path, error: SetupError, stops: bool) -> None:
    """A refusal and a full disk end the run; a missing file, or one that nobody sends, fails alone."""
    board, told = board_of(assemblies_in(tmp_path, 2))
    piece = board.next_piece()
    assert piece is not None
    board.fail(piece.assembly, error)
    assert piece.assembly.error is error
    assert board.cancelled.is_set() is stops
    failed = told[-1]
    assert isinstance(failed, events.FileFailed)
    assert (failed.path, failed.reason.en) == ("f0", error.message())


def test_several_dead_in_a_row(tmp_path: Path) -> None:
    """Three contents in a row that nobody would send end the run: the rest would fail alike."""
    assemblies = assemblies_in(tmp_path, MOST_DEAD_IN_A_ROW)
    board, _ = board_of(assemblies)
    for assembly in assemblies[:-1]:
        board.fail(assembly, DEAD)
    assert not board.cancelled.is_set()
    board.fail(assemblies[-1], DEAD)
    assert board.fatal is DEAD


def test_a_living_source_starts_the_count_anew(tmp_path: Path) -> None:
    """New bytes that stay show that the source is alive; bytes that were here already do not."""
    dead = assemblies_in(tmp_path, MOST_DEAD_IN_A_ROW)
    (living,) = assemblies_in(tmp_path, 1, size_bytes=1 << 20)
    living.open()
    board, told = board_of([*dead, living])
    piece, way = living.take(0.0), living.ways[0]
    assert piece is not None
    piece.at = PROGRESS_BYTES
    for assembly in dead:
        way.failures = 4
        board.fail(assembly, DEAD)
        board.count(piece, 3, 3)
    assert (way.failures, board.cancelled.is_set()) == (0, False)
    way.failures = 4
    board.count(piece, 5, 0)
    assert (way.failures, board.received_bytes) == (4, 3 * MOST_DEAD_IN_A_ROW + 5)
    assert way.supplier.received_bytes == board.received_bytes
    assert [e for e in told if isinstance(e, events.Advanced)] == [events.Advanced("f0", 3)] * MOST_DEAD_IN_A_ROW


def test_a_finished_content_starts_the_count_anew(tmp_path: Path) -> None:
    """So does a content that is in place."""
    *dead, living = assemblies_in(tmp_path, MOST_DEAD_IN_A_ROW + 1)
    board, _ = board_of([*dead, living])
    for assembly in dead[:-1]:
        board.fail(assembly, DEAD)
    board.finish(living, [])
    board.fail(dead[-1], DEAD)
    assert (living.finished, board.cancelled.is_set()) == (True, False)


def test_failed_only_once(tmp_path: Path) -> None:
    """A content that is done with cannot fail again."""
    (assembly,) = assemblies_in(tmp_path, 1)
    board, told = board_of([assembly])
    board.fail(assembly, GONE)
    board.fail(assembly, FULL)
    assert (assembly.error, board.fatal, len(told)) == (GONE, None, 1)


def test_growing_files(tmp_path: Path) -> None:
    """The partial files that more is coming for are known: they are synced now and then."""
    (large,) = assemblies_in(tmp_path, 1, size_bytes=1 << 20)
    board, _ = board_of([large])
    piece = board.next_piece()
    assert piece is not None
    assert board.growing() == [large.partial]
    piece.at = 1 << 20
    large.give_back(piece, 0.0)
    assert board.growing() == []


def test_asked_to_pause(tmp_path: Path) -> None:
    """While a server has asked us to wait nothing is handed out; a shorter wait does not end a longer one."""
    clock = StillClock()
    (assembly,) = assemblies_in(tmp_path, 1)
    board = Board([assembly], events.ignore, clock)
    gate, now_s = assembly.ways[0].supplier.gate, clock.monotonic()
    for wait_s in (60.0, 0.0, 5.0):
        gate.refused(now_s, now_s, wait_s)
    got: list[object] = []
    waiting = threading.Thread(target=lambda: got.append(board.next_piece()), daemon=True)
    waiting.start()
    clock.seconds += 30
    waiting.join(timeout=0.5)
    assert got == []
    clock.seconds += 31
    waiting.join(timeout=20)
    assert len(got) == 1
