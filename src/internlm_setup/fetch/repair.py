"""`verify --repair`: fetch what a check found bad or missing, and of a bad file no more than has to come.

What is good of a bad file is copied into the partial of what it should be; the ordinary transfer then fetches the rest,
verifies the whole and gives it its name. Until that moment the bad file stays as it is.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from internlm_setup.core.errors import SetupError
from internlm_setup.core.files import CannotWrite
from internlm_setup.core.text import Text, human_size
from internlm_setup.fetch import engines, history, layouts
from internlm_setup.fetch.ask import ask
from internlm_setup.fetch.check import Report
from internlm_setup.fetch.choice import others
from internlm_setup.fetch.model import Hub, RemoteFile, Snapshot
from internlm_setup.fetch.repair_errors import LinkedFile, NoLongerPublished
from internlm_setup.fetch.space import check_space
from internlm_setup.fetch.transfer import events, prefixes
from internlm_setup.fetch.transfer.assembly import SMALL_BYTES
from internlm_setup.fetch.transfer.errors import ChangedMeanwhile, FileInTheWay
from internlm_setup.fetch.transfer.manifest import Entry, Finished, Manifest, read_manifest, write_manifest
from internlm_setup.fetch.transfer.plan import Content
from internlm_setup.fetch.transfer.salvage import keep, worth_keeping
from internlm_setup.fetch.transfer.store import Store
from internlm_setup.fetch.world import World, questions

Why = Literal["missing", "pieces", "visible", "whole"]
_KEEPING = Text(
    en="copying {kept} of {path}, to keep what is good of it", zh="正在复制 {path} 中的 {kept}，以保留完好的部分"
)


@dataclass(frozen=True, slots=True)
class Mended:
    """One file that is right again.

    Attributes:
        path: Relative to the folder.
        size_bytes: Of the whole file.
        fetched_bytes: What came over the network for it.
        why: `missing`: it was not there. `pieces`: prefix digests told the bad pieces. `visible`: only what was
            visibly damaged came. `whole`: nothing told which part was bad, or what was told was not all.
    """

    path: str
    size_bytes: int
    fetched_bytes: int
    why: Why


@dataclass(frozen=True, slots=True)
class Repair:
    """What a repair did. `received_bytes` came over the network in all."""

    mended: tuple[Mended, ...]
    received_bytes: int


@dataclass(frozen=True, slots=True)
class _Wares:
    """Where the repair comes from.

    Attributes:
        hub: The hub whose version it is.
        snapshot: The files as they should be.
        holders: Hubs that may hold those bytes, with what they list.
        vouch: Says what proves a file that was fetched.
        failure: Why the hub has nothing, when it did not answer.
    """

    hub: Hub
    snapshot: Snapshot
    holders: Sequence[tuple[Hub, Snapshot]]
    vouch: Callable[[Entry], Entry]
    failure: SetupError | None = None


def repair(
    report: Report,
    world: World,
    *,
    jobs: int,
    limit_rate_bytes_per_s: int | None = None,
    tell: events.Listener = events.ignore,
) -> Repair:
    """Fetch what a report calls bad or missing, and record the folder as complete.

    Args:
        report: From `check.verify` or `check.verify_as`.
        world: The run's world.
        jobs: Connections in all.
        limit_rate_bytes_per_s: None for no limit.
        tell: Told as by a fetch.

    Raises:
        SetupError: As by a fetch; NoLongerPublished when the recorded bytes are not to be had; LinkedFile.
            What came is kept for the next time, and no file has changed but those that are right now.
    """
    if report.good:
        return Repair((), 0)
    wares = _as_published(report, world) if report.hub else _as_recorded(report, world, tell)
    lost = {*report.bad, *report.missing}
    wanted = [f for f in wares.snapshot.files if f.path in lost]
    _refuse_links(report, [file.path for file in wanted])
    store, contents = Store(report.folder), _contents(wares, wanted, report.folder)
    with store.locked():
        absent = sum((c.size_bytes or 0) - store.present_bytes(c.key, c.size_bytes) for c in contents)
        check_space(report.folder, absent)
        history.begin(world.state, report.folder, wares.hub.id)
        whys = {c.key: _salvage(c, store, tell) for c in contents}
        known = [f.entry for f in report.findings if f.entry is not None]
        finished, came = Finished(store.state, known), Counter[str]()
        work = engines.Work(
            hub=wares.hub,
            snapshot=wares.snapshot,
            contents=contents,
            store=store,
            network=world.network,
            clock=world.clock,
            jobs=jobs,
            limit_rate_bytes_per_s=limit_rate_bytes_per_s,
            tell=_counting(came, finished, tell),
            finished=lambda entry: finished.add(wares.vouch(entry)),
        )
        tell(_planned(wares.snapshot, contents, store))
        try:
            outcomes, received_bytes = engines.carry("native", work)
        finally:
            finished.close()
        engines.raise_failures(outcomes, sum(e.size_bytes for e in finished.entries.values()))
        store.tidy()
        _record(report, wares.snapshot, finished, store)
    with suppress(CannotWrite):  # the folder is right all the same
        history.remember(world.state, report.model, report.folder)
    mended = (m for c in contents for m in _mended(c, whys[c.key], came))
    return Repair(tuple(sorted(mended, key=lambda m: m.path)), received_bytes)


def _as_published(report: Report, world: World) -> _Wares:
    if report.hub is None:
        raise AssertionError("nobody was asked")
    made, witness = report.snapshot, report.witness
    holders = [(report.hub, made), *others(world.catalog.want(made.repo, (made.hub,)), world, made.hub)]
    return _Wares(report.hub, made, holders, witness.testify if witness else lambda entry: entry)


def _as_recorded(report: Report, world: World, tell: events.Listener) -> _Wares:
    """Ask the recorded hub for the recorded revision, and all others; the files stay those of the record."""
    made = report.snapshot
    wanted = world.catalog.want(made.repo, (made.hub,))
    verify = ["internlm-setup", "verify", str(report.folder), "--as", made.repo, "--repair"]
    (question,) = questions(wanted, world, (made.hub,), made.commit or made.revision, shlex.join(verify))
    manifest = read_manifest(Store(report.folder).state)
    recorded = {e.path: e for e in manifest.files} if manifest else {}
    holders, failure = others(wanted, world, made.hub), None
    try:
        holders.insert(0, (question.hub, ask(question, tell, world.clock)))
    except SetupError as error:
        failure = error

    def vouch(entry: Entry) -> Entry:
        old = recorded[entry.path]  # of the same bytes, so what proved them then proves them now
        return replace(entry, proof=old.proof, proof_from=old.proof_from)

    return _Wares(question.hub, made, holders, vouch, failure)


def _contents(wares: _Wares, wanted: Sequence[RemoteFile], folder: Path) -> list[Content]:
    """Group files by their bytes, with every hub that has them.

    Raises:
        SetupError: The hub's own, when it did not answer and no other one has a file.
        NoLongerPublished: No hub has one.
    """
    contents = engines.contents(wares.snapshot, wanted, wares.holders)
    for content in contents:
        if not content.sources:
            made = wares.snapshot
            fetch = ["internlm-setup", "fetch", made.repo, "--source", made.hub, "--to", str(folder), "--force"]
            raise wares.failure or NoLongerPublished(content.paths[0], wares.hub.title, shlex.join(fetch))
    return contents


def _refuse_links(report: Report, paths: Sequence[str]) -> None:
    """Never write through a link: what it leads to is another tool's, and other folders may lead there too."""
    folder, made = report.folder, report.snapshot
    links: dict[Path, str] = {}
    for path in paths:
        inside = [folder / path, *(folder / p for p in Path(path).parents if p != Path())]
        links |= {p: path for p in inside if p.is_symlink() and p not in links and not layouts.owns(p, folder)}
        if not links and (folder / path).exists() and not (folder / path).is_file():
            raise FileInTheWay(str(folder / path))
    if links:
        pinned = made.commit or made.revision
        fetch = ["internlm-setup", "fetch", made.repo, "--source", made.hub, "--to", str(folder)]
        fetch += ["--revision", pinned] if pinned else []
        first = str(folder / next(iter(links.values())))
        raise LinkedFile(first, shlex.join(["rm", *map(str, links)]), shlex.join(fetch))


def _salvage(content: Content, store: Store, tell: events.Listener) -> Why:
    """Put what is good of a damaged file into the partial of what it should be."""
    damaged = next((store.folder / p for p in content.paths if (store.folder / p).is_file()), None)
    size = content.size_bytes
    if damaged is None:
        return "missing"
    if size is None or size <= SMALL_BYTES or not content.has_hash:
        return "whole"
    known = bool(prefixes.load(store.state, content.sha256, size))
    spans = worth_keeping(damaged, size, pieces_are_known=known)
    if not spans:
        return "whole"
    kept = human_size(sum(end - start for start, end in spans))
    tell(events.Noted(_KEEPING.fill(kept=kept, path=content.paths[0])))
    partial = store.partial(content.key, size)
    try:
        keep(damaged, spans, partial)
    finally:
        partial.close()
    return "pieces" if known else "visible"


def _planned(snapshot: Snapshot, contents: Sequence[Content], store: Store) -> events.Planned:
    sizes = sum(c.size_bytes or 0 for c in contents)
    present = sum(store.present_bytes(c.key, c.size_bytes) for c in contents)
    return events.Planned(snapshot.repo, snapshot.hub, sum(len(c.paths) for c in contents), sizes, present)


def _counting(came: Counter[str], finished: Finished, tell: events.Listener) -> events.Listener:
    """Count what comes for each file, and let nothing be called proved by more than its record says."""

    def hear(event: events.Event) -> None:
        if isinstance(event, events.Advanced) and event.count_bytes > 0:
            came[event.path] += event.count_bytes
        if isinstance(event, events.FileFinished):
            event = replace(event, proof=finished.entries[event.path].proof)
        tell(event)

    return hear


def _record(report: Report, snapshot: Snapshot, finished: Finished, store: Store) -> None:
    """Write the record of the whole folder, and the prefix digests of what was good and had none."""
    entries = tuple(finished.entries[f.path] for f in sorted(snapshot.files, key=_path_of))
    for entry in entries:
        if not entry.unchanged(report.folder):
            raise ChangedMeanwhile(str(report.folder / entry.path))
    header = (report.model, snapshot.hub, snapshot.repo, snapshot.revision, snapshot.commit)
    made = Manifest(*header, entries)
    write_manifest(store.state, made)
    layouts.settle(report.folder, made)
    for found in report.findings:
        entry_ = found.entry
        if entry_ is not None and not prefixes.load(store.state, entry_.sha256, entry_.size_bytes):
            prefixes.save(store.state, entry_.sha256, entry_.size_bytes, found.prefixes)


def _path_of(file: RemoteFile) -> str:
    return file.path


def _mended(content: Content, why: Why, came: Counter[str]) -> list[Mended]:
    """Say what each path of a content cost; the second name of the same bytes costs nothing."""
    size, told = content.size_bytes or 0, []
    for path in content.paths:
        all_of_it = why != "missing" and path == content.paths[0] and came[path] >= size
        told.append(Mended(path, size, came[path], "whole" if all_of_it else why))
    return told
