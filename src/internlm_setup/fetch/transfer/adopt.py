"""A whole file that another program fetched into our state folder: verified, recorded and named like one of ours."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from internlm_setup.core.files import writing
from internlm_setup.fetch.transfer.commit import commit, proof_of
from internlm_setup.fetch.transfer.errors import HashMismatch
from internlm_setup.fetch.transfer.manifest import Entry
from internlm_setup.fetch.transfer.plan import Content
from internlm_setup.fetch.transfer.store import Store
from internlm_setup.fetch.transfer.verify import hash_file, wants_git


def adopt(content: Content, staged: Path, store: Store, hub: str, finished: Callable[[Entry], None]) -> list[Entry]:
    """Verify a file and put it in place under every path of its content.

    Args:
        content: What it should be.
        staged: Where it is, on the file system of the destination; it is moved from there.
        store: The destination.
        hub: Who sent it.
        finished: Given each record.

    Raises:
        HashMismatch: The bytes are not the published ones; the file is removed.
    """
    digest = hash_file(staged, git=wants_git(staged.stat().st_size, content.sha256))
    try:
        proof = proof_of(content, digest, hub)
    except HashMismatch:
        with writing(staged):
            staged.unlink()
        raise
    _sync(staged)
    return commit(content, staged, digest, proof, store, hub, finished)


def _sync(file: Path) -> None:
    """Make the bytes durable before they get their name."""
    with writing(file):
        number = os.open(file, os.O_RDWR | getattr(os, "O_BINARY", 0))
        try:
            os.fsync(number)
        finally:
            os.close(number)
