"""The last step of every file, whoever fetched it: judged, recorded, and only then given its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from internlm_setup.fetch.model import LOCK, Proof
from internlm_setup.fetch.transfer import prefixes
from internlm_setup.fetch.transfer.errors import HashMismatch, NotAsLocked
from internlm_setup.fetch.transfer.manifest import Entry
from internlm_setup.fetch.transfer.plan import Content
from internlm_setup.fetch.transfer.store import Store
from internlm_setup.fetch.transfer.verify import Digest, judge


def proof_of(content: Content, digest: Digest, hub: str) -> Proof:
    """Compare what came with what was published and say what proves it.

    Raises:
        HashMismatch: The bytes that `hub` sent are not the published ones; `NotAsLocked` where a lock says which.
    """
    good, proof = judge(digest, content.sha256, content.git_sha1)
    if good:
        return proof
    by_sha256 = content.sha256 is not None
    raise (NotAsLocked if content.published_by == LOCK else HashMismatch)(
        path=content.paths[0],
        hub=hub,
        kind="sha256" if by_sha256 else "git-sha1",
        expected=(content.sha256 if by_sha256 else content.git_sha1) or "",
        actual=(digest.sha256 if by_sha256 else digest.git_sha1) or "",
    )


def commit(
    content: Content,
    waiting: Path,
    digest: Digest,
    proof: Proof,
    store: Store,
    hub: str,
    finished: Callable[[Entry], None],
) -> list[Entry]:
    """Put verified bytes in place under every path of their content.

    `finished` is told each entry before its file gets its final name: a kill in between leaves a record of a file
    that is not there, which is harmless, and never a file that nobody remembers.

    Args:
        content: What it is.
        waiting: The durable file, on the file system of the destination; it is moved from there.
        digest: Of all its bytes.
        proof: From `proof_of`.
        store: The destination.
        hub: Who sent the bytes.
        finished: Given each record.
    """
    prefixes.save(store.state, digest.sha256, digest.position, digest.prefixes)
    entries = []
    for number, path in enumerate(content.paths):
        target = store.target(path)
        file = waiting if number == 0 else store.copy_of(content.paths[0])
        entry = Entry(
            path=path,
            size_bytes=digest.position,
            sha256=digest.sha256,
            git_sha1=digest.git_sha1,
            mtime_ns=file.stat().st_mtime_ns,
            proof=proof,
            proof_from=None if proof == "none" else content.published_by,
            source=hub,
        )
        entries.append(entry)
        finished(entry)
        store.place(file, target)
    return entries
