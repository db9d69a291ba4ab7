"""Conda channels, all with the same real, tiny package; the index comes plain and in a zstd frame."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from functools import lru_cache

from internlm_setup.playground.hub.message import Reply, text_reply
from internlm_setup.playground.mirror.archive import tar
from internlm_setup.playground.mirror.site import MirrorSite

_PATH = re.compile(r".*/(?:pkgs|cloud|anaconda-r)/([^/]+)/([^/]+)/([^/]+)")
_NAME, _VERSION = "playground-hello", "1.0"
_FILE = f"{_NAME}-{_VERSION}-0.tar.bz2"
_FILLER = "0" * (1 << 20)  # what those who measure the speed read
_ZSTD_BLOCK_BYTES = 128 << 10


def answer(site: MirrorSite, path: str) -> Reply | None:
    """Answer for a file of a channel; None for other paths."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    channel, subdir, file = match.groups()
    body = _body(subdir, file) if site.channels is None or channel in site.channels else None
    return text_reply("404 Not Found\n", 404) if body is None else Reply(200, {"Last-Modified": site.copied_at}, body)


def _body(subdir: str, file: str) -> bytes | None:
    if file in {"repodata.json", "current_repodata.json"}:
        return _index(subdir)
    if file in {"repodata.json.zst", "current_repodata.json.zst"}:
        return _zstd(_index(subdir))
    return _package() if (subdir, file) == ("noarch", _FILE) else None


@lru_cache(maxsize=8)
def _index(subdir: str) -> bytes:
    index = {
        "info": {"subdir": subdir},
        "packages": {_FILE: _record()} if subdir == "noarch" else {},
        "packages.conda": {},
        "removed": [],
        "repodata_version": 1,
        "playground_filler": _FILLER,
    }
    return json.dumps(index).encode()


def _about() -> dict[str, object]:
    return {
        "name": _NAME,
        "version": _VERSION,
        "build": "0",
        "build_number": 0,
        "depends": [],
        "license": "Apache-2.0",
        "noarch": "generic",
        "subdir": "noarch",
        "timestamp": 1700000000000,
    }


def _record() -> dict[str, object]:
    data = _package()
    sums = {"md5": hashlib.md5(data, usedforsecurity=False).hexdigest(), "sha256": hashlib.sha256(data).hexdigest()}
    return {**_about(), **sums, "size": len(data)}


@lru_cache(maxsize=1)
def _package() -> bytes:
    """Build a noarch package: conda needs its record, its list of files, and their sums."""
    path, words = f"share/{_NAME}/hello.txt", b"hello from a channel\n"
    sums = {"sha256": hashlib.sha256(words).hexdigest(), "size_in_bytes": len(words)}
    paths = {"paths": [{"_path": path, "path_type": "hardlink", **sums}], "paths_version": 1}
    files = {
        "info/index.json": json.dumps(_about()).encode(),
        "info/files": f"{path}\n".encode(),
        "info/paths.json": json.dumps(paths).encode(),
        path: words,
    }
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:bz2") as package:
        tar(package, files)
    return made.getvalue()


@lru_cache(maxsize=8)
def _zstd(data: bytes) -> bytes:
    """Wrap bytes in one zstd frame of raw blocks: no compression, but every decoder reads it.

    Source:
        RFC 8878 section 3.1.1, read 2026-11.
    """
    blocks = [data[at : at + _ZSTD_BLOCK_BYTES] for at in range(0, len(data), _ZSTD_BLOCK_BYTES)]
    head = (0xFD2FB528).to_bytes(4, "little") + b"\xa0" + len(data).to_bytes(4, "little")
    sizes = [(len(block) << 3) | (block is blocks[-1]) for block in blocks]
    return head + b"".join(size.to_bytes(3, "little") + block for size, block in zip(sizes, blocks, strict=True))
