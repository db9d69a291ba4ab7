"""What becomes of a content when all its bytes are here: in place, thrown away, or compared across its sources."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from internlm_setup.fetch.transfer.commit import commit, proof_of
from internlm_setup.fetch.transfer.errors import HashMismatch
from internlm_setup.fetch.transfer.manifest import Entry
from internlm_setup.fetch.transfer.sources import best_kind
from internlm_setup.fetch.transfer.store import Partial
from internlm_setup.fetch.transfer.trial import Trial
from internlm_setup.fetch.transfer.verify import Digest, FileHasher, judge, wants_git

if TYPE_CHECKING:
    from internlm_setup.fetch.transfer.assembly import Assembly


def finish(assembly: Assembly, finished: Callable[[Entry], None], cancelled: threading.Event) -> list[Entry] | None:
    """Verify all bytes and put them in place under every path; `finished` is told each entry first.

    Returns:
        An entry for each path; None when cancelled first, or when more has to be compared.

    Raises:
        HashMismatch: The bytes are not the published ones. They are discarded, unless `assembly.trial` is to find out
            who sent wrong ones.
    """
    content = assembly.content
    digest = _digest(assembly, cancelled) if assembly.trial is None else _tried(assembly, assembly.trial, cancelled)
    if digest is None or cancelled.is_set():
        return None
    try:
        proof = proof_of(content, digest, assembly.senders)
    except HashMismatch:
        assembly.trial = _trial(assembly)
        if assembly.trial is None:
            assembly.suspect = assembly.account.only_sender(0, digest.position)
            assembly.discard()
        raise
    assembly.trial = None
    if assembly.suspect is not None and assembly.suspect.name not in assembly.account.senders():
        assembly.liar = assembly.suspect
    entries = commit(content, _sealed(assembly), digest, proof, assembly.store, assembly.senders, finished)
    if assembly.partial is not None:
        assembly.partial.forget_journal(assembly.store.target(content.paths[0]).parent)
    return entries


def _sealed(assembly: Assembly) -> Path:
    """Return the file that holds the verified bytes, safe on the disk."""
    if assembly.partial is not None:
        return assembly.partial.seal()
    waiting = assembly.store.write_small(assembly.small or b"")
    assembly.small = bytearray()
    return waiting


def _digest(assembly: Assembly, cancelled: threading.Event) -> Digest:
    if assembly.small is not None:
        digest = Digest(len(assembly.small), git=wants_git(len(assembly.small), assembly.content.sha256))
        digest.update(assembly.small)
        return digest
    partial, size = _whole(assembly)
    if assembly.hasher is None or assembly.content.size_bytes is None:  # git's hash begins with the size
        assembly.hasher = assembly.new_hasher(partial, size)
    assembly.hasher.advance(size, cancelled)
    return assembly.hasher.digest


def _whole(assembly: Assembly) -> tuple[Partial, int]:
    """Return the partial file and its length."""
    if assembly.partial is None:
        raise AssertionError("an assembly was finished before it was opened")
    size = assembly.partial.prefix_bytes
    if assembly.content.size_bytes not in {None, size}:
        raise AssertionError("an assembly was finished with a hole in it")
    return assembly.partial, size


def _trial(assembly: Assembly) -> Trial | None:
    """Begin to compare, where there is somebody to compare with and it has not been in vain already."""
    size = assembly.content.size_bytes
    suppliers = {way.supplier for way in best_kind(assembly.ways)}
    if assembly.partial is None or size is None or assembly.single_stream or len(suppliers) < 2:
        return None
    return None if assembly.trial is not None or assembly.mismatches else Trial(assembly.account.by_sender(size))


def _tried(assembly: Assembly, trial: Trial, cancelled: threading.Event) -> Digest | None:
    """Let the hash decide who lied; None while more has to be compared, else the digest, right or wrong."""
    (partial, size), content = _whole(assembly), assembly.content

    def is_right() -> bool:
        hasher = assembly.hasher = FileHasher(partial.path, size, git=wants_git(size, content.sha256))
        hasher.advance(size, cancelled)
        return judge(hasher.digest, content.sha256, content.git_sha1)[0]

    right, liar = trial.decide(partial.write, is_right)
    if right:
        assembly.liar = liar
        for start, end, sender in trial.replaced(liar):
            assembly.account.forget(start, end)
            assembly.account.note(sender, start, end)
    return _digest(assembly, cancelled) if right or trial.is_over else None
