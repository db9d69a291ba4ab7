"""Writing files so that a reader, a crash or a full disk never sees half of one."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR

from internlm_setup.core.errors import NotFoundError, WriteError
from internlm_setup.core.text import Text

REASONS = {
    errno.ENOENT: Text(en="no such file or folder", zh="没有此文件或目录"),
    errno.ENOSPC: Text(en="the disk is full", zh="磁盘已满"),
    errno.EDQUOT: Text(en="your disk quota is used up", zh="磁盘配额已用完"),
    errno.EACCES: Text(en="permission denied", zh="没有权限"),
    errno.EPERM: Text(en="permission denied", zh="没有权限"),
    errno.EROFS: Text(en="the file system is read-only", zh="文件系统是只读的"),
    errno.ENAMETOOLONG: Text(en="the name is too long for this file system", zh="文件名对该文件系统来说太长"),
    errno.ENOTDIR: Text(en="a file is where a folder is needed", zh="需要文件夹的位置已有一个文件"),
    errno.EISDIR: Text(en="a folder is where a file is needed", zh="需要文件的位置已有一个文件夹"),
    errno.EEXIST: Text(en="a file is where a folder is needed", zh="需要文件夹的位置已有一个文件"),
    errno.EFBIG: Text(en="the file system takes no file this large", zh="文件系统不支持这么大的文件"),
}


@dataclass(eq=False)
class CannotWrite(WriteError):
    """The operating system refused a write."""

    code = "core.cannot-write"
    text = Text(en="cannot write `{path}`: {reason}", zh="无法写入 `{path}`：{reason}")
    hint = Text(
        en="make room or choose another place, then run the same command again; what is there is kept",
        zh="请腾出空间或换一个位置，然后重新运行同一条命令；已有的内容会保留",
    )
    path: str
    reason: Text


@dataclass(eq=False)
class CannotRead(NotFoundError):
    """The operating system refused a read."""

    code = "core.cannot-read"
    text = Text(en="cannot read `{path}`: {reason}", zh="无法读取 `{path}`：{reason}")
    hint = Text(
        en="look at it with `ls -l {path}`, then run the same command again",
        zh="请用 `ls -l {path}` 查看，然后重新运行同一条命令",
    )
    path: str
    reason: Text


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn an `OSError` inside into `CannotRead` for this path.

    Raises:
        CannotRead: With a reason in both languages.
    """
    try:
        yield
    except OSError as error:
        raise CannotRead(str(path), _reason(error)) from error


def _reason(error: OSError) -> Text:
    words = error.strerror or str(error)
    return REASONS.get(error.errno or 0, Text(en=words, zh=words))


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an `OSError` inside into `CannotWrite` for this path.

    Raises:
        CannotWrite: With a reason in both languages.
    """
    try:
        yield
    except OSError as error:
        raise CannotWrite(str(path), _reason(error)) from error


def check_writable(path: Path) -> None:
    """Say before any work whether the system lets a file be put here, its missing folders made; leaves nothing.

    Raises:
        CannotWrite: It does not.
    """
    with writing(path):
        with suppress(FileNotFoundError, NotADirectoryError):
            if S_ISDIR(path.stat().st_mode):
                raise IsADirectoryError(errno.EISDIR, "")
        folder = path.parent
        while not folder.exists():
            folder = folder.parent
        tempfile.TemporaryFile(dir=folder).close()


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable, where the system can (not on Windows)."""
    if os.name == "nt":
        return
    with suppress(OSError):  # some network file systems refuse, and a folder may be writable but not readable
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def write_atomically(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace a file's whole content: temporary file beside it, fsync, rename.

    Args:
        path: Its folder is made when it is missing.
        data: The whole new content.
        mode: Permission bits of the result, less the umask for group and others' write.

    Raises:
        CannotWrite: Nothing changed at `path`.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        fd, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(mode)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def write_if_changed(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace a file's whole content as `write_atomically` does, unless it is that already.

    Raises:
        CannotWrite: Nothing changed at `path`.
    """
    with suppress(OSError):
        if path.read_bytes() == data:
            return
    write_atomically(path, data, mode=mode)
