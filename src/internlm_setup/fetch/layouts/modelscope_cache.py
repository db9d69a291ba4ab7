"""ModelScope's cache, so that `modelscope.snapshot_download(..., cache_dir=DIR)` finds the model offline.

Source:
    modelscope-hub 0.5.1, `_download.py`: `{cache}/models/{owner}--{name}/snapshots/{revision}/`, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from internlm_setup.core.text import Text
from internlm_setup.fetch.layouts import Called
from internlm_setup.fetch.transfer.manifest import Manifest


class ModelScopeCache:
    """Files where ModelScope's own library looks for them; `--to` is its `cache_dir`."""

    id = "modelscope-cache"
    hub: str | None = "modelscope"
    default_revision = "master"
    title = Text(
        en="ModelScope's cache (the tutorial's cache_dir)",
        zh="ModelScope 缓存（教程中的 cache_dir）",
    )

    @staticmethod
    def folder(to: Path | None, cwd: Path, home: Path, env: Mapping[str, str], called: Called) -> Path:
        """See `Layout.folder`."""
        del cwd
        cache = to or ModelScopeCache.cache(home, env)
        return cache / "models" / called.repo.replace("/", "--") / "snapshots" / (called.revision or "master")

    @staticmethod
    def cache(home: Path, env: Mapping[str, str]) -> Path:
        """See `Layout.cache`."""
        return Path(env.get("MODELSCOPE_CACHE") or home / ".cache" / "modelscope")

    @staticmethod
    def made(folder: Path) -> bool:
        """See `Layout.made`."""
        in_cache = folder.parts[-4:-3] == ("models",) and folder.parent.name == "snapshots"
        return in_cache or any((folder / name).is_file() for name in (".msc", ".mdl"))

    @staticmethod
    def owns(link: Path, folder: Path) -> bool:  # noqa: ARG004
        """See `Layout.owns`."""
        return False

    @staticmethod
    def settle(folder: Path, made: Manifest, revision: str | None) -> None:
        """See `Layout.settle`."""


LAYOUT = ModelScopeCache
