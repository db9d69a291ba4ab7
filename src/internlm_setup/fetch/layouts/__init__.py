"""How a fetched model lies on the disk: one file each, found by `core.registry`.

A layout's file holds a class with these members under the name `LAYOUT`: `id`, `title`, and
`folder(to, cwd, home, env, repo, revision) -> Path`, the absolute folder that the repository's files go into.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from internlm_setup.core import registry
from internlm_setup.core.text import Text
from internlm_setup.fetch.errors import UnknownLayout


class Layout(Protocol):
    """One way of laying a repository out."""

    id: str
    title: Text

    @staticmethod
    def folder(to: Path | None, cwd: Path, home: Path, env: Mapping[str, str], repo: str, revision: str) -> Path:
        """Return the absolute folder for the files.

        Args:
            to: What `--to` said, absolute, or None.
            cwd: Where relative defaults start.
            home: The home folder.
            env: The environment, where a vendor's variable may move its cache.
            repo: `ORG/NAME` at the hub.
            revision: The revision asked for.
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
