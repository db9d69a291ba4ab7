"""Hugging Face's cache, so that `from_pretrained("ORG/NAME")` and `snapshot_download` find the model offline.

Files are fetched into `snapshots/<commit>/`; at the end their bytes move to `blobs/<hash>`, where another revision
finds them, and links stay in their place. Where links cannot be made the files stay, as with the library itself.

Source:
    huggingface_hub 2.4.0, file_download.py (_create_symlink, repo_folder_name), constants.py (HF_HUB_CACHE),
    read 2026-11.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from internlm_setup.core.files import write_if_changed, writing
from internlm_setup.core.text import Text
from internlm_setup.fetch.layouts import Called
from internlm_setup.fetch.transfer.manifest import Entry, Manifest
from internlm_setup.fetch.transfer.plan import STATE_FOLDER


class HuggingFaceCache:
    """Files where Hugging Face's libraries look for them; `--to` is their `cache_dir`."""

    id = "hf-cache"
    hub: str | None = "huggingface"
    default_revision = "main"
    title = Text(
        en="Hugging Face's cache, for from_pretrained without a network",
        zh="Hugging Face 缓存，供 from_pretrained 离线使用",
    )

    @staticmethod
    def folder(to: Path | None, cwd: Path, home: Path, env: Mapping[str, str], called: Called) -> Path:
        """See `Layout.folder`."""
        del cwd
        cache = to or HuggingFaceCache.cache(home, env)
        return cache / f"models--{called.repo.replace('/', '--')}" / "snapshots" / called.commit

    @staticmethod
    def cache(home: Path, env: Mapping[str, str]) -> Path:
        """See `Layout.cache`."""
        caches = env.get("XDG_CACHE_HOME") or str(home / ".cache")
        own = env.get("HF_HOME") or f"{caches}/huggingface"
        path = env.get("HF_HUB_CACHE") or f"{own}/hub"
        return home / path[2:] if path.startswith("~/") else Path(path)

    @staticmethod
    def made(folder: Path) -> bool:
        """See `Layout.made`."""
        return _is_snapshot(folder) or (folder / ".cache" / "huggingface").is_dir()

    @staticmethod
    def owns(link: Path, folder: Path) -> bool:
        """See `Layout.owns`: links into the repository's own blobs, of a folder that we made."""
        ours = _is_snapshot(folder) and (folder / STATE_FOLDER / "manifest.json").is_file()
        return ours and link.is_symlink() and link.resolve().parent == (folder.parents[1] / "blobs").resolve()

    @staticmethod
    def settle(folder: Path, made: Manifest, revision: str | None) -> None:
        """See `Layout.settle`."""
        if not _is_snapshot(folder):
            return
        for entry in made.files:
            if not (folder / entry.path).is_symlink():
                _move_to_blobs(folder, entry)
        if revision and revision != folder.name and ".." not in PurePosixPath(revision).parts:
            write_if_changed(folder.parents[1] / "refs" / revision.lstrip("/"), folder.name.encode())


def _is_snapshot(folder: Path) -> bool:
    return folder.parent.name == "snapshots" and folder.parents[1].name.startswith("models--")


def _move_to_blobs(folder: Path, entry: Entry) -> None:
    """Put a link where a file is, and the file where its hash says; at no moment is it at neither."""
    path = folder / entry.path
    name = entry.git_sha1 if entry.proof == "git-sha1" and entry.git_sha1 else entry.sha256
    blob = folder.parents[1] / "blobs" / name
    second, link = (folder / STATE_FOLDER / word for word in ("blob", "link"))
    with writing(blob):
        blob.parent.mkdir(parents=True, exist_ok=True)
        for left in (second, link):
            left.unlink(missing_ok=True)
    with suppress(OSError, NotImplementedError):  # no links here
        link.symlink_to(os.path.relpath(blob, path.parent))
        os.link(path, second)
        second.replace(blob)
        link.replace(path)
    for left in (second, link):
        left.unlink(missing_ok=True)


LAYOUT = HuggingFaceCache
