"""A PATH of chosen programs, so that what a run finds does not depend on the machine that tests it."""

from __future__ import annotations

import shutil
from pathlib import Path

_NEEDED = ("sh", "env", "unshare", "ip", "mount")


def shelf(folder: Path, *programs: str) -> Path:
    """Fill a folder with links to programs of this machine, and to what `namespace` needs."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*_NEEDED, *programs):
        found = shutil.which(name)
        if found is not None:
            (folder / name).symlink_to(found)
    return folder
