"""Hashing in order, in any steps, and what a published hash proves."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import git_sha1, sha256
from internlm_setup.fetch.transfer.prefixes import PIECE_BYTES
from internlm_setup.fetch.transfer.verify import BLOCK_BYTES, Digest, FileHasher, WrongPiece, hash_file, judge

DATA = bytes(range(256)) * 40
GOOD, GOOD_GIT = sha256(DATA), git_sha1(DATA)
RUN = threading.Event()


def digest_of(data: bytes) -> Digest:
    """Digest some bytes at once."""
    digest = Digest(len(data), git=True)
    digest.update(data)
    return digest


@pytest.mark.parametrize(
    ("published", "published_git", "expected"),
    [
        (GOOD, None, (True, "sha256")),
        (None, GOOD_GIT, (True, "git-sha1")),
        (None, None, (True, "none")),
        ("0" * 64, None, (False, "sha256")),
        (None, "0" * 40, (False, "git-sha1")),
        (GOOD, "0" * 40, (True, "sha256")),
        ("0" * 64, GOOD_GIT, (False, "sha256")),
    ],
)
def test_verdicts(published: str | None, published_git: str | None, expected: tuple[bool, str]) -> None:
    """The sha256 decides where there is one, else git's hash; without either nothing is proved."""
    assert judge(digest_of(DATA), published, published_git) == expected


@pytest.mark.parametrize("data", [b"", b"x", DATA])
def test_hash_file(tmp_path: Path, data: bytes) -> None:
    """Both hashes are those of the tools that people have."""
    (tmp_path / "file").write_bytes(data)
    digest = hash_file(tmp_path / "file", git=True)
    assert (digest.sha256, digest.git_sha1) == (sha256(data), git_sha1(data))


def test_git_hash_only_where_it_can_be(tmp_path: Path) -> None:
    """A git hash begins with the size: not asked for, or of unknown size, there is none."""
    (tmp_path / "file").write_bytes(DATA)
    assert hash_file(tmp_path / "file", git=False).git_sha1 is None
    assert Digest(None, git=True).git_sha1 is None


@given(st.lists(st.integers(0, len(DATA)), max_size=8))
def test_following_a_growing_file(tmp_path_factory: pytest.TempPathFactory, fronts: list[int]) -> None:
    """In whatever steps the front moves, back and beyond the end included, the hash is that of the whole."""
    path = tmp_path_factory.mktemp("growing") / "file"
    path.write_bytes(DATA)
    hasher = FileHasher(path, len(DATA), git=True)
    for front in [*fronts, len(DATA), len(DATA) + 99]:
        hasher.advance(front, RUN)
    assert (hasher.position, hasher.digest.sha256, hasher.digest.git_sha1) == (len(DATA), GOOD, GOOD_GIT)


def test_cancelled_before_it_began(tmp_path: Path) -> None:
    """A cancelled hash reads nothing."""
    (tmp_path / "file").write_bytes(DATA)
    cancelled = threading.Event()
    cancelled.set()
    assert hash_file(tmp_path / "file", git=False, cancelled=cancelled).sha256 == sha256(b"")


def test_progress_adds_up(tmp_path: Path) -> None:
    """The told bytes are the file's, in several steps when it is large."""
    size = 17 * BLOCK_BYTES + 5
    with (tmp_path / "file").open("wb") as file:
        file.truncate(size)
    told: list[int] = []
    hash_file(tmp_path / "file", git=False, read=told.append)
    assert sum(told) == size
    assert len(told) > 1


def test_cancelled_in_the_middle(tmp_path: Path) -> None:
    """A hash stops where it is when it is cancelled."""
    with (tmp_path / "file").open("wb") as file:
        file.truncate(200 * BLOCK_BYTES)
    cancelled = threading.Event()
    told: list[int] = []

    def read(count: int) -> None:
        told.append(count)
        cancelled.set()

    hash_file(tmp_path / "file", git=False, cancelled=cancelled, read=read)
    assert len(told) == 1


def test_a_file_that_shrinks(tmp_path: Path) -> None:
    """A file that loses its end while it is hashed ends the hash; it is not waited for."""
    with (tmp_path / "file").open("wb") as file:
        file.truncate(40 * BLOCK_BYTES)
    digest = hash_file(tmp_path / "file", git=False, read=lambda _: os.truncate(tmp_path / "file", 0))
    assert digest.sha256 == sha256(bytes(16 * BLOCK_BYTES))


LONG = bytes(range(256)) * (PIECE_BYTES // 256) * 2 + b"the rest"
PREFIXES = [bytes.fromhex(sha256(LONG[:end])) for end in (PIECE_BYTES, 2 * PIECE_BYTES)]
EXPECTED = (*PREFIXES, bytes.fromhex(sha256(LONG)))


@pytest.mark.parametrize("step", [len(LONG), PIECE_BYTES, PIECE_BYTES - 1, PIECE_BYTES + 1, 3 * PIECE_BYTES // 2])
def test_prefixes(step: int) -> None:
    """In whatever steps bytes are fed, the prefixes' digests are those of the prefixes."""
    digest = Digest(len(LONG), git=True)
    for at in range(0, len(LONG), step):
        digest.update(LONG[at : at + step])
    assert digest.prefixes == PREFIXES
    assert (digest.position, digest.sha256, digest.git_sha1) == (len(LONG), sha256(LONG), git_sha1(LONG))


@pytest.mark.parametrize(
    ("wrong", "start", "end"),
    [
        (0, 0, PIECE_BYTES),
        (PIECE_BYTES - 1, 0, PIECE_BYTES),
        (PIECE_BYTES, PIECE_BYTES, 2 * PIECE_BYTES),
        (len(LONG) - 1, 2 * PIECE_BYTES, len(LONG)),
    ],
)
def test_a_wrong_piece_is_named_and_can_be_fed_again(wrong: int, start: int, end: int) -> None:
    """The first piece that differs is told, the last short one too; fed right, the digest is as if nothing was."""
    bad = bytearray(LONG)
    bad[wrong] ^= 1
    digest = Digest(len(LONG), git=True, expected=EXPECTED)
    with pytest.raises(WrongPiece) as caught:
        digest.update(bad)
    assert (caught.value.start, caught.value.end, digest.position) == (start, end, start)
    digest.update(LONG[start:])
    assert (digest.sha256, digest.git_sha1, digest.prefixes) == (sha256(LONG), git_sha1(LONG), PREFIXES)


def test_wrong_twice() -> None:
    """From then on nothing is expected: the whole hash, which is of what was fed, decides."""
    bad = bytearray(LONG)
    bad[5] ^= 1
    digest = Digest(len(LONG), git=False, expected=EXPECTED)
    with pytest.raises(WrongPiece):
        digest.update(bad)
    digest.update(bad)
    assert digest.sha256 == sha256(bytes(bad))


def test_a_file_with_a_wrong_piece(tmp_path: Path) -> None:
    """The hasher of a file stands where the wrong piece begins, and goes on when the file was mended."""
    bad = bytearray(LONG)
    bad[PIECE_BYTES + 5] ^= 1
    (tmp_path / "file").write_bytes(bad)
    hasher = FileHasher(tmp_path / "file", len(LONG), git=False, expected=EXPECTED)
    with pytest.raises(WrongPiece):
        hasher.advance(len(LONG), RUN)
    assert hasher.position == PIECE_BYTES
    (tmp_path / "file").write_bytes(LONG)
    hasher.advance(len(LONG), RUN)
    assert hasher.digest.sha256 == sha256(LONG)
