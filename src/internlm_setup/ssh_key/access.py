"""Who may read a key: what `ssh` refuses to use, told and repaired.

On Windows modes say nothing; `ssh.exe` looks at the access list. Accounts are named by their SID there, because names
may be Chinese and are translated.
"""

from __future__ import annotations

import re
import stat
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from internlm_setup.core.files import writing
from internlm_setup.core.text import Text

SYSTEM = "S-1-5-18"
# As access lists shorten them: the system, the administrators, and the owner of the file.
_HARMLESS = {"SY", "BA", "OW", SYSTEM, "S-1-5-32-544", "S-1-3-4"}
_ALLOWS = re.compile(r"\((?:A|OA|XA);[^;]*;[^;]*;[^;]*;[^;]*;([^;)]+)")
_SID = re.compile(rb"S-1-[0-9-]+")

_KEY = Text(
    en="others can read it (mode {mode:04o}), so `ssh` refuses it",
    zh="其他用户可以读取它（权限 {mode:04o}），`ssh` 会拒绝使用",
)
_FOLDER = Text(
    en="others can change what is in it (mode {mode:04o}), so a server refuses its keys",
    zh="其他用户可以修改其中的内容（权限 {mode:04o}），服务器会拒绝其中的密钥",
)
_ACL = Text(en="{accounts} can read it too, so `ssh` refuses it", zh="{accounts} 也可以读取它，`ssh` 会拒绝使用")


@dataclass(frozen=True, slots=True)
class TooOpen:
    """A key, or the folder of keys, that others can get at."""

    path: Path
    words: Text


def too_open(path: Path) -> TooOpen | None:
    """Say why `ssh` or a server would refuse this key, or this folder of keys, if they would."""
    if sys.platform == "win32":
        accounts = strangers(_access_list(path), _own_sid())
        return TooOpen(path, _ACL.fill(accounts=", ".join(accounts))) if accounts else None
    mode = stat.S_IMODE(path.stat().st_mode)
    if not mode & _others(path):
        return None
    return TooOpen(path, (_FOLDER if path.is_dir() else _KEY).fill(mode=mode))


def protect(path: Path) -> None:
    """Take from others what `too_open` complains of; the owner's own rights stay as they are.

    Raises:
        CannotWrite: The system refused.
    """
    with writing(path):
        if sys.platform == "win32":
            for command in access_commands(path, _own_sid()):
                _output(command)
        else:
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~_others(path))


def access_commands(path: Path, sid: str) -> list[list[str]]:
    """Return what leaves a file on Windows to one account and the system: explicit rights go, then inherited ones."""
    rights = [f"*{account}:F" for account in (sid, SYSTEM)]
    return [
        ["icacls", str(path), "/reset"],
        ["icacls", str(path), "/inheritance:r", *(word for right in rights for word in ("/grant:r", right))],
    ]


def strangers(access_list: str, sid: str) -> list[str]:
    """Return who else is allowed something by a Windows access list in its text form (SDDL), each once."""
    allowed = dict.fromkeys(_ALLOWS.findall(access_list))
    return [account for account in allowed if account not in _HARMLESS | {sid}]


def sid_in(said: bytes) -> str:
    """Return the account's SID from what `whoami /user` says, in whatever code page."""
    found = _SID.findall(said)
    if not found:
        raise OSError("`whoami /user` names no SID")
    return str(found[-1], "ascii")


def _others(path: Path) -> int:
    return 0o022 if path.is_dir() else 0o077


def _own_sid() -> str:
    return sid_in(_output(["whoami", "/user", "/fo", "csv", "/nh"]))


def _access_list(path: Path) -> str:
    """Return the access list as text; what icacls prints is translated, what it saves is not."""
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder, "acl")
        _output(["icacls", str(path), "/save", str(saved)])
        return saved.read_text(encoding="utf-16-le")


def _output(command: Sequence[str]) -> bytes:
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
    if done.returncode:
        raise OSError(done.returncode, f"{command[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
