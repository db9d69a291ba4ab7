"""What is kept of a damaged file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fakes import sha256
from internlm_setup.fetch.transfer.salvage import LEAST_KEPT_BYTES, ZERO_BLOCK_BYTES, keep, worth_keeping
from internlm_setup.fetch.transfer.spans import Span
from internlm_setup.fetch.transfer.store import Store

MIB = 1 << 20
WHOLE = bytes(n % 251 + 1 for n in range(MIB)) * 4  # no zero in it
SIZE = len(WHOLE)
BLOCK = ZERO_BLOCK_BYTES


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A file that can be damaged."""
    (tmp_path / "model.bin").write_bytes(WHOLE)
    return tmp_path / "model.bin"


def blank(path: Path, start: int, end: int) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(bytes(end - start))


def spans(path: Path, *, known: bool = False) -> list[Span]:
    return worth_keeping(path, SIZE, pieces_are_known=known)


def test_too_short(damaged: Path) -> None:
    """What is there of a file that was cut is kept."""
    os.truncate(damaged, 3 * MIB + 5)
    assert spans(damaged) == spans(damaged, known=True) == [(0, 3 * MIB + 5)]


def test_too_long(damaged: Path) -> None:
    """Something was added behind a file; what is before may be all right."""
    damaged.write_bytes(WHOLE + b"more")
    assert spans(damaged) == [(0, SIZE)]


def test_a_hole(damaged: Path) -> None:
    """A hole of a sparse file is left out to the byte."""
    os.truncate(damaged, MIB)
    with damaged.open("r+b") as file:
        file.seek(2 * MIB)
        file.write(WHOLE[2 * MIB :])
    assert spans(damaged) == [(0, MIB), (2 * MIB, SIZE)]


def test_nothing_but_a_hole(damaged: Path) -> None:
    """A file that was only set to its length has nothing to keep."""
    os.truncate(damaged, 0)
    os.truncate(damaged, SIZE)
    assert spans(damaged) == []


@pytest.mark.parametrize("start", [0, 4096, MIB, MIB + 4096, MIB + 28 * 1024, SIZE - 64 * 1024])
def test_a_run_of_zeros(damaged: Path, start: int) -> None:
    """64 KiB of zeros that begin at any page are left out, with at most two blocks around them."""
    end = start + 64 * 1024
    blank(damaged, start, end)
    os.sync()
    kept = spans(damaged)
    assert all(b <= start or a >= end for a, b in kept)
    assert sum(b - a for a, b in kept) >= SIZE - (end - start) - 4 * BLOCK


def test_short_runs_of_zeros_are_no_damage(damaged: Path) -> None:
    """Less than a block of zeros is what models have anyway."""
    blank(damaged, MIB + 1, MIB + BLOCK)
    assert spans(damaged) == []


def test_nothing_to_see(damaged: Path) -> None:
    """A file of the right length without blanks: which part is bad cannot be told, unless pieces are known."""
    assert spans(damaged) == []
    assert spans(damaged, known=True) == [(0, SIZE)]


def test_blanks_are_kept_where_pieces_are_known(damaged: Path) -> None:
    """Zeros may be right; the digest of their piece will tell."""
    blank(damaged, 0, MIB)
    assert spans(damaged, known=True) == [(0, SIZE)]


@pytest.mark.parametrize("known", [True, False])
def test_a_git_lfs_pointer(damaged: Path, known: bool) -> None:
    """A few bytes in the place of a large file are not its beginning."""
    damaged.write_bytes(WHOLE[: LEAST_KEPT_BYTES - 1])
    assert spans(damaged, known=known) == []


def test_kept(damaged: Path, tmp_path: Path) -> None:
    """Spans are copied and recorded where the partial lacks them; what it had already stays."""
    partial = Store(tmp_path).partial(sha256(WHOLE), SIZE)
    partial.write(MIB, b"came over the network")
    partial.record(MIB, MIB + 21)
    keep(damaged, [(0, 2 * MIB), (3 * MIB, SIZE + 99)], partial)
    assert partial.holes(0, SIZE) == [(2 * MIB, 3 * MIB)]
    data = partial.path.read_bytes()
    assert data[MIB : MIB + 21] == b"came over the network"
    assert (data[:MIB], data[MIB + 21 : 2 * MIB]) == (WHOLE[:MIB], WHOLE[MIB + 21 : 2 * MIB])
    assert (data[3 * MIB :], damaged.read_bytes()) == (WHOLE[3 * MIB :], WHOLE)
