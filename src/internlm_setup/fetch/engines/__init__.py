"""Who moves the bytes: one file an engine, found by `core.registry`.

An engine's file holds a class with the members of `Engine` under the name `ENGINE`. Whatever it does, no file gets its
final name but through `transfer.store`, verified; so the record of a fetch is the same with every engine. What it keeps
between runs is in the store's partial files, or in a folder of the store's state that is called as the engine's file.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from internlm_setup.core import registry
from internlm_setup.core.clock import Clock
from internlm_setup.core.errors import (
    DeniedError,
    SetupError,
    SeveralErrors,
    StoppedError,
    UnavailableError,
    WriteError,
)
from internlm_setup.core.http import Network
from internlm_setup.core.text import human_size
from internlm_setup.fetch.engine_errors import UnknownEngine
from internlm_setup.fetch.model import Hub, RemoteFile, Snapshot
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.transfer.errors import TransferFailed, TransferStopped
from internlm_setup.fetch.transfer.manifest import Entry
from internlm_setup.fetch.transfer.options import Outcome
from internlm_setup.fetch.transfer.plan import Content, Source, content_key
from internlm_setup.fetch.transfer.store import Store


@dataclass(frozen=True, slots=True)
class Work:
    """What an engine is to do.

    Attributes:
        hub: Who has the bytes.
        snapshot: What it listed.
        contents: What is missing, each content once.
        store: The destination, locked.
        network: The way out.
        clock: The time.
        jobs: Connections in all.
        limit_rate_bytes_per_s: None for no limit.
        tell: Told what happens, one event at a time.
        finished: Given the record of each file, before the file gets its final name.
        most_jobs: What `jobs` may grow to where that helps; not at all when it is not above them.
        trace: Where to write a line for each piece, or None.
    """

    hub: Hub
    snapshot: Snapshot
    contents: Sequence[Content]
    store: Store
    network: Network
    clock: Clock
    jobs: int
    limit_rate_bytes_per_s: int | None
    tell: events.Listener
    finished: Callable[[Entry], None]
    most_jobs: int = 0
    trace: Path | None = None


class Engine(Protocol):
    """One way of moving bytes."""

    id: str

    @staticmethod
    def check(hub: Hub, limit_rate_bytes_per_s: int | None) -> None:
        """Raise what speaks against using this engine, before anything is written."""
        ...

    @staticmethod
    def present_bytes(store: Store, hub: Hub, contents: Sequence[Content]) -> int:
        """Return how much of the missing contents earlier runs of this engine left. Only looks."""
        ...

    @staticmethod
    def carry(work: Work) -> tuple[list[Outcome], int]:
        """Do it: one outcome a content in the given order, and the bytes received in all."""
        ...


def known() -> dict[str, type[Engine]]:
    """Return every engine by its id."""
    return registry.plugins(__name__, "ENGINE")


def get(engine_id: str) -> type[Engine]:
    """Return one engine.

    Raises:
        UnknownEngine: There is none of this name.
    """
    engine: type[Engine] | None = registry.plugin(__name__, "ENGINE", engine_id)
    if engine is None:
        raise UnknownEngine(engine_id, ", ".join(known()))
    return engine


def tidy(store: Store) -> None:
    """Remove what engines kept, once a run has ended well: it belongs to another selection, or is in place by now."""
    store.tidy()
    for name in registry.modules(__name__):
        folder = store.state / name.rpartition(".")[2]
        if folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)


def contents(hub: Hub, snapshot: Snapshot, files: Sequence[RemoteFile]) -> list[Content]:
    """Group files by their bytes, so that equal ones are fetched once."""
    pin = snapshot.commit or snapshot.revision
    groups: dict[str, list[RemoteFile]] = {}
    for file in files:
        groups.setdefault(content_key(snapshot.hub, snapshot.repo, pin, file), []).append(file)
    return [
        Content(
            key=key,
            size_bytes=same[0].size_bytes,
            sha256=same[0].sha256,
            git_sha1=same[0].git_sha1,
            paths=tuple(f.path for f in same),
            sources=(Source(snapshot.hub, partial(hub.locate, snapshot, same[0])),),
            etag=same[0].etag,
        )
        for key, same in groups.items()
    ]


def raise_failures(outcomes: Sequence[Outcome], finished_bytes: int) -> None:
    """Raise what failed, each failure once; a network failure is resumable when anything was kept.

    A refusal or a full disk ended the whole run, so the first of them is told alone.
    """
    failures: dict[int, SetupError] = {id(o.error): o.error for o in outcomes if o.error is not None}
    if not failures:
        return
    for error in failures.values():
        if isinstance(error, (DeniedError, WriteError)):
            raise error
    kept = finished_bytes + sum(o.kept_bytes for o in outcomes if o.error is not None)
    told: list[SetupError] = []
    for error in failures.values():
        if kept and isinstance(error, (TransferFailed, TransferStopped)):
            told.append(TransferStopped(error.path, error.hub, error.reason, human_size(kept)))
        else:
            told.append(error)
    resumable = all(isinstance(e, (StoppedError, UnavailableError)) for e in told)
    raise told[0] if resumable or len(told) == 1 else SeveralErrors(told)
