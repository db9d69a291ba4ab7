"""An npm registry with real, tiny packages."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from functools import lru_cache

from internlm_setup.playground.hub.message import Reply, json_reply
from internlm_setup.playground.mirror.archive import tar_gz
from internlm_setup.playground.mirror.site import MirrorSite

_FILES: Mapping[str, Mapping[str, bytes]] = {
    "playground-hello": {"package/index.js": b'module.exports = "hello from a registry"\n'},
    "npm": {"package/filler": bytes(1 << 20)},  # older than any, and large enough to measure with
}
_PATH = re.compile(r"((?:/repository)?(?:/npm)?)/([a-z-]+)(/-/[a-z-]+-0\.0\.1\.tgz)?")


def answer(site: MirrorSite, path: str) -> Reply | None:
    """Answer for a package or its archive; None for other paths."""
    match = _PATH.fullmatch(path)
    if match is None or match[2] not in _FILES:
        return None
    name = match[2]
    if match.lastindex == 3:
        return Reply(200, {"Last-Modified": site.copied_at}, _archive(name))
    tarball = f"{site.url}{match[1]}/{name}/-/{name}-0.0.1.tgz"
    return json_reply(_document(name, tarball), headers={"Last-Modified": site.copied_at})


def _document(name: str, tarball: str) -> dict[str, object]:
    data = _archive(name)
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    shasum = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    dist = {"tarball": tarball, "integrity": integrity, "shasum": shasum}
    return {
        "name": name,
        "dist-tags": {"latest": "0.0.1"},
        "versions": {"0.0.1": {"name": name, "version": "0.0.1", "dist": dist}},
    }


@lru_cache(maxsize=4)
def _archive(name: str) -> bytes:
    about = json.dumps({"name": name, "version": "0.0.1", "main": "index.js"}).encode()
    return tar_gz({"package/package.json": about, **_FILES[name]})
