"""What is downloaded: files made for the purpose, and the entries that a hub lists for them."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from pathlib import Path

from internlm_setup.playground.hub import Entry
from internlm_setup.playground.hub.repository import hash_file

BLOCK_BYTES = 1 << 20
WEIGHTS = "weights.safetensors"
SEED = 20261124
FILES_PER_FOLDER = 500


@dataclass(frozen=True, slots=True)
class Model:
    """A repository of one kind: all files at the hub itself, or (`lfs`) all at its CDN."""

    name: str
    folder: Path
    entries: tuple[Entry, ...]
    lfs: bool

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(entry.size_bytes for entry in self.entries)


def weights(folder: Path, size_bytes: int, files: int = 1) -> Model:
    """Write random bytes as one large file, or as several of one size."""
    folder.mkdir(parents=True)
    dice, each_bytes = random.Random(SEED), -(-size_bytes // files)
    entries = []
    for shard, begin in enumerate(range(0, size_bytes, each_bytes), 1):
        path = WEIGHTS if files == 1 else f"weights-{shard:05d}-of-{files:05d}.safetensors"
        block, length = dice.randbytes(BLOCK_BYTES), min(each_bytes, size_bytes - begin)
        with (folder / path).open("wb") as file:
            for number, start in enumerate(range(0, length, BLOCK_BYTES)):
                file.write((number.to_bytes(8, "big") + block[8:])[: length - start])
        entries.append(hash_file(path, folder / path, lfs=True))
    return Model("bench/weights", folder, tuple(entries), lfs=True)


def small_files(folder: Path, count: int) -> Model:
    """Write many files of 4 to 64 KiB, some hundred in a folder."""
    dice = random.Random(SEED)
    entries = []
    for number in range(count):
        path = f"part-{number // FILES_PER_FOLDER:03d}/file-{number:05d}.json"
        source = folder / path
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_bytes(dice.randbytes(dice.randint(4 << 10, 64 << 10)))
        entries.append(hash_file(path, source, lfs=False))
    return Model("bench/small", folder, tuple(entries), lfs=False)


def sparse_files(folder: Path, count: int, size_bytes: int) -> Model:
    """Make large files that take no room: zeros, and a number at the end, so that no two are equal."""
    zeros = hashlib.sha256()
    for start in range(0, size_bytes - 8, BLOCK_BYTES):
        zeros.update(bytes(min(BLOCK_BYTES, size_bytes - 8 - start)))
    entries = []
    for number in range(count):
        path, end = f"sparse-{number:03d}.safetensors", number.to_bytes(8, "big")
        digest = zeros.copy()
        digest.update(end)
        sha256 = digest.hexdigest()
        blob = hashlib.sha1(sha256.encode(), usedforsecurity=False).hexdigest()  # of a pointer; no client reads it
        entries.append(Entry(path, size_bytes, sha256, blob, lfs=True, source=folder / path))
    model = Model("bench/sparse", folder, tuple(entries), lfs=True)
    lay_sparse(model, folder)
    return model


def lay_sparse(model: Model, folder: Path) -> None:
    """Make the files of such a model once more."""
    folder.mkdir(parents=True)
    for number, entry in enumerate(model.entries):
        with (folder / entry.path).open("wb") as file:
            file.seek(entry.size_bytes - 8)
            file.write(number.to_bytes(8, "big"))
