"""ModelScope's cache, so that `modelscope.snapshot_download(..., cache_dir=DIR)` finds the model offline.

Source:
    modelscope-hub 0.5.1, `_download.py`: `{cache}/models/{owner}--{name}/snapshots/{revision}/`, read 2026-11.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from internlm_setup.core.text import Text


class ModelScopeCache:
    """Files where ModelScope's own library looks for them; `--to` is its `cache_dir`."""

    id = "modelscope-cache"
    title = Text(
        en="ModelScope's cache (the tutorial's cache_dir)",
        zh="ModelScope 缓存（教程中的 cache_dir）",
    )

    @staticmethod
    def folder(to: Path | None, cwd: Path, home: Path, env: Mapping[str, str], repo: str, revision: str) -> Path:
        """See `Layout.folder`."""
        del cwd
        cache = to or Path(env.get("MODELSCOPE_CACHE") or home / ".cache" / "modelscope")
        return cache / "models" / repo.replace("/", "--") / "snapshots" / (revision or "master")


LAYOUT = ModelScopeCache
