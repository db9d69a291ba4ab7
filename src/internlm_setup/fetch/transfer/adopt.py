"""A whole file that another program fetched into our state folder: verified, recorded and named like one of ours."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from internlm_setup.core.files import writing
from internlm_setup.fetch.transfer.errors import HashMismatch
from internlm_setup.fetch.transfer.manifest import Entry
from internlm_setup.fetch.transfer.plan import Content
from internlm_setup.fetch.transfer.store import Store
from internlm_setup.fetch.transfer.verify import Digest, hash_file, judge


def adopt(content: Content, staged: Path, store: Store, hub: str, finished: Callable[[Entry], None]) -> list[Entry]:
    """Verify a file and put it in place under every path of its content.

    As with our own transfer, the record is told before the name is given: a kill between the two leaves a record of a
    file that is not there, which is harmless.

    Args:
        content: What it should be.
        staged: Where it is, on the file system of the destination; it is moved from there.
        store: The destination.
        hub: Who sent it.
        finished: Given each record.

    Raises:
        HashMismatch: The bytes are not the published ones; the file is removed.
    """
    size_bytes = staged.stat().st_size
    digest = hash_file(staged, git=True)
    good, proof = judge(digest, content.sha256, content.git_sha1)
    if not good:
        with writing(staged):
            staged.unlink()
        raise _mismatch(content, digest, hub)
    _sync(staged)
    entries = []
    for number, path in enumerate(content.paths):
        target = store.target(path)
        waiting = staged if number == 0 else store.copy_of(content.paths[0])
        entry = Entry(
            path=path,
            size_bytes=size_bytes,
            sha256=digest.sha256,
            git_sha1=digest.git_sha1,
            mtime_ns=waiting.stat().st_mtime_ns,
            proof=proof,
            proof_from=None if proof == "none" else content.sources[0].hub,
            source=hub,
        )
        finished(entry)
        entries.append(entry)
        store.place(waiting, target)
    return entries


def _sync(file: Path) -> None:
    """Make the bytes durable before they get their name."""
    with writing(file):
        number = os.open(file, os.O_RDWR | getattr(os, "O_BINARY", 0))
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _mismatch(content: Content, digest: Digest, hub: str) -> HashMismatch:
    if content.sha256 is not None:
        return HashMismatch(content.paths[0], hub, "sha256", content.sha256, digest.sha256)
    return HashMismatch(content.paths[0], hub, "git-sha1", content.git_sha1 or "", digest.git_sha1 or "")
