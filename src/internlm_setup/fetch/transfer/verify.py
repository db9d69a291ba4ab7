"""Hashing: in order, from the file itself, so that it may run behind the download and after a resume alike."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from internlm_setup.core.files import reading
from internlm_setup.fetch.model import Proof
from internlm_setup.fetch.transfer.prefixes import PIECE_BYTES

BLOCK_BYTES = 1 << 20
LARGEST_GIT_BLOB_BYTES = 16 << 20


def wants_git(size_bytes: int | None, sha256: str | None) -> bool:
    """Say whether git's hash is worth its time: where nothing else proves the bytes, and for small files.

    A small file's git hash lets another hub recognise it later; large ones have a sha256 at every hub that has hashes
    (Hugging Face takes no file over 10 MB without).
    """
    return sha256 is None or size_bytes is None or size_bytes <= LARGEST_GIT_BLOB_BYTES


@dataclass
class WrongPiece(Exception):
    """The bytes from `start` to `end` are not the ones whose prefix digest is known."""

    start: int
    end: int


class Digest:
    """sha256, and the git blob sha1 where asked for, of bytes fed in order.

    Attributes:
        position: How many bytes were fed.
        prefixes: What sha256 was at every multiple of 8 MiB.
    """

    def __init__(self, size_bytes: int | None, *, git: bool, expected: Sequence[bytes] = ()) -> None:
        """Start a digest.

        Args:
            size_bytes: Of the whole; None when unknown.
            git: Whether the git blob hash is wanted; it needs the size, since git hashes that first.
            expected: From `prefixes.load`: what sha256 must be at the end of each piece, if that is known.
        """
        self.position = 0
        self.prefixes: list[bytes] = []
        self._size_bytes = size_bytes
        self._expected = expected
        self._wrong: set[int] = set()
        self._sha256 = hashlib.sha256()
        self._git = None
        if git and size_bytes is not None:
            self._git = hashlib.sha1(b"blob %d\0" % size_bytes, usedforsecurity=False)
        self._saved = self._copied()

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Feed the next bytes.

        Raises:
            WrongPiece: A piece is not the expected one. The digest is back where it begins: feed it again from there.
                Wrong once more, nothing is expected any longer, and whoever knows the whole hash decides.
        """
        view = memoryview(data)
        while view:
            part = view[: PIECE_BYTES - self.position % PIECE_BYTES]
            self._sha256.update(part)
            if self._git is not None:
                self._git.update(part)
            self.position += len(part)
            view = view[len(part) :]
            if self.position % PIECE_BYTES == 0 or (self._expected and self.position == self._size_bytes):
                self._end_piece()

    def _end_piece(self) -> None:
        digest, number = self._sha256.digest(), (self.position - 1) // PIECE_BYTES
        if self._expected and digest != self._expected[number]:
            if number not in self._wrong:
                self._go_back(number)
            self._expected = ()
        if self._expected:
            self._saved = self._copied()
        if self.position % PIECE_BYTES == 0:
            self.prefixes.append(digest)

    def _go_back(self, number: int) -> NoReturn:
        self._wrong.add(number)
        end, self.position = self.position, number * PIECE_BYTES
        self._sha256, self._git = self._saved
        self._saved = self._copied()
        raise WrongPiece(self.position, end)

    def _copied(self) -> tuple[hashlib._Hash, hashlib._Hash | None]:
        return self._sha256.copy(), None if self._git is None else self._git.copy()

    @property
    def sha256(self) -> str:
        """The sha256 so far, in hex."""
        return self._sha256.hexdigest()

    @property
    def git_sha1(self) -> str | None:
        """The git blob hash so far, in hex, where it was asked for."""
        return None if self._git is None else self._git.hexdigest()


def judge(digest: Digest, sha256: str | None, git_sha1: str | None) -> tuple[bool, Proof]:
    """Compare a finished digest with what was published.

    Returns:
        Whether nothing contradicts it, and which published hash proves it (`none` when none was published).
    """
    if sha256 is not None:
        return digest.sha256 == sha256, "sha256"
    if git_sha1 is not None:
        return digest.git_sha1 == git_sha1, "git-sha1"
    return True, "none"


class FileHasher:
    """Follows the growing front of one file. Only one thread may advance it at a time."""

    def __init__(self, path: Path, size_bytes: int | None, *, git: bool, expected: Sequence[bytes] = ()) -> None:
        self.path = path
        self.digest = Digest(size_bytes, git=git, expected=expected)

    @property
    def position(self) -> int:
        """How far the hash has come."""
        return self.digest.position

    def advance(self, to: int, cancelled: threading.Event) -> None:
        """Hash what is between the last position and `to`; stops early when cancelled.

        Raises:
            WrongPiece: See `Digest.update`; the position is back where that piece begins.
        """
        if self.position >= to:
            return
        buffer = bytearray(min(BLOCK_BYTES, to - self.position))
        with reading(self.path), self.path.open("rb", buffering=0) as file:
            file.seek(self.position)
            while self.position < to and not cancelled.is_set():
                view = memoryview(buffer)[: to - self.position]
                count = file.readinto(view)
                if not count:
                    return
                self.digest.update(view[:count])


def hash_file(
    path: Path,
    *,
    git: bool,
    cancelled: threading.Event | None = None,
    read: Callable[[int], None] | None = None,
) -> Digest:
    """Hash a whole file that is on disk.

    Args:
        path: The file.
        git: Whether the git blob hash is wanted too.
        cancelled: Set to stop early; the digest is then of a part only.
        read: Told the bytes read, for progress.
    """
    size_bytes = path.stat().st_size
    hasher = FileHasher(path, size_bytes, git=git)
    stop = cancelled or threading.Event()
    while hasher.position < size_bytes and not stop.is_set():
        before = hasher.position
        hasher.advance(min(size_bytes, before + 16 * BLOCK_BYTES), stop)
        if hasher.position == before:
            break
        if read is not None:
            read(hasher.position - before)
    return hasher.digest
