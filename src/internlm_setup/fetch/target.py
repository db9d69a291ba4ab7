"""What a request asks for, found at hubs: a model by its name, or the files of a lock."""

from __future__ import annotations

from dataclasses import dataclass
from operator import eq
from pathlib import Path

from internlm_setup.core.text import Text
from internlm_setup.fetch import engines, history, layouts, lockfile, reproduce
from internlm_setup.fetch.catalog import Wanted
from internlm_setup.fetch.choice import Choice, choose
from internlm_setup.fetch.engine_errors import NoTrace
from internlm_setup.fetch.errors import NothingMatches
from internlm_setup.fetch.model import RemoteFile, Snapshot
from internlm_setup.fetch.source_errors import NotWithLock, PlaceOfModel
from internlm_setup.fetch.transfer import events, trace
from internlm_setup.fetch.transfer.plan import STATE_FOLDER, select
from internlm_setup.fetch.world import World

_BEGUN = Text(en="the folder was begun with its version", zh="该文件夹是用它的版本开始的")
_ITS_LAYOUT = Text(en="it is the hub of the layout", zh="它是该布局所属的平台")
_INVENTED = Text(
    en="{hub} has no commits: the folder is called by its set of files, {commit}, and is found as `{revision}`",
    zh="{hub} 没有提交号：文件夹以文件集合命名（{commit}），可按 `{revision}` 找到",
)


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asked for.

    Attributes:
        model: A name, an alias, an id at any hub, or a page's address; empty to fetch what `lock` says.
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
        lock: The lock file to write, or without a model the one to read; None for none.
        reuse: Folders to search for the wanted bytes, beside those that are searched anyway.
        copy: Whether nothing found on this machine may be hard linked.
        trace: A file to write a line for each piece into (`native` only), or None.
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
    lock: Path | None = None
    reuse: tuple[Path, ...] = ()
    copy: bool = False
    trace: Path | None = None

    @property
    def reproduces(self) -> Path | None:
        """The lock file that says what to fetch."""
        return None if self.model else self.lock


@dataclass(frozen=True, slots=True)
class Target:
    """What was asked for, found at hubs; `revision` is what the layout's library shall find it as."""

    wanted: Wanted
    choice: Choice
    folder: Path
    revision: str


def resolve(request: Request, world: World, tell: events.Listener) -> Target:
    """Find the model or the lock, ask the hubs, select the files, choose the folder.

    Raises:
        SetupError: Unknown names, hubs that do not answer, refuse or differ, hostile listings, a lock that is none.
    """
    engine = engines.get(request.engine)
    if request.trace is not None:
        if engine.id != "native":
            raise NoTrace
        trace.check_place(world.cwd / request.trace)
    target = _locked(request.reproduces, request, world, tell) if request.reproduces else _asked(request, world, tell)
    for option, path in (("--lock", None if request.reproduces else request.lock), ("--trace", request.trace)):
        if path is not None and _is_of_model(world.cwd / path, target):
            raise PlaceOfModel(option, str(path))
    engine.check(target.choice.hub, request.limit_rate_bytes_per_s)
    return target


def _asked(request: Request, world: World, tell: events.Listener) -> Target:
    wanted = world.catalog.want(request.model, request.sources or None)
    if request.lock is not None:
        lockfile.check_place(world.cwd / request.lock, wanted)

    def prefer(snapshot: Snapshot) -> Text | None:
        folder, _ = _place(request, world, wanted, snapshot, request.revision)
        begun = history.version_of(world.state, folder)
        if begun is None and layouts.get(request.layout).hub == snapshot.hub:
            return _ITS_LAYOUT
        return _BEGUN if begun == snapshot.hub else None

    def take(snapshot: Snapshot) -> tuple[RemoteFile, ...]:
        files = tuple(select(snapshot.files, request.include, request.exclude))
        if not files:
            include, exclude = " ".join(request.include) or "-", " ".join(request.exclude) or "-"
            raise NothingMatches(snapshot.repo, len(snapshot.files), include, exclude, request.model)
        return files

    choice = choose(wanted, world, tell, sources=request.sources, revision=request.revision, prefer=prefer, select=take)
    folder, called = _place(request, world, wanted, choice.snapshot, request.revision)
    if choice.snapshot.commit is None and called.commit in folder.parts:
        tell(events.Noted(_INVENTED.fill(hub=choice.hub.title, commit=called.commit, revision=called.revision)))
    return Target(wanted, choice, folder, called.revision)


def _locked(path: Path, request: Request, world: World, tell: events.Listener) -> Target:
    """Find what a lock file says; the folder is called as it was when the lock was written."""
    given = {"--revision": request.revision, "--include": request.include, "--exclude": request.exclude}
    for option in (option for option, value in given.items() if value):
        raise NotWithLock(option, str(path))
    lock = lockfile.read(world.cwd / path)
    choice = reproduce.reproduce(lock, path, world, tell, request.sources)
    model = reproduce.wanted(lock, world, request.sources)
    folder, called = _place(request, world, model, lock.snapshot, None)
    return Target(model, choice, folder, called.revision)


def _is_of_model(path: Path, target: Target) -> bool:
    """Say whether a file there would be one of the model's, or stand where it needs a folder, on any file system."""
    place, folder = path.parent.resolve() / path.name, target.folder.resolve()
    if not place.is_relative_to(folder):
        return folder.is_relative_to(place)
    parts = [part.casefold() for part in place.relative_to(folder).parts]
    own = (STATE_FOLDER, *(file.path for file in target.choice.snapshot.files))
    return any(all(map(eq, parts, path.casefold().split("/"))) for path in own)


def _place(
    request: Request, world: World, wanted: Wanted, snapshot: Snapshot, revision: str | None
) -> tuple[Path, layouts.Called]:
    """Say where a version lies, and what it is called there."""
    layout = layouts.get(request.layout)
    called = layouts.called(layout, wanted.ids, snapshot, revision)
    to = None if request.to is None else world.cwd / request.to
    return layout.folder(to, world.cwd, world.home, world.env, called), called
