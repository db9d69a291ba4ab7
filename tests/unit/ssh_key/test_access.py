"""Who else may read a key: modes here, access lists on Windows."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from internlm_setup.ssh_key.access import access_commands, protect, sid_in, strangers, too_open

ME = "S-1-5-21-1004336348-1177238915-682003330-1001"
posix = pytest.mark.skipif(os.name == "nt", reason="modes mean nothing there")


@posix
@pytest.mark.parametrize(
    ("is_folder", "mode", "closed"),
    [
        (False, 0o600, 0o600),
        (False, 0o400, 0o400),
        (False, 0o644, 0o600),
        (False, 0o640, 0o600),
        (False, 0o601, 0o600),
        (False, 0o777, 0o700),
        (True, 0o700, 0o700),
        (True, 0o755, 0o755),
        (True, 0o775, 0o755),
        (True, 0o777, 0o755),
    ],
)
def test_modes(tmp_path: Path, is_folder: bool, mode: int, closed: int) -> None:
    """What is too open is named with its mode, and closed without a change to the owner's rights."""
    path = tmp_path / "it"
    path.mkdir() if is_folder else path.touch()
    path.chmod(mode)
    found = too_open(path)
    assert (found is None) == (mode == closed)
    assert found is None or f"{mode:04o}" in found.words.en
    protect(path)
    assert stat.S_IMODE(path.stat().st_mode) == closed
    assert too_open(path) is None


def test_commands_for_windows() -> None:
    """Accounts go by SID; explicit rights are dropped before inherited ones, and the system keeps its own."""
    path = Path("张三") / "id_ed25519"
    assert access_commands(path, ME) == [
        ["icacls", str(path), "/reset"],
        ["icacls", str(path), "/inheritance:r", "/grant:r", f"*{ME}:F", "/grant:r", "*S-1-5-18:F"],
    ]


def test_sid_of_whoami() -> None:
    """It is found in whatever code page the name is in."""
    assert sid_in(f'"desk\\张三","{ME}"\r\n'.encode("gbk")) == ME
    with pytest.raises(OSError, match="no SID"):
        sid_in(b"")


@pytest.mark.parametrize(
    ("access_list", "others"),
    [
        (f"id_ed25519\r\nD:PAI(A;;FA;;;SY)(A;;FA;;;{ME})\r\n", []),
        (f"D:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;FA;;;{ME})(A;;FR;;;OW)", []),
        (f"D:PAI(A;;FA;;;{ME})(A;;0x1200a9;;;BU)(A;;FR;;;WD)(A;ID;FR;;;BU)", ["BU", "WD"]),
        (f"D:(D;;FR;;;WD)(A;;FA;;;{ME})", []),
        (f"D:(A;;FA;;;{ME})(A;;FA;;;S-1-5-21-1-2-3-1002)", ["S-1-5-21-1-2-3-1002"]),
    ],
)
def test_strangers_in_an_access_list(access_list: str, others: list[str]) -> None:
    """Whoever is allowed something and is not the owner, the system or an administrator."""
    assert strangers(access_list, ME) == others
