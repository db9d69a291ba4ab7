"""One fetch from a name to a verified folder: resolve, ask, plan, transfer, record.

`plan` looks and writes nothing; `apply` moves the bytes; `fetch` is both under the destination's lock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from internlm_setup.core.files import CannotWrite
from internlm_setup.core.text import Text
from internlm_setup.fetch import engines, history, layouts, lockfile, reuse
from internlm_setup.fetch.catalog import Wanted
from internlm_setup.fetch.choice import Choice, others
from internlm_setup.fetch.compare import Shelf
from internlm_setup.fetch.model import LOCK, FetchedFile, FetchResult, Hub, RemoteFile, Snapshot
from internlm_setup.fetch.reproduce import check_sources
from internlm_setup.fetch.space import check_space
from internlm_setup.fetch.target import Request, Target, resolve
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.transfer.errors import ChangedMeanwhile
from internlm_setup.fetch.transfer.manifest import (
    Entry,
    Finished,
    Manifest,
    read_manifest,
    write_manifest,
)
from internlm_setup.fetch.transfer.plan import Content
from internlm_setup.fetch.transfer.store import Store
from internlm_setup.fetch.transfer.survey import Survey, refusal, still_true, survey
from internlm_setup.fetch.transfer.trace import tracing
from internlm_setup.fetch.witness import Witness
from internlm_setup.fetch.world import World

__all__ = ["Plan", "Request", "fetch", "plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a fetch would do.

    Attributes:
        wanted: The model and its ids.
        choice: The hubs that were asked, and the one whose version is used.
        folder: The absolute destination.
        found: What is there already.
        contents: What is missing, and where it is to be had.
        present_bytes: Bytes of the missing files that earlier runs left.
        elsewhere: By content, files on this machine that may be what is missing, likeliest first.
        revision: What the layout's library shall find it as.
    """

    wanted: Wanted
    choice: Choice = field(repr=False)
    folder: Path
    found: Survey = field(repr=False)
    contents: Sequence[Content] = field(repr=False)
    present_bytes: int
    elsewhere: Mapping[str, Sequence[reuse.Found]] = field(repr=False)
    revision: str = field(repr=False)

    @property
    def hub(self) -> Hub:
        """The primary hub."""
        return self.choice.hub

    @property
    def snapshot(self) -> Snapshot:
        """What it has."""
        return self.choice.snapshot

    @property
    def files(self) -> tuple[RemoteFile, ...]:
        """The selected files, in path order."""
        return self.choice.files

    @property
    def size_bytes(self) -> int:
        """Bytes of all selected files; those of unknown size count as none."""
        return sum(f.size_bytes or 0 for f in self.files)

    @property
    def found_at(self) -> Mapping[str, Path]:
        """Where on this machine the likeliest file for a missing path is, not verified yet."""
        here = (c for c in self.contents if c.key in self.elsewhere)
        return {path: self.elsewhere[c.key][0].path for c in here for path in c.paths}

    @property
    def missing_bytes(self) -> int:
        """Bytes that are still to come."""
        return sum(f.size_bytes or 0 for f in self.found.missing) - self.present_bytes


def plan(request: Request, world: World, tell: events.Listener = events.ignore) -> Plan:
    """Resolve, ask and compare with the disk; changes nothing.

    Raises:
        SetupError: Unknown names, hubs that do not answer or refuse, hostile listings, files in the way.
    """
    return _look(_target(request, world, tell), request, world, tell)


def fetch(request: Request, world: World, tell: events.Listener = events.ignore) -> FetchResult:
    """Do all of it: afterwards every selected file is in place, verified or named as unverifiable.

    Raises:
        SetupError: What failed; `SeveralErrors` when more than one thing did. Whatever came is kept for the next run.
        KeyboardInterrupt: The caller's own; likewise.
    """
    target = _target(request, world, tell)
    store = Store(target.folder)
    if request.reproduces and not target.folder.exists():
        _look(target, request, world, tell)  # what is to be had nowhere is refused before there is a folder
    dropped: list[str] = []

    def hear(event: events.Event) -> None:
        if isinstance(event, events.SourceDropped):
            dropped.append(event.source)
        tell(event)

    with store.locked():
        done = _apply(_look(target, request, world, tell), store, request, world, hear)
    return replace(done, dropped=tuple(dropped))


def _target(request: Request, world: World, tell: events.Listener) -> Target:
    """Find what was asked for at hubs; where none answers, say what is on this machine."""
    asked = reuse.named(request.reuse, world.cwd)
    with nullcontext() if request.reproduces else reuse.offered(request.model, request.sources, asked, world):
        return resolve(request, world, tell)


def _look(target: Target, request: Request, world: World, tell: events.Listener) -> Plan:
    """Compare the selected files with what is on the disk."""
    folder, choice = target.folder, target.choice
    store = Store(folder)
    known = Finished(store.state, _manifest_entries(store)).entries
    prover = LOCK if request.reproduces else choice.snapshot.hub
    found = survey(folder, choice.files, known, prover, checking=partial(_say_checking, tell))
    if found.in_the_way and not request.force:
        raise refusal(folder, found.in_the_way[0], known)
    blocked = tuple(f for f in choice.files if f.path in found.in_the_way)
    found = replace(found, missing=(*found.missing, *blocked))
    listed = engines.contents(choice.snapshot, found.missing, choice.holders)
    contents = [replace(content, published_by=prover) for content in listed]
    places = reuse.places(reuse.named(request.reuse, world.cwd), world.local_models, world.state, world.home, world.env)
    elsewhere = reuse.search(contents, places, folder, tell)
    if request.reproduces:
        unfound = [content for content in contents if content.key not in elsewhere]
        check_sources(unfound, choice, target.wanted, request.reproduces)
    present = engines.present_bytes(request.engine, store, choice.hub, contents)
    return Plan(target.wanted, choice, folder, found, contents, present, elsewhere, target.revision)


def _apply(made: Plan, store: Store, request: Request, world: World, tell: events.Listener) -> FetchResult:
    if made.found.missing:
        history.begin(world.state, made.folder, made.snapshot.hub)
    snapshot, done = made.snapshot, made.found.done
    present = made.present_bytes + sum(e.size_bytes for e in done)
    tell(events.Planned(snapshot.repo, snapshot.hub, len(made.files), made.size_bytes, present))
    finished = Finished(store.state, _manifest_entries(store))
    for entry in done:
        if finished.entries.get(entry.path) != entry:
            finished.add(entry)
    vouch = _vouch(made, world)

    def record(entry: Entry) -> None:
        finished.add(vouch(entry))

    received = 0
    with closing(finished), tracing(None if request.trace is None else world.cwd / request.trace) as trace:
        taken = _take_here(made, store, request, record, tell)
        work = engines.Work(
            hub=made.hub,
            snapshot=snapshot,
            contents=taken.missing,
            store=store,
            network=world.network,
            clock=world.clock,
            jobs=request.jobs,
            most_jobs=request.most_jobs,
            limit_rate_bytes_per_s=request.limit_rate_bytes_per_s,
            tell=tell,
            finished=record,
            trace=trace,
        )
        if taken.missing:
            outcomes, received = engines.carry(request.engine, work)
            engines.raise_failures(outcomes, sum(e.size_bytes for e in finished.entries.values()))
    engines.tidy(store)
    entries = still_true(finished.entries, snapshot.files, store.folder)
    recorded_paths = {e.path for e in entries}
    for file in made.files:
        if file.path not in recorded_paths:
            raise ChangedMeanwhile(str(made.folder / file.path))
    recorded = Manifest(made.wanted.name, snapshot.hub, snapshot.repo, snapshot.revision, snapshot.commit, entries)
    write_manifest(store.state, recorded)
    layouts.settle(made.folder, recorded, made.revision)
    try:
        history.remember(world.state, made.wanted.name, made.folder)
    except CannotWrite as error:  # the model is complete all the same
        tell(events.Noted(error.as_text, warning=True))
    lock = _write_lock(made, entries, request, world)
    return _result(made, entries, received, taken.size_bytes, lock)


def _take_here(
    made: Plan, store: Store, request: Request, finished: Callable[[Entry], None], tell: events.Listener
) -> reuse.Taken:
    """Use what is on this machine, and make sure that the rest is to be had, and that there is room for it."""
    taken = reuse.take(made.contents, made.elsewhere, store, copy=request.copy, tell=tell, finished=finished)
    if request.reproduces:
        check_sources(taken.missing, made.choice, made.wanted, request.reproduces)
    check_space(made.folder, made.missing_bytes - taken.saved_bytes)
    return taken


def _manifest_entries(store: Store) -> Sequence[Entry]:
    manifest = read_manifest(store.state)
    return () if manifest is None else manifest.files


def _vouch(made: Plan, world: World) -> Callable[[Entry], Entry]:
    """Return what corrects the record of a file that the hub publishes no hash of: other hubs are asked for one."""
    if all(content.has_hash for content in made.contents):
        return lambda entry: entry
    return Witness([listed for _, listed in others(made.wanted, world, made.snapshot.hub)]).testify


def _write_lock(made: Plan, entries: Sequence[Entry], request: Request, world: World) -> Path | None:
    """Lock what was fetched, with every hub that has some of it."""
    if request.lock is None or request.reproduces:
        return None
    chosen = {file.path for file in made.files}
    files = (RemoteFile(e.path, e.size_bytes, e.sha256, e.git_sha1) for e in entries if e.path in chosen)
    held: dict[str, lockfile.LockedHub] = {}
    for _, listed in made.choice.holders:
        if any(map(Shelf(listed).same, made.files)):
            held.setdefault(listed.hub, lockfile.LockedHub.of(listed))
    path = world.cwd / request.lock
    lockfile.write(path, lockfile.Lock(made.wanted.name, tuple(held.values()), tuple(files)))
    return path


def _result(
    made: Plan, entries: Sequence[Entry], received_bytes: int, reused_bytes: int, lock: Path | None
) -> FetchResult:
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
        reused_bytes=reused_bytes,
        unverified=tuple(f.path for f in files if f.proof == "none"),
        hubs=made.choice.hubs,
        lock=lock,
    )


def _say_checking(tell: events.Listener, path: str) -> None:
    tell(events.Noted(Text(en="checking {p}, which is already here", zh="正在核对已有的 {p}").fill(p=path)))
