"""The plain layout: the repository's files in one folder, `./<repository name>` unless told otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from internlm_setup.core.text import Text


class Dir:
    """Files directly in `--to`."""

    id = "dir"
    title = Text(en="the files in one folder", zh="文件直接放在一个文件夹中")

    @staticmethod
    def folder(to: Path | None, cwd: Path, home: Path, env: Mapping[str, str], repo: str, revision: str) -> Path:
        """See `Layout.folder`."""
        del home, env, revision
        return to or cwd / repo.rpartition("/")[2]


LAYOUT = Dir
