"""Debian and Ubuntu trees with one real, tiny package, in any suite; unsigned, so `[trusted=yes]` is needed."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache

from internlm_setup.playground.hub.message import Reply, text_reply
from internlm_setup.playground.mirror.archive import tar_gz
from internlm_setup.playground.mirror.site import MirrorSite

_PATH = re.compile(r".*/(debian|debian-security|ubuntu|ubuntu-ports)/(dists|pool)/(.+)")
_DEB = "pool/main/p/playground-hello/playground-hello_1.0_all.deb"
_ABOUT = """\
Package: playground-hello
Version: 1.0
Architecture: all
Maintainer: The playground <playground@example.invalid>
Description: says hello from a mirror
"""
_ARCHITECTURES = ("amd64", "arm64", "i386")


def answer(site: MirrorSite, path: str) -> Reply | None:
    """Answer for a file of a tree; None for other paths."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    distribution, folder, rest = match.groups()
    suite, _, file = rest.partition("/")
    if folder == "pool":
        body = _deb() if f"pool/{rest}" == _DEB else None
    elif file == "Release":
        body = _release(site, distribution, suite)
    else:
        body = _files().get(file)
    return text_reply("404 Not Found\n", 404) if body is None else Reply(200, {"Last-Modified": site.copied_at}, body)


def _release(site: MirrorSite, distribution: str, suite: str) -> bytes:
    rows = [f" {hashlib.sha256(data).hexdigest()} {len(data):>9} {file}" for file, data in _files().items()]
    fields = {
        "Origin": "Playground",
        "Label": distribution,
        "Suite": suite,
        "Codename": suite,
        "Date": site.copied_at.replace("GMT", "UTC"),
        "Architectures": " ".join(_ARCHITECTURES),
        "Components": "main",
    }
    return "\n".join([*(f"{name}: {value}" for name, value in fields.items()), "SHA256:", *rows, ""]).encode()


@lru_cache(maxsize=1)
def _files() -> Mapping[str, bytes]:
    deb = _deb()
    where = f"Filename: {_DEB}\nSize: {len(deb)}\nSHA256: {hashlib.sha256(deb).hexdigest()}\n"
    packages = f"{_ABOUT}{where}\n".encode()
    listed = {f"main/binary-{each}/Packages": packages for each in _ARCHITECTURES}
    packed = {f"{name}.gz": gzip.compress(data, mtime=0) for name, data in listed.items()}
    filler = gzip.compress(bytes(1 << 20), compresslevel=0, mtime=0)  # what those who measure the speed read
    return {**listed, **packed, "main/Contents-amd64.gz": filler}


@lru_cache(maxsize=1)
def _deb() -> bytes:
    """Build the package: an `ar` archive of a version, the control files and the content."""
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": tar_gz({"control": _ABOUT.encode()}),
        "data.tar.gz": tar_gz({"usr/share/playground-hello/hello.txt": b"hello from an apt tree\n"}),
    }
    made = b"!<arch>\n"
    for name, data in members.items():
        made += (
            f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
        )
    return made
