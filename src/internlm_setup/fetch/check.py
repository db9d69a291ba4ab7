"""`verify`: every file of a folder, against the folder's own record or against what a hub publishes. Writes nothing."""

from __future__ import annotations

import os
import shlex
import threading
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

from internlm_setup.core.parallel import each
from internlm_setup.core.text import Text
from internlm_setup.fetch import choice, history, hubs, layouts
from internlm_setup.fetch.model import Hub, RemoteFile, Snapshot
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.transfer.errors import NoManifest
from internlm_setup.fetch.transfer.manifest import Entry, read_manifest
from internlm_setup.fetch.transfer.plan import STATE_FOLDER
from internlm_setup.fetch.transfer.verify import hash_file, judge, wants_git
from internlm_setup.fetch.witness import Witness
from internlm_setup.fetch.world import World

HASHERS = 2
State = Literal["good", "bad", "missing", "unverified"]

# Folders that tools keep for themselves inside a model's folder, and how their half-done files end.
TOOLS_FOLDERS = (STATE_FOLDER, ".git", ".cache/huggingface", "._____temp", ".lock")
TOOLS_FILES = (".msc", ".mdl", ".mv")
TOOLS_ENDINGS = (".incomplete", ".lock", ".aria2")

_RECORDED = Text(en="the folder was fetched with its version", zh="该文件夹下载的就是它的版本")
_ITS_LIBRARY = Text(en="the folder looks as if its library had made it", zh="该文件夹看起来由它的库建立")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one listed file is on the disk.

    Attributes:
        path: Relative to the folder.
        size_bytes: What is listed; None when the hub does not say.
        state: `unverified`: it is there, and no published hash proves it or speaks against it.
        entry: The record of a file that is good or unverified.
        prefixes: What its sha256 was every 8 MiB.
    """

    path: str
    size_bytes: int | None
    state: State
    entry: Entry | None = None
    prefixes: tuple[bytes, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Report:
    """What was found.

    Attributes:
        folder: The checked folder, absolute.
        model: The short name of what it should be.
        snapshot: The files it was checked against: as recorded, or as published.
        findings: One a file, in path order.
        extra: Files that are not listed, those of other tools' own folders left out; looked for only when checked
            against a hub.
        hub: The hub that was asked, where one was.
        witness: What other hubs publish, where that one publishes no hashes.
    """

    folder: Path
    model: str
    snapshot: Snapshot = field(repr=False)
    findings: tuple[Finding, ...]
    extra: tuple[str, ...] = ()
    hub: Hub | None = field(default=None, repr=False)
    witness: Witness | None = field(default=None, repr=False)

    @property
    def bad(self) -> tuple[str, ...]:
        """Paths of files whose bytes are not the right ones."""
        return self._in("bad")

    @property
    def missing(self) -> tuple[str, ...]:
        """Paths of files that are not there."""
        return self._in("missing")

    @property
    def unverified(self) -> tuple[str, ...]:
        """Paths of files that no published hash ever proved."""
        return self._in("unverified")

    @property
    def good(self) -> bool:
        """Whether nothing differs and nothing is missing."""
        return not self.bad and not self.missing

    def _in(self, state: State) -> tuple[str, ...]:
        return tuple(f.path for f in self.findings if f.state == state)


def verify(folder: Path, tell: events.Listener = events.ignore) -> Report:
    """Check a folder against its own record; no network is used.

    Args:
        folder: A folder that fetch made.
        tell: Told the plan and the bytes as they are read, by one thread at a time.

    Raises:
        NoManifest: Nothing to check against.
        BadManifest: The record cannot be read.
        CannotRead: A file is there and cannot be read.
    """
    made = read_manifest(folder / STATE_FOLDER)
    if made is None:
        raise NoManifest(str(folder))
    files = tuple(RemoteFile(e.path, e.size_bytes, e.sha256, e.git_sha1) for e in made.files)
    snapshot = Snapshot(made.hub, made.repo, made.revision, made.commit, files)
    recorded = {e.path: e for e in made.files}

    def as_recorded(entry: Entry) -> Entry:
        """Only what a published hash once proved is proved."""
        return replace(recorded[entry.path], mtime_ns=entry.mtime_ns)

    return Report(folder, made.model, snapshot, tuple(_examine(folder, snapshot, tell, as_recorded)))


def verify_as(
    folder: Path,
    model: str,
    world: World,
    *,
    revision: str | None = None,
    sources: Sequence[str] = (),
    usual: Sequence[str] = (),
    tell: events.Listener = events.ignore,
) -> Report:
    """Check a folder that any tool made against what a hub publishes.

    Where the hub publishes no hashes, those of other hubs may prove a file, and never speak against one.

    Args:
        folder: The folder, absolute.
        model: A name, an alias, an id at any hub, or a page's address.
        world: The run's world.
        revision: None for each hub's default.
        sources: Hubs to ask, in order of preference; empty means the one whose version the folder has.
        usual: Hubs to ask where that is not known; empty means those that `auto` asks.
        tell: As for `verify`.

    Raises:
        SetupError: Unknown names, hubs that do not answer or refuse, hostile listings, files that cannot be read.
    """
    known = None if sources else _whose(folder, model, world)
    sources, because = (known[:1], known[1]) if known else (sources or usual, None)
    wanted = world.catalog.want(model, sources or None)
    command = shlex.join(["internlm-setup", "verify", str(folder), "--as", model])
    hub, snapshot = choice.version(
        wanted, world, tell, sources=sources, revision=revision, command=command, because=because
    )
    found, witness = _examine(folder, snapshot, tell), None
    if any(f.sha256 is None and f.git_sha1 is None for f in snapshot.files):
        witness = Witness([listed for _, listed in choice.others(wanted, world, snapshot.hub)])
        found = [_proved(f, witness) for f in found]
    extra = _extra(folder, (f.path for f in snapshot.files))
    return Report(folder, wanted.name, snapshot, tuple(found), extra, hub, witness)


def _whose(folder: Path, model: str, world: World) -> tuple[str, Text] | None:
    """Return the hub whose version a folder has, and how that is known: another hub's would change its files."""
    recorded = history.version_of(world.state, folder)
    hub = recorded or layouts.maker(folder, world.home, world.env)
    if hub is None or not hubs.is_known(hub) or hub not in world.catalog.want(model, (hub,)).ids:
        return None
    return hub, _RECORDED if recorded else _ITS_LIBRARY


def _proved(found: Finding, witness: Witness) -> Finding:
    """Say again what a file is, now that a witness was heard."""
    return found if found.entry is None else _finding(witness.testify(found.entry), found.size_bytes, found.prefixes)


def _finding(entry: Entry, size_bytes: int | None, prefixes: tuple[bytes, ...]) -> Finding:
    return Finding(entry.path, size_bytes, "unverified" if entry.proof == "none" else "good", entry, prefixes)


def _examine(
    folder: Path, snapshot: Snapshot, tell: events.Listener, vouch: Callable[[Entry], Entry] | None = None
) -> list[Finding]:
    """Hash every file that is there with the right size, in a few threads; `vouch` corrects what proves it."""
    say, cancelled = events.one_at_a_time(tell), threading.Event()
    files = sorted(snapshot.files, key=lambda f: f.path)
    sizes = [(f.size_bytes, (folder / f.path).stat().st_size) for f in files if (folder / f.path).is_file()]
    size_bytes = sum(found for listed, found in sizes if listed in {None, found})
    say(events.Planned(snapshot.repo, snapshot.hub, len(sizes), size_bytes, 0))
    try:
        return each(partial(_look, folder, snapshot.hub, say, cancelled, vouch), files, HASHERS)
    finally:
        cancelled.set()  # Ctrl-C must not leave anybody reading a large file


def _look(
    folder: Path,
    hub: str,
    say: events.Listener,
    cancelled: threading.Event,
    vouch: Callable[[Entry], Entry] | None,
    file: RemoteFile,
) -> Finding:
    path = folder / file.path
    if not path.is_file():
        return Finding(file.path, file.size_bytes, "missing")
    stat = path.stat()
    if file.size_bytes not in {None, stat.st_size}:
        return Finding(file.path, file.size_bytes, "bad")
    say(events.FileStarted(file.path, stat.st_size, 0))
    digest = hash_file(
        path,
        git=wants_git(stat.st_size, file.sha256),
        cancelled=cancelled,
        read=lambda n: say(events.Advanced(file.path, n)),
    )
    good, proof = judge(digest, file.sha256, file.git_sha1)
    if not good:
        say(events.FileFinished(file.path, stat.st_size, "none"))
        return Finding(file.path, file.size_bytes, "bad")
    entry = Entry(
        path=file.path,
        size_bytes=stat.st_size,
        sha256=digest.sha256,
        git_sha1=digest.git_sha1,
        mtime_ns=stat.st_mtime_ns,
        proof=proof,
        proof_from=None if proof == "none" else hub,
        source="disk",
    )
    entry = entry if vouch is None else vouch(entry)
    say(events.FileFinished(file.path, stat.st_size, entry.proof))
    return _finding(entry, file.size_bytes, tuple(digest.prefixes))


def _extra(folder: Path, listed: Iterable[str]) -> tuple[str, ...]:
    """Return the files that are not listed, in path order; names compare as they read, however they are composed."""
    known = {unicodedata.normalize("NFC", path) for path in listed}
    found = []
    for here, folders, files in os.walk(folder):
        inside = Path(here).relative_to(folder)
        folders[:] = [f for f in folders if (inside / f).as_posix() not in TOOLS_FOLDERS]
        paths = ((inside / f).as_posix() for f in files)
        found += [p for p in paths if unicodedata.normalize("NFC", p) not in known and not _is_a_tools(p)]
    return tuple(sorted(found))


def _is_a_tools(path: str) -> bool:
    return path in {*TOOLS_FILES, ".git"} or path.endswith(TOOLS_ENDINGS)
