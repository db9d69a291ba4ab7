"""What the tests of written files share: a syntax of `name = value` lines, folders looked at whole, forked children."""

from __future__ import annotations

import os
import stat
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from fakes import StillClock
from internlm_setup.mirrors.edit import Unparseable
from internlm_setup.mirrors.journal import Journal
from internlm_setup.mirrors.model import Change, Edit, Key, Syntax

Tree = dict[str, tuple[str, int, bytes]]


class Lines:
    """`name = value` lines and `#` comments; a zero byte is an error, a name that ends in `!` cannot change alone."""

    def look(self, data: bytes) -> dict[Key, object]:
        """See `Syntax.look`."""
        found: dict[Key, object] = {}
        for number, line in enumerate(data.decode().splitlines(), 1):
            if "\0" in line:
                raise Unparseable(number, "a zero byte")
            name, equals, value = line.partition(" = ")
            if equals and not name.startswith("#"):
                found[name,] = value
        return found

    def splice(self, data: bytes, edit: Edit) -> bytes:
        """See `Syntax.splice`."""
        name = edit.key[0].encode() + b" = "
        lines = data.splitlines(keepends=True)
        new = [] if edit.value is None else [name + str(edit.value).encode() + b"\n"]
        at = next((i for i, line in enumerate(lines) if line.startswith(name)), len(lines))
        lines[at : at + 1] = new * (2 if edit.key[0].endswith("!") else 1)
        return b"".join(lines) + (b"more = 1\n" if edit.key[0].endswith("!") else b"")


def lines_of(tool: str, path: Path) -> Syntax:
    """Take every file for one of `Lines`."""
    return Lines()


def change(path: Path, after: bytes | None, *keys: str, tool: str = "pip") -> Change:
    """Return the change of a file as it is now."""
    before = path.read_bytes() if path.exists() else None
    return Change(tool, path, before, after, tuple(((key,), None, None) for key in keys))


def write(journal: Journal, *changes: Change) -> str | None:
    """Write them at a time that does not move."""
    return journal.write(changes, StillClock())


def tree(folder: Path) -> Tree:
    """Return all that lies in a folder: kind, mode and bytes, or where a link points."""
    found: Tree = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            found[str(path.relative_to(folder))] = ("link", 0, os.fsencode(path.readlink()))
        else:
            data = path.read_bytes() if stat.S_ISREG(mode) else b""
            found[str(path.relative_to(folder))] = (str(stat.S_IFMT(mode)), stat.S_IMODE(mode), data)
    return found


def forked(work: Callable[[], object]) -> Callable[[], int]:
    """Do something in a child process; what is returned waits for its exit code, negative for a signal."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001  # this process ends here
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return lambda: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
