"""The keys of a folder: find the one to show, make one, survey all of them."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from internlm_setup.core.errors import SetupError
from internlm_setup.core.ssh import keys
from internlm_setup.core.ssh.key_files import KeyFile, ascii_comment, is_private_key
from internlm_setup.core.ssh.resolve import local_user
from internlm_setup.ssh_key import store
from internlm_setup.ssh_key.access import TooOpen, protect, too_open
from internlm_setup.ssh_key.errors import NoKey

FILES: dict[keys.KeyType, str] = {"ed25519": "id_ed25519", "rsa-4096": "id_rsa"}
# What `ssh` tries by itself, in the order in which we would rather show them. No DSA: servers refuse it.
DEFAULT_NAMES = (*FILES.values(), "id_ecdsa", "id_ed25519_sk", "id_ecdsa_sk")


@dataclass(frozen=True, slots=True)
class Found:
    """A file that is, or should be, a private key.

    Attributes:
        path: The file.
        key: What it is; None with `problem`.
        problem: Why it cannot be used.
        open: How others can get at it.
    """

    path: Path
    key: KeyFile | None
    problem: SetupError | None
    open: TooOpen | None


def key_folder(home: Path) -> Path:
    """Return where a person's keys are."""
    return home / ".ssh"


def standing(folder: Path) -> KeyFile | None:
    """Return the key that is there already, or None where a new one can be made.

    Raises:
        SetupError: There are only files by these names that are no keys, and they are not overwritten.
    """
    problem: SetupError | None = None
    for path in (folder / name for name in DEFAULT_NAMES):
        if path.is_file():
            try:
                return keys.look(path)
            except SetupError as error:
                problem = problem or error
    if problem is not None:
        raise problem
    return None


def chosen(folder: Path, path: Path | None) -> KeyFile:
    """Return the key that was named, or else the one that is there.

    Raises:
        NoKey: None was named, and there is none.
        SetupError: It is no key, or cannot be read.
    """
    if path is not None:
        return keys.look(path.with_suffix("") if path.suffix == ".pub" else path)
    found = standing(folder)
    if found is None:
        raise NoKey(str(folder))
    return found


def create(path: Path, kind: keys.KeyType, comment: str, passphrase: str | None = None) -> KeyFile:
    """Make a key and write it; the arguments are those of `keys.make` and `store.write`.

    Raises:
        KeyExists: There is something already.
        SetupError: It cannot be written.
    """
    store.write(path, keys.make(kind, passphrase), comment, passphrase)
    return keys.look(path)


def comment_of(env: Mapping[str, str], home: Path) -> str:
    """Return `user@host` in ASCII, whatever the user is called."""
    return ascii_comment(f"{local_user(env, home)}@{platform.node()}")


def survey(folder: Path) -> list[Found]:
    """Look at every private key of a folder, and at what `ssh` takes for one by its name; empty without a folder."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return [_found(path) for path in files if is_private_key(path) or (path.name in DEFAULT_NAMES and path.is_file())]


def repair(folder: Path, found: list[Found]) -> list[TooOpen]:
    """Close what is too open, the folder first; return what was closed.

    Raises:
        CannotWrite: The system refused.
    """
    closed = [each for each in (folder_too_open(folder), *(one.open for one in found)) if each is not None]
    for each in closed:
        protect(each.path)
    return closed


def folder_too_open(folder: Path) -> TooOpen | None:
    """Say how others could change the folder of keys, if they can."""
    return too_open(folder) if folder.is_dir() else None


def _found(path: Path) -> Found:
    try:
        return Found(path, keys.look(path), None, too_open(path))
    except SetupError as problem:
        return Found(path, None, problem, too_open(path))
