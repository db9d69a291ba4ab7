"""Room on the disk, looked at before the first byte moves."""

from __future__ import annotations

import shutil
from pathlib import Path

from internlm_setup.core.text import human_size
from internlm_setup.fetch.transfer.errors import NoSpace

SPARE_BYTES = 16 << 20


def check_space(folder: Path, missing_bytes: int) -> None:
    """Refuse when what is missing does not fit on the destination's disk.

    Raises:
        NoSpace: Naming both numbers.
    """
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    free_bytes = shutil.disk_usage(there).free
    if missing_bytes and missing_bytes + SPARE_BYTES > free_bytes:
        raise NoSpace(human_size(missing_bytes), str(folder), human_size(free_bytes))
