"""What `doctor` looks for: one file a check, found by `core.registry`; a file holds an instance of `Check`, `CHECK`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal, Protocol

from internlm_setup.core import registry
from internlm_setup.core.text import Text
from internlm_setup.mirrors import plan, probe, targets
from internlm_setup.mirrors.edit import Unparseable
from internlm_setup.mirrors.errors import WouldChangeMore
from internlm_setup.mirrors.model import Change, Edit, Effective, Key, Machine, Reads, Serving, Site, Target
from internlm_setup.mirrors.world import World, read

CHANNEL_PATIENCE_S = 1.5
FIX = Text(en="`internlm-setup mirrors doctor --fix`", zh="`internlm-setup mirrors doctor --fix`")
BY_HAND = Text(en="change it by hand in `{path}`", zh="请在 `{path}` 中手工修改")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        level: `wrong`, or `advice` where all may be well.
        message: What, and where.
        repair: The command, or what to do by hand.
        change: The repair, where `doctor --fix` can write it.
    """

    level: Literal["wrong", "advice"]
    message: Text
    repair: Text = FIX
    change: Change | None = None


class Check(Protocol):
    """One kind of trouble: a file of `checks` holds an instance under the name `CHECK`.

    Attributes:
        id: Its name in JSON.
        title: What it is about.
    """

    id: str
    title: Text

    def look(self, sight: Sight) -> Iterable[Finding]:
        """Say what is found; nothing is written."""
        ...


@dataclass(frozen=True, slots=True)
class File:
    """One file that a tool reads, or that would be written for it.

    Attributes:
        target: Whose.
        path: Where.
        data: Its bytes.
        keys: What it says; empty where it cannot be parsed.
        broken: Why it cannot be parsed.
    """

    target: Target
    path: Path
    data: bytes
    keys: Mapping[Key, object]
    broken: Unparseable | None = None


class Sight:
    """The machine as a check sees it: with the repairs of this run, though nothing is written yet.

    Args:
        world: The run's.
        online: Whether sites may be asked.
    """

    def __init__(self, world: World, *, online: bool) -> None:
        self.world, self._online = world, online
        self._repairs: dict[Path, Change] = {}
        self._looked: dict[tuple[str, Path, bytes], File] = {}
        self._asked: dict[str, bool | None] = {}

    @property
    def machine(self) -> Machine:
        """The run's."""
        return self.world.machine

    @property
    def changes(self) -> list[Change]:
        """All repairs of this run, one a file."""
        return list(self._repairs.values())

    def is_mirror(self, url: object) -> bool:
        """See `model.Mirrored`; anything that is no address is none."""
        return isinstance(url, str) and "://" in url and self.world.sites.is_mirror(url)

    def read(self, path: PurePath) -> bytes | None:
        """See `model.Reads`."""
        repaired = self._repairs.get(Path(path))
        return repaired.after if repaired else read(path)

    def effective(self, target: Target, machine: Machine | None = None, reads: Reads | None = None) -> Effective:
        """Return what a tool uses by its rules, here, or as if the machine or the disk were another."""
        return target.effective(machine or self.machine, reads or self.read)

    def files(self, *tools: str) -> list[File]:
        """Return every file that the tools read, and those that would be written for them; of all tools for none."""
        known = targets.known()
        return [file for tool in tools or known if known[tool].scopes for file in self._files(known[tool])]

    def edited(self, file: File, edits: Sequence[Edit]) -> Change | None:
        """Return a file with some keys changed; None where that cannot be done without harm, or not be written."""
        try:
            change = plan.change(file.target, file.path, file.data, edits)
        except WouldChangeMore:
            return None
        return self.rewritten(file, change.after)

    def rewritten(self, file: File, after: bytes | None) -> Change | None:
        """Return a file with other content; None where it may not be written, or is not the person's own."""
        if after is None or after == file.data or not self._is_own(file.path):
            return None
        now = file.target.syntax(file.path).look(after)
        return Change(file.target.id, file.path, file.data, after, plan.difference(file.keys, now))

    def mended(self, message: Text, file: File, edits: Sequence[Edit]) -> Finding:
        """Return the finding that some edits repair."""
        change = self.edited(file, edits)
        return Finding("wrong", message, FIX if change else BY_HAND.fill(path=file.path), change)

    def has(self, urls: Sequence[str]) -> Mapping[str, bool | None]:
        """Say which conda channels are there, by their addresses: None where that was not seen."""
        unknown = [url for url in dict.fromkeys(urls) if url not in self._asked] if self._online else []
        if unknown:
            nowhere = Text(en="", zh="")
            site = Site("", nowhere, "", {"conda": Serving("", "full", "", dict(zip(unknown, unknown, strict=True)))})
            # conda needs `noarch` of every channel, and takes another folder that is not there for an empty one.
            found = probe.channels(site, unknown, "noarch", self.world.network, CHANNEL_PATIENCE_S)
            self._asked.update(found)
        return {url: self._asked.get(url) for url in urls}

    def repair(self, change: Change) -> None:
        """Take a repair for written; the first state of the file is kept."""
        first = self._repairs.get(change.path, change)
        target = targets.get(change.tool)
        was = self._look(target, change.path, first.before or b"").keys
        now = self._look(target, change.path, change.after or b"").keys
        differ = plan.difference(was, now)
        self._repairs[change.path] = Change(change.tool, change.path, first.before, change.after, differ)

    def _is_own(self, path: Path) -> bool:
        """Tell whether a file may be repaired: it is in the home folder, or in the environment that is active."""
        folders = [self.machine.home, self.machine.venv, self.machine.env.get("CONDA_PREFIX")]
        return any(folder and path.is_relative_to(folder) for folder in folders) and os.access(path, os.W_OK)

    def _files(self, target: Target) -> list[File]:
        seen: dict[Path, bytes] = {}

        def noting(path: PurePath) -> bytes | None:
            data = self.read(path)
            if data is not None and Path(path).is_file():
                seen.setdefault(Path(path), data)
            return data

        self.effective(target, reads=noting)
        for scope in target.scopes:
            for path in target.files(self.machine, scope, self.read):
                noting(path)
        return [self._look(target, path, data) for path, data in seen.items()]

    def _look(self, target: Target, path: Path, data: bytes) -> File:
        known = self._looked.get((target.id, path, data))
        if known is None:
            try:
                known = File(target, path, data, target.syntax(path).look(data))
            except Unparseable as error:
                known = File(target, path, data, {}, error)
            self._looked[target.id, path, data] = known
        return known


def known() -> dict[str, Check]:
    """Return every check by its id."""
    return registry.plugins(__name__, "CHECK")


def texts(value: object) -> tuple[str, ...]:
    """Return the strings of a key's value: itself, its words where it has several, or the items of a list."""
    if isinstance(value, tuple):
        return tuple(item for item in value if isinstance(item, str))
    return tuple(value.split()) if isinstance(value, str) else ()


def quoted(words: Iterable[str]) -> Text:
    """Return words as a list for people."""
    marked = [f"`{word}`" for word in dict.fromkeys(plan.shown(words))]
    return Text(en=", ".join(marked), zh="、".join(marked))
