"""A new key on the disk: both files or none, never over anything that is there, and read back."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

from internlm_setup.core.files import reading, sync_folder, writing
from internlm_setup.core.ssh.key_files import public_line
from internlm_setup.core.ssh.keys import NewKey, public_blob
from internlm_setup.ssh_key.access import protect
from internlm_setup.ssh_key.errors import KeyDiffers, KeyExists


def write(path: Path, key: NewKey, comment: str, passphrase: str | None = None) -> None:
    """Write a private key and its `.pub`, and read both back.

    Args:
        path: The private file; its folder is made, for the owner alone, where it is missing.
        key: What to write.
        comment: For the `.pub`; what is not ASCII is left out.
        passphrase: The one that the private file is encrypted with.

    Raises:
        KeyExists: One of the two files is there; nothing was written.
        KeyDiffers: The disk did not keep what was written; nothing is left.
        CannotWrite: The system refused; nothing is left.
    """
    public, line = path.with_name(f"{path.name}.pub"), f"{public_line(key.blob, comment)}\n".encode("ascii")
    refuse_existing(path)
    with writing(path.parent):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write_new(path, key.private, 0o600)
    try:
        _write_new(public, line, 0o644)
    except BaseException:
        path.unlink()
        raise
    sync_folder(path.parent)
    with reading(public):
        same = public.read_bytes() == line
    if not same or public_blob(path, passphrase) != key.blob:
        path.unlink()
        public.unlink()
        raise KeyDiffers(str(path))


def refuse_existing(path: Path) -> None:
    """Refuse a place that is taken.

    Raises:
        KeyExists: The key, or its `.pub`, is there already.
    """
    for file in (path, path.with_name(f"{path.name}.pub")):
        if os.path.lexists(file):
            raise KeyExists(str(file), _free(path))


def _write_new(path: Path, data: bytes, mode: int) -> None:
    with writing(path):
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
        except FileExistsError as cause:
            raise KeyExists(str(path), _free(path.with_name(path.name.removesuffix(".pub")))) from cause
        try:
            with os.fdopen(fd, "wb") as file:
                path.chmod(mode)  # whatever the umask
                if not mode & 0o077:
                    protect(path)  # and while it is empty yet
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def _free(path: Path) -> str:
    """Return a name close to this one that nothing has yet."""
    names = (f"{path}-{number}" for number in count(2))
    return next(name for name in names if not os.path.lexists(name) and not os.path.lexists(f"{name}.pub"))
