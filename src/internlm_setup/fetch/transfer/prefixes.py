"""Prefix digests: the sha256 of a verified file's first 8 MiB, 16 MiB, and so on, kept for a later repair.

They cost nothing while a file is hashed in order, and with them every damaged piece can be found and fetched alone.
Losing them loses no model: whatever cannot be read counts as absent, and the hash of the whole file still decides.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

from internlm_setup.core.files import CannotWrite, write_atomically

PIECE_BYTES = 8 << 20
_DIGEST_BYTES = 32


def save(state: Path, sha256: str, size_bytes: int, prefixes: Sequence[bytes]) -> None:
    """Keep what a content's prefixes hash to, where it has more than one piece; a full disk is no failure."""
    if size_bytes > PIECE_BYTES:
        with suppress(CannotWrite):
            write_atomically(_path(state, sha256), b"".join(prefixes))


def load(state: Path, sha256: str | None, size_bytes: int | None) -> tuple[bytes, ...]:
    """Return the digest up to the end of each piece of a content, its own hash last; empty when they are not known."""
    if sha256 is None or size_bytes is None or size_bytes <= PIECE_BYTES:
        return ()
    try:
        data = _path(state, sha256).read_bytes()
    except OSError:
        return ()
    if len(data) != size_bytes // PIECE_BYTES * _DIGEST_BYTES:
        return ()
    inner = range(0, (size_bytes - 1) // PIECE_BYTES * _DIGEST_BYTES, _DIGEST_BYTES)
    return (*(data[at : at + _DIGEST_BYTES] for at in inner), bytes.fromhex(sha256))


def prune(state: Path, wanted: Collection[str]) -> None:
    """Drop the digests of contents that are recorded no longer."""
    with suppress(OSError):
        for path in (state / "prefixes").iterdir():
            if path.name not in wanted:
                path.unlink()


def _path(state: Path, sha256: str) -> Path:
    return state / "prefixes" / sha256
