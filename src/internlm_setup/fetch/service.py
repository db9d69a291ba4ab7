"""One fetch from a name to a verified folder: resolve, ask, plan, transfer, record.

`plan` looks and writes nothing; `apply` moves the bytes; `fetch` is both under the destination's lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from internlm_setup.core.files import CannotWrite
from internlm_setup.core.text import Text
from internlm_setup.fetch import engines, history, layouts
from internlm_setup.fetch.ask import ask_first
from internlm_setup.fetch.catalog import Wanted
from internlm_setup.fetch.errors import NothingMatches
from internlm_setup.fetch.model import FetchedFile, FetchResult, Hub, RemoteFile, Snapshot
from internlm_setup.fetch.space import check_space
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.transfer.errors import ChangedMeanwhile
from internlm_setup.fetch.transfer.manifest import (
    Entry,
    Finished,
    Manifest,
    read_manifest,
    write_manifest,
)
from internlm_setup.fetch.transfer.plan import select
from internlm_setup.fetch.transfer.store import Store
from internlm_setup.fetch.transfer.survey import Survey, refusal, still_true, survey
from internlm_setup.fetch.witness import Witness
from internlm_setup.fetch.world import World, questions


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asked for.

    Attributes:
        model: A name, an alias, an id at any hub, or a page's address.
        sources: Hubs to ask, in order of preference; empty means `auto`.
        revision: None for each hub's default.
        include: Globs of files to take; empty means all.
        exclude: Globs of files to leave.
        to: The destination, or None for the layout's default.
        layout: A layout's id.
        jobs: Connections in all, at least 1.
        most_jobs: What they may grow to on a line where that helps; not at all when it is not above `jobs`.
        limit_rate_bytes_per_s: None for no limit.
        force: Replace files that are in the way.
        engine: An engine's id: `native`, or `official` for the vendor's own downloader.
    """

    model: str
    sources: tuple[str, ...] = ()
    revision: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    to: Path | None = None
    layout: str = "dir"
    jobs: int = 8
    most_jobs: int = 0
    limit_rate_bytes_per_s: int | None = None
    force: bool = False
    engine: str = "native"


@dataclass(frozen=True, slots=True)
class _Target:
    """What was asked for, found at a hub."""

    wanted: Wanted
    hub: Hub
    snapshot: Snapshot
    files: tuple[RemoteFile, ...]
    folder: Path


@dataclass(frozen=True, slots=True)
class Plan:
    """What a fetch would do.

    Attributes:
        wanted: The model and its ids.
        hub: The primary hub.
        snapshot: What it has.
        files: The selected files, in path order.
        folder: The absolute destination.
        found: What is there already.
        present_bytes: Bytes of the missing files that earlier runs left.
    """

    wanted: Wanted
    hub: Hub = field(repr=False)
    snapshot: Snapshot = field(repr=False)
    files: tuple[RemoteFile, ...] = field(repr=False)
    folder: Path
    found: Survey = field(repr=False)
    present_bytes: int

    @property
    def size_bytes(self) -> int:
        """Bytes of all selected files; those of unknown size count as none."""
        return sum(f.size_bytes or 0 for f in self.files)

    @property
    def missing_bytes(self) -> int:
        """Bytes that are still to come."""
        return sum(f.size_bytes or 0 for f in self.found.missing) - self.present_bytes


def plan(request: Request, world: World, tell: events.Listener = events.ignore) -> Plan:
    """Resolve, ask and compare with the disk; changes nothing.

    Raises:
        SetupError: Unknown names, hubs that do not answer or refuse, hostile listings, files in the way.
    """
    return _look(_resolve(request, world, tell), request, tell)


def fetch(request: Request, world: World, tell: events.Listener = events.ignore) -> FetchResult:
    """Do all of it: afterwards every selected file is in place, verified or named as unverifiable.

    Raises:
        SetupError: What failed; `SeveralErrors` when more than one thing did. Whatever came is kept for the next run.
        KeyboardInterrupt: The caller's own; likewise.
    """
    target = _resolve(request, world, tell)
    store = Store(target.folder)
    with store.locked():
        return _apply(_look(target, request, tell), store, request, world, tell)


def _resolve(request: Request, world: World, tell: events.Listener) -> _Target:
    """Find the model, ask the hubs, select the files, choose the folder."""
    engine = engines.get(request.engine)
    wanted = world.catalog.want(request.model, request.sources or None)
    question, snapshot = ask_first(questions(wanted, world, request.sources, request.revision), tell, world.clock)
    engine.check(question.hub, request.limit_rate_bytes_per_s)
    files = tuple(select(snapshot.files, request.include, request.exclude))
    if not files:
        include, exclude = " ".join(request.include) or "-", " ".join(request.exclude) or "-"
        raise NothingMatches(snapshot.repo, len(snapshot.files), include, exclude, request.model)
    folder = layouts.get(request.layout).folder(
        None if request.to is None else world.cwd / request.to,
        world.cwd,
        world.home,
        world.env,
        snapshot.repo,
        snapshot.revision,
    )
    return _Target(wanted, question.hub, snapshot, files, folder)


def _look(target: _Target, request: Request, tell: events.Listener) -> Plan:
    """Compare the selected files with what is on the disk."""
    folder, snapshot = target.folder, target.snapshot
    store = Store(folder)
    known = Finished(store.state, _manifest_entries(store)).entries
    found = survey(folder, target.files, known, snapshot.hub, checking=partial(_say_checking, tell))
    if found.in_the_way and not request.force:
        raise refusal(folder, found.in_the_way[0], known)
    blocked = tuple(f for f in target.files if f.path in found.in_the_way)
    found = replace(found, missing=(*found.missing, *blocked))
    contents = engines.contents(target.hub, snapshot, found.missing)
    present = engines.get(request.engine).present_bytes(store, target.hub, contents) if contents else 0
    return Plan(target.wanted, target.hub, snapshot, target.files, folder, found, present)


def _apply(made: Plan, store: Store, request: Request, world: World, tell: events.Listener) -> FetchResult:
    check_space(made.folder, made.missing_bytes)
    if made.found.missing:
        history.begin(world.state, made.folder)
    snapshot, done = made.snapshot, made.found.done
    present = made.present_bytes + sum(e.size_bytes for e in done)
    tell(events.Planned(snapshot.repo, snapshot.hub, len(made.files), made.size_bytes, present))
    finished = Finished(store.state, _manifest_entries(store))
    for entry in done:
        if finished.entries.get(entry.path) != entry:
            finished.add(entry)
    contents = engines.contents(made.hub, snapshot, made.found.missing)
    witness = _witness(made, world) if any(not c.has_hash for c in contents) else None
    work = engines.Work(
        hub=made.hub,
        snapshot=snapshot,
        contents=contents,
        store=store,
        network=world.network,
        clock=world.clock,
        jobs=request.jobs,
        most_jobs=request.most_jobs,
        limit_rate_bytes_per_s=request.limit_rate_bytes_per_s,
        tell=tell,
        finished=lambda entry: finished.add(witness.testify(entry) if witness else entry),
    )
    received = 0
    try:
        if contents:
            outcomes, received = engines.get(request.engine).carry(work)
            engines.raise_failures(outcomes, sum(e.size_bytes for e in finished.entries.values()))
    finally:
        finished.close()
    engines.tidy(store)
    entries = still_true(finished.entries, snapshot.files, store.folder)
    recorded_paths = {e.path for e in entries}
    for file in made.files:
        if file.path not in recorded_paths:
            raise ChangedMeanwhile(str(made.folder / file.path))
    recorded = Manifest(made.wanted.name, snapshot.hub, snapshot.repo, snapshot.revision, snapshot.commit, entries)
    write_manifest(store.state, recorded)
    try:
        history.remember(world.state, made.wanted.name, made.folder)
    except CannotWrite as error:  # the model is complete all the same
        tell(events.Noted(error.as_text, warning=True))
    return _result(made, entries, received)


def _manifest_entries(store: Store) -> Sequence[Entry]:
    manifest = read_manifest(store.state)
    return () if manifest is None else manifest.files


def _witness(made: Plan, world: World) -> Witness:
    """Ask the other hubs for published hashes of the files that this one publishes none of."""
    others = [h for h in world.auto if h in made.wanted.ids and h != made.snapshot.hub]
    asked = questions(made.wanted, world, others, None) if others else []
    return Witness.summon(asked, world.clock)


def _result(made: Plan, entries: Sequence[Entry], received_bytes: int) -> FetchResult:
    selected = {f.path for f in made.files}
    files = tuple(
        FetchedFile(e.path, e.size_bytes, e.sha256, e.proof, e.proof_from, e.source)
        for e in entries
        if e.path in selected
    )
    return FetchResult(
        path=made.folder,
        model=made.wanted.name,
        hub=made.snapshot.hub,
        repo=made.snapshot.repo,
        revision=made.snapshot.revision,
        commit=made.snapshot.commit,
        files=files,
        received_bytes=received_bytes,
        reused_files=len(made.found.done),
        unverified=tuple(f.path for f in files if f.proof == "none"),
    )


def _say_checking(tell: events.Listener, path: str) -> None:
    tell(events.Noted(Text(en="checking {p}, which is already here", zh="正在核对已有的 {p}").fill(p=path)))
