"""Room on the disk, before the first byte."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from internlm_setup.core.errors import ExitCode
from internlm_setup.fetch.space import SPARE_BYTES, check_space
from internlm_setup.fetch.transfer.errors import NoSpace


def test_no_room(tmp_path: Path) -> None:
    """What cannot fit is refused with both numbers and the place, before any folder is made."""
    folder = tmp_path / "not" / "yet" / "there"
    with pytest.raises(NoSpace) as caught:
        check_space(folder, 1 << 60)
    assert (caught.value.missing, caught.value.folder) == ("1048576.0 TiB", str(folder))
    assert caught.value.free.endswith("iB")
    assert caught.value.exit_code is ExitCode.WRITE
    assert list(tmp_path.iterdir()) == []


def test_some_room_is_left(tmp_path: Path) -> None:
    """A disk is not filled to its last byte: journals and records need room too."""
    free = shutil.disk_usage(tmp_path).free
    with pytest.raises(NoSpace):
        check_space(tmp_path, free - SPARE_BYTES // 2)


def test_room(tmp_path: Path) -> None:
    """What fits is let through, and so is nothing at all on any disk."""
    check_space(tmp_path / "gone", 1)
    check_space(Path("/proc"), 0)
