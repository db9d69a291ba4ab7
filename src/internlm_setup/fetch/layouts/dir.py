"""The plain layout: the repository's files in one folder, `./<repository name>` unless told otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from internlm_setup.core.text import Text
from internlm_setup.fetch.layouts import Called
from internlm_setup.fetch.transfer.manifest import Manifest


class Dir:
    """Files directly in `--to`."""

    id = "dir"
    hub: str | None = None
    default_revision = ""
    title = Text(en="the files in one folder", zh="文件直接放在一个文件夹中")

    @staticmethod
    def folder(to: Path | None, cwd: Path, home: Path, env: Mapping[str, str], called: Called) -> Path:
        """See `Layout.folder`."""
        del home, env
        return to or cwd / called.repo.rpartition("/")[2]

    @staticmethod
    def cache(home: Path, env: Mapping[str, str]) -> Path | None:  # noqa: ARG004
        """See `Layout.cache`."""
        return None

    @staticmethod
    def made(folder: Path) -> bool:  # noqa: ARG004
        """See `Layout.made`."""
        return False

    @staticmethod
    def owns(link: Path, folder: Path) -> bool:  # noqa: ARG004
        """See `Layout.owns`."""
        return False

    @staticmethod
    def settle(folder: Path, made: Manifest, revision: str | None) -> None:
        """See `Layout.settle`."""


LAYOUT = Dir
