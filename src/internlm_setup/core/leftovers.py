"""What this tool leaves on a disk and can do without: side environments and logs. `clean` shows and removes them.

What is removed is made again when it is needed. Features have leftovers of their own kind.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from internlm_setup.core import sidecar
from internlm_setup.core.files import writing
from internlm_setup.core.paths import Paths

Kind = Literal["partial", "environment", "log"]


@dataclass(frozen=True, slots=True)
class Leftover:
    """One thing that may go: a file, or a folder with all that is in it."""

    kind: Kind
    path: Path
    size_bytes: int


def side_environments(state: Path) -> Iterator[Leftover]:
    """Yield the environments that vendors' programs got for themselves, unfinished ones included."""
    for found in sidecar.found(state):
        yield Leftover("environment", found.folder, disk_bytes(found.folder))


def logs(paths: Paths) -> Iterator[Leftover]:
    """Yield the log files."""
    for path in _inside(paths.log):
        yield Leftover("log", path, disk_bytes(path))


def remove(leftover: Leftover) -> None:
    """Remove a file or a whole folder; a link goes alone.

    Raises:
        CannotWrite: The system refused.
    """
    path = leftover.path
    with writing(path):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def disk_bytes(path: Path) -> int:
    """Return what a file or a folder takes up on the disk: a sparse file less than its length."""
    if path.is_dir() and not path.is_symlink():
        return sum(disk_bytes(inside) for inside in _inside(path))
    try:
        found = path.lstat()
    except OSError:  # gone meanwhile
        return 0
    return getattr(found, "st_blocks", -(-found.st_size // 512)) * 512


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(folder / name for name in os.listdir(folder))  # noqa: PTH208  # iterdir fails only when iterated
    except OSError:
        return []
