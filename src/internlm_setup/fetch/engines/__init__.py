"""Who moves the bytes: one file an engine, found by `core.registry`.

An engine's file holds a class with the members of `Engine` under the name `ENGINE`. Whatever it does, no file gets its
final name but through `transfer.store`, verified; so the record of a fetch is the same with every engine. What it keeps
between runs is in the store's partial files, or in a folder of the store's state that is called as the engine's file.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from functools import partial
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
from internlm_setup.core.text import Text, human_size, without_password
from internlm_setup.fetch.compare import Shelf
from internlm_setup.fetch.engine_errors import UnknownEngine
from internlm_setup.fetch.model import Hub, RemoteFile, Snapshot
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.transfer.errors import TransferFailed, TransferStopped
from internlm_setup.fetch.transfer.manifest import Entry
from internlm_setup.fetch.transfer.options import Outcome
from internlm_setup.fetch.transfer.plan import Content, Source, content_key
from internlm_setup.fetch.transfer.store import Store
from internlm_setup.fetch.transfer.trace import Tracer

_ITS_OWN = Text(
    en="{hub} hands out {n} {noun} to its own downloader alone, first `{path}`: that one is used, as with "
    "`--engine official`",
    zh="{hub} 只向其官方下载器提供 {n} 个文件，首个为 `{path}`：改用官方下载器，同 `--engine official`",
)


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
        trace: Told each piece when it is over, or None.
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
    trace: Tracer | None = None


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


def contents(snapshot: Snapshot, files: Sequence[RemoteFile], holders: Sequence[tuple[Hub, Snapshot]]) -> list[Content]:
    """Group files by their bytes, so that equal ones are fetched once, and say which hubs serve each.

    Args:
        snapshot: The version that the files are of.
        files: What is wanted of it.
        holders: Hubs with what they list, best first. One serves what it lists with the same size and hash; where no
            hub does, the first that lists the same path and size, and no hash against it, is alone asked. What a hub
            hands out to its own downloader alone is had only where that hub's version is wanted.
    """
    pin = snapshot.commit or snapshot.revision
    groups: dict[str, list[RemoteFile]] = {}
    for file in files:
        groups.setdefault(content_key(snapshot.hub, snapshot.repo, pin, file), []).append(file)
    shelves = [(hub, held, Shelf(held)) for hub, held in holders]
    several = {hub for hub, count in Counter(hub.id for hub, _ in holders).items() if count > 1}

    def sources(file: RemoteFile) -> tuple[Source, ...]:
        surely = [(hub, held, shelf.same(file)) for hub, held, shelf in shelves]
        if not any(found for _, _, found in surely):
            surely = [(hub, held, shelf.maybe(file)) for hub, held, shelf in shelves]
            surely = [each for each in surely if each[2]][:1]
        return tuple(
            Source(hub.id, partial(hub.locate, held, found), _address(hub, several), found.vendor_only)
            for hub, held, found in surely
            if found and not (found.vendor_only and held.hub != snapshot.hub)
        )

    return [
        Content(
            key=key,
            size_bytes=same[0].size_bytes,
            sha256=same[0].sha256,
            git_sha1=same[0].git_sha1,
            paths=tuple(f.path for f in same),
            sources=sources(same[0]),
            published_by=snapshot.hub,
            etag=same[0].etag,
        )
        for key, same in groups.items()
    ]


def _address(hub: Hub, several: Container[str]) -> str:
    return without_password(hub.endpoint) if hub.id in several else ""


def parts(engine_id: str, contents: Sequence[Content]) -> list[tuple[type[Engine], list[Content]]]:
    """Say which engine moves which contents: the one that was asked for, or the vendor's where no other one can.

    A hub that gives a content to its own downloader alone is no source of it for anybody else, and is asked through
    that downloader only when it is the last one.
    """
    engine = get(engine_id)
    if engine_id == "official" or not any(source.vendor_only for c in contents for source in c.sources):
        return [(engine, list(contents))] if contents else []
    rest = [c for c in contents if c.sources and all(source.vendor_only for source in c.sources)]
    able = [replace(c, sources=tuple(s for s in c.sources if not s.vendor_only)) for c in contents if c not in rest]
    split = [(engine, able), (get("official"), rest)]
    return [(one, part) for one, part in split if part]


def present_bytes(engine_id: str, store: Store, hub: Hub, contents: Sequence[Content]) -> int:
    """Return how much of the missing contents earlier runs left."""
    return sum(engine.present_bytes(store, hub, part) for engine, part in parts(engine_id, contents))


def carry(engine_id: str, work: Work) -> tuple[list[Outcome], int]:
    """Move all bytes, saying where another engine than the one asked for has to: outcomes, and the bytes received.

    Raises:
        NoDownloader: Only the vendor's downloader would do, and there is none.
        NoRateLimit: Likewise, and it knows no limit.
    """
    split = parts(engine_id, work.contents)
    for engine, part in split:
        if engine.id != engine_id:
            engine.check(work.hub, work.limit_rate_bytes_per_s)
            noun = "file" if len(part) == 1 else "files"
            told = _ITS_OWN.fill(path=part[0].paths[0], hub=work.hub.title, n=len(part), noun=noun)
            work.tell(events.Noted(told))
    came = [engine.carry(replace(work, contents=part)) for engine, part in split]
    return [outcome for outcomes, _ in came for outcome in outcomes], sum(received for _, received in came)


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
