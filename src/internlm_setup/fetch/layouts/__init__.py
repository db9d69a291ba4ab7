"""How a fetched model lies on the disk: one file each, found by `core.registry`.

A layout's file holds a class with these members under the name `LAYOUT`: `id`, `title`, and
`folder(to, cwd, cache_home, repo, revision) -> Path`, the absolute folder that the repository's files go into.
"""

from __future__ import annotations

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
    def folder(to: Path | None, cwd: Path, cache_home: Path, repo: str, revision: str) -> Path:
        """Return the absolute folder for the files.

        Args:
            to: What `--to` said, absolute, or None.
            cwd: Where relative defaults start.
            cache_home: The user's cache folder, `~/.cache`.
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
    layouts = known()
    if layout_id not in layouts:
        raise UnknownLayout(layout_id, ", ".join(layouts))
    return layouts[layout_id]
