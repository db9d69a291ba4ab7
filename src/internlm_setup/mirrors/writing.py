"""Replacing a person's own file: the old bytes or the new ones, never a mixture; owner, mode and links stay.

A temporary file beside it is renamed over it. Where that cannot be (a hard link would be cut, the folder takes no new
file, the file is a mount of its own) it is written in place, which a kill can leave half done: `is_torn` knows such a
file, and writing it once more mends it.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, NamedTuple

from internlm_setup.core.files import CannotWrite, sync_folder, writing
from internlm_setup.core.text import Text, without_password
from internlm_setup.mirrors.errors import FileChanged

NOT_A_FILE = Text(en="it is not a regular file", zh="它不是普通文件")
_ONLY_IN_PLACE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.EXDEV}


class Found(NamedTuple):
    """A file that is there: its bytes and permission bits."""

    data: bytes
    mode: int


def followed(path: Path) -> Path:
    """Return where a path leads in the end; links are followed, the file need not be there.

    Raises:
        CannotWrite: The links go in a circle.
    """
    with writing(path):
        try:
            return path.resolve()
        except RuntimeError as error:  # what Python before 3.13 says
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from error


def look(file: Path) -> Found | None:
    """Return a file's bytes and mode, or None where there is none.

    Raises:
        CannotWrite: It may not be read, or it is a folder, a device (`/dev/null`) or a pipe.
    """
    with writing(file):
        try:
            mode = file.stat().st_mode
            if not stat.S_ISREG(mode):
                raise CannotWrite(str(file), NOT_A_FILE)
            return Found(file.read_bytes(), stat.S_IMODE(mode))
        except FileNotFoundError:
            return None


def data_of(found: Found | None) -> bytes | None:
    """Return the bytes of a file that may not be there."""
    return None if found is None else found.data


def missing_folders(file: Path) -> list[Path]:
    """Return the folders that have to be made for a file, deepest first."""
    return [folder for folder in file.parents if not folder.exists()]


@dataclass(frozen=True, slots=True)
class Draft:
    """One file about to be written.

    Attributes:
        file: Where it is, links followed.
        before: What is there; None for nothing.
        after: The bytes to write; None to remove it.
        mode: The permission bits of a file that has to be made, None for the usual ones; else it keeps its own.
        spare: The temporary file's name, in the same folder.
    """

    file: Path
    before: Found | None
    after: bytes | None
    mode: int | None
    spare: Path

    def stage(self) -> None:
        """Write the temporary file, where the file can be replaced at all; the file itself is not touched.

        Raises:
            CannotWrite: The file is read-only, the disk is full, or a new file cannot be made here.
        """
        if self.after is None:
            return
        with writing(self.file):
            if self.before is None:
                self._make_folders()
            else:
                os.close(os.open(self.file, os.O_WRONLY))  # a rename would not mind that it is read-only
                if self.file.stat().st_nlink > 1:
                    return
            try:
                self._write_spare(self.after)
            except OSError as error:
                self.spare.unlink(missing_ok=True)
                if self.before is None or error.errno not in _ONLY_IN_PLACE:
                    raise

    def commit(self, note_in_place: Callable[[], object]) -> None:
        """Let the new bytes be the file.

        Args:
            note_in_place: Called before the file itself is written to, when it cannot be replaced.

        Raises:
            FileChanged: It is not `before` any more.
            CannotWrite: It is as it was.
        """
        if data_of(look(self.file)) != data_of(self.before):
            raise FileChanged(str(self.file))
        with writing(self.file):
            if self.after is None:
                self.file.unlink(missing_ok=True)
            elif not self._rename():
                note_in_place()
                overwrite(self.file, data_of(self.before) or b"", self.after)
            sync_folder(self.file.parent)

    def turned(self) -> Draft:
        """Return the draft that puts the file back."""
        there = None if self.after is None else Found(self.after, 0)
        after, mode = self.before or (None, None)
        return replace(self, before=there, after=after, mode=mode)

    def _make_folders(self) -> None:
        missing = missing_folders(self.file)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        for folder in missing:
            sync_folder(folder.parent)

    def _write_spare(self, data: bytes) -> None:
        usual = 0o600 if _has_password(data) else 0o644
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        fd = os.open(self.spare, flags, 0o600 if self.before or self.mode is not None else usual)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            if self.before:
                _dress(self.spare, self.file)
            elif self.mode is not None:
                self.spare.chmod(self.mode)
            os.fsync(file.fileno())

    def _rename(self) -> bool:
        try:
            self.spare.replace(self.file)
        except FileNotFoundError:  # `stage` made none
            return False
        except OSError as error:
            if self.before is None or error.errno not in _ONLY_IN_PLACE:
                raise
            with suppress(OSError):
                self.spare.unlink()
            return False
        return True


def overwrite(file: Path, before: bytes, after: bytes) -> None:
    """Write a file in place; what shrinks ends in blank lines until it is cut, so that no old line shows meanwhile.

    Raises:
        OSError: It was put back, unless that is what failed.
    """
    with file.open("r+b", buffering=0) as opened:
        try:
            _fill(opened, after)
        except BaseException:
            _fill(opened, before)
            raise


def is_torn(now: bytes, before: bytes, after: bytes) -> bool:
    """Tell whether bytes are what a kill inside `overwrite` leaves: the start of the new, then the end of the old."""
    if now in (before, after):
        return False
    padded = after.ljust(len(before), b"\n")
    same = next((i for i, (a, b) in enumerate(zip(now, padded, strict=False)) if a != b), min(len(now), len(padded)))
    return now[same:] == before[same:]


def _fill(file: BinaryIO, data: bytes) -> None:
    left = memoryview(data.ljust(file.seek(0, os.SEEK_END), b"\n"))
    file.seek(0)
    while left:
        left = left[file.write(left) :]
    file.truncate(len(data))
    os.fsync(file.fileno())


def _dress(spare: Path, file: Path) -> None:
    """Give the temporary file the owner, the mode and the attributes of the one it will replace; not its times."""
    wanted, own = file.stat(), spare.stat()
    if hasattr(os, "chown") and (wanted.st_uid, wanted.st_gid) != (own.st_uid, own.st_gid):
        os.chown(spare, wanted.st_uid, wanted.st_gid)
    shutil.copystat(file, spare)
    os.utime(spare)


def _has_password(data: bytes) -> bool:
    text = data.decode("utf-8", "replace")
    return without_password(text) != text
