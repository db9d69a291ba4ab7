"""What a command leaves behind: processes and files, where all its temporary folders are below one of ours."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Leftovers:
    """Below a folder that is the command's `TMPDIR`."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)

    def processes(self) -> set[int]:
        """Those that know of the folder, ended ones not counted; empty where the system does not tell."""
        found, sign = set(), os.fsencode(self.folder)
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has just ended, or is somebody else's
                if sign in (place / "environ").read_bytes():
                    found.add(int(place.name))
        return found

    def files(self) -> list[Path]:
        """Whatever is in the folder."""
        return list(self.folder.iterdir())
