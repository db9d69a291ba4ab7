"""One content being put together: pieces out, pieces back, and the verdict."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes import git_sha1, sha256
from internlm_setup.fetch.model import Location
from internlm_setup.fetch.transfer.assembly import FEW_IN_FLIGHT, LAG_BYTES, MOST_LAG_BYTES, SMALL_BYTES, Assembly
from internlm_setup.fetch.transfer.errors import HashMismatch
from internlm_setup.fetch.transfer.manifest import Entry
from internlm_setup.fetch.transfer.piece import Piece
from internlm_setup.fetch.transfer.plan import Content, Source
from internlm_setup.fetch.transfer.prefixes import PIECE_BYTES, load
from internlm_setup.fetch.transfer.relief import move
from internlm_setup.fetch.transfer.store import Store
from internlm_setup.fetch.transfer.verify import WrongPiece

LARGE = bytes(range(256)) * 4096 * 10  # 10 MiB: three pieces
SMALL = b"small content"
RUN = threading.Event()


def locator(hub: str) -> Callable[[], Location]:
    """Return a hub's way of saying where, a new address each time it is asked."""
    asked: list[int] = []

    def locate() -> Location:
        asked.append(1)
        return Location(f"https://{hub}.test/{len(asked)}", f"https://{hub}.test:443")

    return locate


def assembly_of(
    folder: Path,
    data: bytes,
    *paths: str,
    size: int | None = -1,
    sha: str | None = "",
    git: str | None = None,
    hubs: Sequence[str] = ("one", "two"),
) -> Assembly:
    """Return an opened assembly of these bytes; -1 and empty stand for the true size and hash."""
    sources = tuple(Source(hub, locator(hub)) for hub in hubs)
    size_bytes = len(data) if size == -1 else size
    digest = sha256(data) if sha == "" else sha
    content = Content("key", size_bytes, digest, git, paths or ("model.bin",), sources)
    assembly = Assembly(content, Store(folder), jobs=2)
    assembly.open()
    return assembly


def carry(assembly: Assembly, piece: Piece, data: bytes, count: int | None = None) -> None:
    """Bring some bytes of a piece, or all of it, and give it back."""
    end = len(data) if piece.end is None else piece.end
    stop = end if count is None else min(end, piece.at + count)
    block = data[piece.at : stop]
    start = piece.at
    assembly.store_block(piece, block)
    if assembly.partial is not None and block:
        assembly.partial.record(start, stop)
    piece.arrived = piece.end is None and stop == end
    assembly.give_back(piece, 0.0)


def finish(assembly: Assembly) -> list[Entry]:
    """Verify and put in place; each entry must be told before its file is there."""
    told: list[Entry] = []

    def tell(entry: Entry) -> None:
        assert not (assembly.store.folder / entry.path).exists()
        told.append(entry)

    assert assembly.finish(tell, RUN) == told
    return told


def unwanted(entry: Entry) -> None:
    """Refuse to be told anything."""
    raise AssertionError(entry.path)


def carry_all(assembly: Assembly, data: bytes) -> None:
    """Bring everything."""
    while (piece := assembly.take(0.0)) is not None:
        carry(assembly, piece, data)


@settings(max_examples=15)
@given(st.data())
def test_pieces_lost_and_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """However many pieces are out at once and however far each gets, the whole comes together, each byte once."""
    folder = tmp_path_factory.mktemp("here")
    assembly = assembly_of(folder, LARGE)
    out: list[Piece] = []
    asked = 0
    for _ in range(data.draw(st.integers(0, 8))):
        piece = assembly.take(0.0)
        out += [piece] if piece else []
        if out:
            chosen = out.pop(data.draw(st.integers(0, len(out) - 1)))
            before = assembly.kept_bytes
            carry(assembly, chosen, LARGE, data.draw(st.integers(0, 5 << 20)))
            asked += assembly.kept_bytes - before
    for piece in out:
        assembly.give_back(piece, 0.0)
    kept = assembly.kept_bytes
    assert kept == asked
    carry_all(assembly, LARGE)
    assert assembly.complete
    (entry,) = finish(assembly)
    assert (folder / "model.bin").read_bytes() == LARGE
    assert (entry.sha256, entry.git_sha1, entry.proof) == (sha256(LARGE), git_sha1(LARGE), "sha256")


def test_goes_on_in_the_next_run(tmp_path: Path) -> None:
    """What one run recorded, the next does not ask for; nothing is handed out when all is there."""
    first = assembly_of(tmp_path, LARGE)
    carry_all(first, LARGE)
    assert first.partial is not None
    first.partial.close()
    second = assembly_of(tmp_path, LARGE)
    assert (second.take(0.0), second.complete, second.kept_bytes) == (None, True, len(LARGE))
    finish(second)


def test_small_content_stays_in_memory(tmp_path: Path) -> None:
    """A small content leaves no partial file; an attempt that broke off begins anew."""
    assembly = assembly_of(tmp_path, SMALL)
    piece = assembly.take(0.0)
    assert piece is not None
    carry(assembly, piece, SMALL, 5)
    assert (assembly.kept_bytes, assembly.complete) == (0, False)
    assert not (tmp_path / ".internlm-setup").exists()
    carry_all(assembly, SMALL)
    (entry,) = finish(assembly)
    assert (tmp_path / "model.bin").read_bytes() == SMALL
    assert entry.unchanged(tmp_path)


@pytest.mark.parametrize("size", [0, SMALL_BYTES, SMALL_BYTES + 1])
def test_sizes_at_the_border(tmp_path: Path, size: int) -> None:
    """Empty, just small and just large contents all arrive."""
    data = b"x" * size
    assembly = assembly_of(tmp_path, data)
    carry_all(assembly, data)
    finish(assembly)
    assert (tmp_path / "model.bin").read_bytes() == data


@pytest.mark.parametrize("data", [LARGE, SMALL, b""])
def test_unknown_size(tmp_path: Path, data: bytes) -> None:
    """A content of unknown size is one stream to its end; git's hash can be told afterwards."""
    assembly = assembly_of(tmp_path, data, size=None, sha=None)
    piece = assembly.take(0.0)
    assert piece is not None
    assert (piece.start, piece.end, assembly.take(0.0)) == (0, None, None)
    carry(assembly, piece, data)
    assert assembly.complete
    (entry,) = finish(assembly)
    assert (entry.size_bytes, entry.git_sha1, entry.proof) == (len(data), git_sha1(data), "none")
    assert entry.proof_from is None


def test_a_server_without_ranges(tmp_path: Path) -> None:
    """A server known to send whole bodies is asked for one stream, and bytes that are here are not written again."""
    assembly = assembly_of(tmp_path, LARGE)
    piece = assembly.take(0.0)
    assert piece is not None
    carry(assembly, piece, LARGE, 1 << 20)
    waiting = assembly.take(0.0)
    assert waiting is not None
    assembly.one_stream()
    assembly.give_back(waiting, 0.0)
    whole = assembly.take(0.0)
    assert whole is not None
    assert (whole.start, whole.end, assembly.take(0.0)) == (0, len(LARGE), None)
    assert assembly.store_block(whole, LARGE[: 2 << 20]) == 1 << 20
    assert assembly.partial is not None
    assembly.partial.record(0, 2 << 20)
    carry(assembly, whole, LARGE)
    finish(assembly)
    assert (tmp_path / "model.bin").read_bytes() == LARGE


@pytest.mark.parametrize(
    ("sha", "git", "kind"),
    [("0" * 64, None, "sha256"), (None, "0" * 40, "git-sha1"), ("0" * 64, "0" * 40, "sha256")],
)
@pytest.mark.parametrize("data", [LARGE, SMALL])
def test_corrupt(tmp_path: Path, data: bytes, sha: str | None, git: str | None, kind: str) -> None:
    """Bytes that are not the published ones are thrown away, with both hashes and the hub that sent them named."""
    assembly = assembly_of(tmp_path, data, sha=sha, git=git, hubs=["one"])
    carry_all(assembly, data)
    with pytest.raises(HashMismatch) as caught:
        finish(assembly)
    error = caught.value
    assert (error.path, error.hub, error.kind, set(error.expected)) == ("model.bin", "one", kind, {"0"})
    assert error.actual == (sha256(data) if kind == "sha256" else git_sha1(data))
    assert not (tmp_path / "model.bin").exists()
    assembly.open()
    assert (assembly.kept_bytes, assembly.complete) == (0, False)


@pytest.mark.parametrize("data", [LARGE, SMALL])
def test_several_paths(tmp_path: Path, data: bytes) -> None:
    """A content that is listed under several names is fetched once and put under each."""
    assembly = assembly_of(tmp_path, data, "a.bin", "sub/b.bin")
    carry_all(assembly, data)
    entries = finish(assembly)
    assert [e.path for e in entries] == ["a.bin", "sub/b.bin"]
    assert all(e.unchanged(tmp_path) for e in entries)
    assert (tmp_path / "sub" / "b.bin").read_bytes() == data


def test_cancelled(tmp_path: Path) -> None:
    """A cancelled finish puts nothing in place and keeps what is there."""
    assembly = assembly_of(tmp_path, LARGE)
    carry_all(assembly, LARGE)
    cancelled = threading.Event()
    cancelled.set()
    assert assembly.finish(unwanted, cancelled) is None
    assert not (tmp_path / "model.bin").exists()
    assert assembly.kept_bytes == len(LARGE)


def known_from_before(folder: Path) -> Assembly:
    """Return an assembly whose prefix digests an earlier run left, and whose bytes are all here, two of them wrong."""
    first = assembly_of(folder, LARGE)
    while (piece := first.take(0.0)) is not None:
        carry(first, piece, LARGE)
    finish(first)
    (folder / "model.bin").unlink()
    again = assembly_of(folder, LARGE)
    bad = bytearray(LARGE)
    bad[5] ^= 1
    bad[-1] ^= 1
    while (piece := again.take(0.0)) is not None:
        carry(again, piece, bytes(bad))
    return again


def test_prefix_digests_are_left_by_a_finished_content(tmp_path: Path) -> None:
    """For a content of more than one piece, what its hash was at the end of each."""
    known_from_before(tmp_path)
    expected = (bytes.fromhex(sha256(LARGE[:PIECE_BYTES])), bytes.fromhex(sha256(LARGE)))
    assert load(tmp_path / ".internlm-setup", sha256(LARGE), len(LARGE)) == expected


def test_wrong_pieces_come_again_one_after_the_other(tmp_path: Path) -> None:
    """Each is named by the hash, queued alone, and the verdict at the end is as if nothing had been wrong."""
    assembly = known_from_before(tmp_path)
    for start, end in ((0, PIECE_BYTES), (PIECE_BYTES, len(LARGE))):
        with pytest.raises(WrongPiece) as caught:
            assembly.finish(unwanted, RUN)
        assembly.refetch(caught.value)
        assert assembly.queue == [(start, end)]
        carry_all(assembly, LARGE)
    assert [e.sha256 for e in finish(assembly)] == [sha256(LARGE)]


def test_a_piece_that_is_wrong_twice_is_left_to_the_whole_hash(tmp_path: Path) -> None:
    """Then the digests are believed no longer, and the published hash decides."""
    assembly = known_from_before(tmp_path)
    with pytest.raises(WrongPiece) as caught:
        assembly.finish(unwanted, RUN)
    assembly.refetch(caught.value)
    carry_all(assembly, bytes(len(LARGE)))
    with pytest.raises(HashMismatch):
        assembly.finish(unwanted, RUN)


def test_a_wrong_piece_of_one_stream(tmp_path: Path) -> None:
    """Where the server knows no ranges, the piece is a hole in a stream from the start."""
    assembly = known_from_before(tmp_path)
    assembly.one_stream()
    with pytest.raises(WrongPiece) as caught:
        assembly.finish(unwanted, RUN)
    assembly.refetch(caught.value)
    assert assembly.queue == [(0, len(LARGE))]
    piece = assembly.take(0.0)
    assert piece is not None
    assert assembly.store_block(piece, LARGE) == PIECE_BYTES


@pytest.mark.parametrize("data", [LARGE, SMALL])
def test_nobody_waits_for_a_worker_whose_piece_was_moved(tmp_path: Path, data: bytes) -> None:
    """Others bring all of it, and it is complete while he still waits; what he brings later is dropped."""
    assembly = assembly_of(tmp_path, data)
    stuck = assembly.take(0.0)
    assert stuck is not None
    assert move(assembly, stuck)
    assert assembly.ways[0].supplier.busy == 0
    while (piece := assembly.take(0.0, assembly.ways[1])) is not None:
        carry(assembly, piece, data)
    assert assembly.complete
    assembly.store_block(stuck, b"late")
    assembly.give_back(stuck, 9.0)
    assert (assembly.complete, assembly.in_flight, assembly.senders) == (True, [], "two")
    finish(assembly)
    assert (tmp_path / "model.bin").read_bytes() == data


def test_a_source_is_asked_for_as_much_as_it_can_bring(tmp_path: Path) -> None:
    """Where others could have the rest, a slow source gets a small part of a span, and the rest stays queued."""
    assembly = assembly_of(tmp_path, bytes(32 << 20))
    way = assembly.ways[1]
    way.supplier.rate_bytes_per_s = 300_000.0
    before = assembly.queue[0]
    piece = assembly.take(0.0, way)
    assert piece is not None
    assert (piece.start, piece.end) == (0, way.supplier.portion_bytes)
    assert assembly.queue[0] == (way.supplier.portion_bytes, before[1])


def test_fetching_waits_for_the_hash(tmp_path: Path) -> None:
    """While the hash of new bytes lags, few pieces go out, and none when it lags far; then they go out again."""
    data = bytes(256 << 20)
    assembly = assembly_of(tmp_path, data)
    for wanted in (LAG_BYTES, MOST_LAG_BYTES):
        while assembly.partial is not None and assembly.partial.prefix_bytes < wanted:
            piece = assembly.take(0.0)
            assert piece is not None
            carry(assembly, piece, data)
    assert assembly.take(0.0) is None
    assert assembly.hasher is not None
    assembly.hasher.advance(100 << 20, RUN)
    out = [piece for _ in range(FEW_IN_FLIGHT + 1) if (piece := assembly.take(0.0)) is not None]
    assert len(out) == FEW_IN_FLIGHT
    assembly.hasher.advance(MOST_LAG_BYTES, RUN)
    assert assembly.take(0.0) is not None


def test_bytes_of_an_earlier_run_let_nobody_wait(tmp_path: Path) -> None:
    """What was there already is hashed while the rest comes, however long that takes."""
    data = bytes(160 << 20)
    first = assembly_of(tmp_path, data)
    assert first.partial is not None
    first.partial.write(0, data[: 150 << 20])
    first.partial.record(0, 150 << 20)
    first.partial.close()
    assert assembly_of(tmp_path, data).take(0.0) is not None
