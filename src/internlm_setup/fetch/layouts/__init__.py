"""How a fetched model lies on the disk: one file each, found by `core.registry`.

A layout's file holds a class with the members of `Layout` under the name `LAYOUT`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from internlm_setup.core import registry
from internlm_setup.core.text import Text
from internlm_setup.fetch.errors import UnknownLayout
from internlm_setup.fetch.model import Snapshot
from internlm_setup.fetch.transfer.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Called:
    """What a repository is called where it will lie.

    Attributes:
        repo: `ORG/NAME` at the layout's own hub where it has one and the catalogue knows it, else where it came from.
        revision: What was asked for; the layout's own default where nothing was.
        commit: What it is pinned to; where no hub says so, 40 hexadecimal digits that name the set of files.
    """

    repo: str
    revision: str
    commit: str


class Layout(Protocol):
    """One way of laying a repository out.

    Attributes:
        id: What `--layout` takes.
        hub: The hub whose library reads it, or None.
        default_revision: What that library asks for when it is not told; empty without a hub.
        title: What it is, in a few words.
    """

    id: str
    hub: str | None
    default_revision: str
    title: Text

    @staticmethod
    def folder(to: Path | None, cwd: Path, home: Path, env: Mapping[str, str], called: Called) -> Path:
        """Return the absolute folder for the files.

        Args:
            to: What `--to` said, absolute, or None.
            cwd: Where relative defaults start.
            home: The home folder.
            env: The environment, where a vendor's variable may move its cache.
            called: The repository.
        """
        ...

    @staticmethod
    def cache(home: Path, env: Mapping[str, str]) -> Path | None:
        """Return the cache that its library fills, where it has one; it need not exist."""
        ...

    @staticmethod
    def made(folder: Path) -> bool:
        """Say whether a folder lies as its hub's library lays it, or holds what that library keeps for itself."""
        ...

    @staticmethod
    def owns(link: Path, folder: Path) -> bool:
        """Say whether a link in the folder is this layout's own way of keeping a file of it."""
        ...

    @staticmethod
    def settle(folder: Path, made: Manifest, revision: str | None) -> None:
        """Do what is left once every file of a folder of this layout is in place; nothing where it is not one.

        Args:
            folder: Where the files are.
            made: Their record.
            revision: What the library shall find there; None to leave that as it is.

        Raises:
            CannotWrite: The system refused.
        """
        ...


def known() -> dict[str, type[Layout]]:
    """Return every layout by its id."""
    return registry.plugins(__name__, "LAYOUT")


def get(layout_id: str) -> type[Layout]:
    """Return one layout.

    Raises:
        UnknownLayout: There is none of this name.
    """
    layout: type[Layout] | None = registry.plugin(__name__, "LAYOUT", layout_id)
    if layout is None:
        raise UnknownLayout(layout_id, ", ".join(known()))
    return layout


def called(layout: type[Layout], ids: Mapping[str, str], snapshot: Snapshot, revision: str | None) -> Called:
    """Say what a listing is called in a layout.

    Args:
        layout: The layout.
        ids: The model's repository at each hub that the catalogue knows to have it.
        snapshot: The listing, of whichever hub.
        revision: What was asked for, or None.
    """
    if layout.hub is None or layout.hub == snapshot.hub:
        return Called(snapshot.repo, snapshot.revision, pin(snapshot))
    return Called(ids.get(layout.hub, snapshot.repo), revision or layout.default_revision, pin(snapshot))


def pin(snapshot: Snapshot) -> str:
    """Return the commit, or where there is none, as many digits that are the same for the same files alone."""
    if snapshot.commit is not None:
        return snapshot.commit
    told = "\n".join(f"{f.path}\0{f.size_bytes}\0{f.sha256 or f.git_sha1}" for f in snapshot.files)
    return hashlib.sha256(told.encode()).hexdigest()[:40]


def owns(link: Path, folder: Path) -> bool:
    """Say whether a link in a folder is the way in which its layout keeps a file."""
    return any(layout.owns(link, folder) for layout in known().values())


def maker(folder: Path, home: Path, env: Mapping[str, str]) -> str | None:
    """Return the hub whose library made a folder, or would find it in its cache; None where not just one is likely."""
    real = folder.resolve()

    def likely(layout: type[Layout]) -> bool:
        cache = layout.cache(home, env)
        return layout.made(real) or (cache is not None and cache.resolve() in real.parents)

    found = [layout.hub for layout in known().values() if layout.hub and likely(layout)]
    return found[0] if len(found) == 1 else None


def settle(folder: Path, made: Manifest, revision: str | None = None) -> None:
    """Do what any layout has left to do in a folder; see `Layout.settle`."""
    for layout in known().values():
        layout.settle(folder, made, revision)
