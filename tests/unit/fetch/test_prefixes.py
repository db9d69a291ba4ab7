"""Prefix digests on the disk: read back as written, or counted as absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes import sha256
from internlm_setup.fetch.transfer.manifest import Manifest, write_manifest
from internlm_setup.fetch.transfer.prefixes import PIECE_BYTES, load, prune, save

NAME = sha256(b"the whole")
LAST = bytes.fromhex(NAME)
ONE, TWO = bytes([1]) * 32, bytes([2]) * 32


@pytest.mark.parametrize(
    ("size_bytes", "prefixes", "expected"),
    [
        (2 * PIECE_BYTES + 1, [ONE, TWO], (ONE, TWO, LAST)),
        (2 * PIECE_BYTES, [ONE, LAST], (ONE, LAST)),
        (PIECE_BYTES + 1, [ONE], (ONE, LAST)),
    ],
)
def test_read_back(tmp_path: Path, size_bytes: int, prefixes: list[bytes], expected: tuple[bytes, ...]) -> None:
    """There is a digest for the end of each piece; the last is the content's own hash."""
    save(tmp_path, NAME, size_bytes, prefixes)
    assert load(tmp_path, NAME, size_bytes) == expected
    assert (tmp_path / "prefixes" / NAME).stat().st_size == 32 * len(prefixes)


@pytest.mark.parametrize("size_bytes", [0, 1, PIECE_BYTES])
def test_one_piece_needs_none(tmp_path: Path, size_bytes: int) -> None:
    """A content that is one piece has nothing to be told apart."""
    save(tmp_path, NAME, size_bytes, [LAST])
    assert not (tmp_path / "prefixes").exists()
    assert load(tmp_path, NAME, size_bytes) == ()


def test_unknown(tmp_path: Path) -> None:
    """Without a file, a hash or a size there is nothing to compare with."""
    save(tmp_path, NAME, 2 * PIECE_BYTES + 1, [ONE, TWO])
    for name, size_bytes in ((sha256(b"other"), 2 * PIECE_BYTES + 1), (None, 2 * PIECE_BYTES + 1), (NAME, None)):
        assert load(tmp_path, name, size_bytes) == ()


@pytest.mark.parametrize("data", [b"", ONE, ONE + TWO + b"x", ONE + TWO + ONE])
def test_of_another_length(tmp_path: Path, data: bytes) -> None:
    """A file that was cut, or belongs to another size, counts as absent."""
    save(tmp_path, NAME, 2 * PIECE_BYTES + 1, [ONE, TWO])
    (tmp_path / "prefixes" / NAME).write_bytes(data)
    assert load(tmp_path, NAME, 2 * PIECE_BYTES + 1) == ()


def test_cannot_be_written(tmp_path: Path) -> None:
    """A disk that takes no more is no failure: the model is there all the same."""
    (tmp_path / "prefixes").write_text("in the way")
    save(tmp_path, NAME, 2 * PIECE_BYTES, [ONE, LAST])
    assert load(tmp_path, NAME, 2 * PIECE_BYTES) == ()


def test_pruned_with_the_manifest(tmp_path: Path) -> None:
    """What is recorded no longer leaves with the old record; no folder is no failure."""
    prune(tmp_path, ())
    save(tmp_path, NAME, 2 * PIECE_BYTES, [ONE, LAST])
    prune(tmp_path, {NAME})
    assert load(tmp_path, NAME, 2 * PIECE_BYTES) == (ONE, LAST)
    write_manifest(tmp_path, Manifest("chat", "one", "lab/chat", "main", None, ()))
    assert list((tmp_path / "prefixes").iterdir()) == []
