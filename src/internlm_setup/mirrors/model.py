"""The values that cross the rooms of `mirrors`: sites, wishes, edits, changes, and what decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Literal, Protocol

from internlm_setup.core.text import Text

Scope = Literal["user", "venv", "system"]
Family = str  # "pypi", "conda", "npm", "apt", "huggingface", "pytorch", "python" (builds of Python for uv)
Key = tuple[str, ...]
Value = str | bool | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Serving:
    """What a site has of one family.

    Attributes:
        url: Where it begins, without a slash at the end; the meaning is the family's (pypi: the index; conda: the base
            that `pkgs/` and `cloud/` are under; apt: the site's base; pytorch: what `/cu126` is put behind).
        kind: `full` copy, `cache` of what was asked for, or `redirect` to others.
        evidence: A page or a file that says so.
        channels: conda only: channel name (`main`, `conda-forge`, …) to its full address.
        paths: apt only: distribution name (`debian`, `ubuntu`, …) to its path under `url`.
        style: pytorch only: `index` or `find-links`.
    """

    url: str
    kind: Literal["full", "cache", "redirect"]
    evidence: str
    channels: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)
    style: str = "index"


@dataclass(frozen=True, slots=True)
class Site:
    """One mirror site of the catalogue.

    Attributes:
        id: Lower case, as in the name of its file.
        title: Its name.
        checked_on: The day the facts were checked, `YYYY-MM-DD`.
        families: What it serves.
        refused: Family to the reason why it is not offered there though people use it so.
        retired: Why nobody should use the site at all; None for a living one.
        hosts: Further host names that are the site's: old names, v4 and v6 names.
    """

    id: str
    title: Text
    checked_on: str
    families: Mapping[Family, Serving]
    refused: Mapping[Family, Text] = field(default_factory=dict)
    retired: Text | None = None
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Channel:
    """A conda channel to write: `url` is its full address, the name included; `how_known` is said to people."""

    name: str
    url: str
    how_known: Literal["probed", "catalogue"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What one tool is to be told.

    Attributes:
        site: The site.
        channels: conda only: every channel whose address is written.
        order: conda only: the value of `channels`, strongest first; `defaults` alone keeps names that are there.
        security: apt only: move the security suites too.
    """

    site: Site
    channels: tuple[Channel, ...] = ()
    order: tuple[str, ...] = ("defaults",)
    security: bool = False


@dataclass(frozen=True, slots=True)
class Edit:
    """One key to set; None removes it.

    `key` is what `Syntax.look` calls it: the way down from the top of the file.
    """

    key: Key
    value: Value | None


class Syntax(Protocol):
    """One file format: a module of `edit` with these two functions."""

    def look(self, data: bytes) -> dict[Key, object]:
        """Return every key of a file and its value, in the spelling that the tool takes for the same.

        Raises:
            Unparseable: With the line, where the parser knows it.
        """
        ...

    def splice(self, data: bytes, edit: Edit) -> bytes:
        """Return the file with one key changed and no other byte touched.

        Raises:
            Unparseable: As `look`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Machine:
    """What the path rules are told; pure values, so that every system's rules run on every system.

    Attributes:
        platform: As `sys.platform` spells it.
        env: The environment.
        home: The home folder, in the flavour of the platform.
        is_admin: Whether system files may be written.
        programs: Where each installed program is, by the name people call it.
    """

    platform: str
    env: Mapping[str, str]
    home: PurePath
    is_admin: bool
    programs: Mapping[str, Path]

    def folder(self, variable: str, default: PurePath) -> PurePath:
        """Return the folder a variable names, or the default where it names none that is absolute."""
        named = type(self.home)(self.env.get(variable) or "")
        return named if named.is_absolute() else default

    @property
    def venv(self) -> PurePath | None:
        """The virtual environment that is active, if one is."""
        named = self.env.get("VIRTUAL_ENV")
        return type(self.home)(named) if named else None


@dataclass(frozen=True, slots=True)
class Layer:
    """One place where a tool looks for its setting: a key of a file, or a variable.

    Attributes:
        kind: `file` or `variable`.
        where: The path, or the variable's name.
        key: The key of the file that is read there; empty for a variable.
        scope: Whose file it is; None for variables and files that nobody's scope owns.
    """

    kind: Literal["file", "variable"]
    where: str
    key: Key = ()
    scope: Scope | None = None


@dataclass(frozen=True, slots=True)
class Effective:
    """What a tool would use now.

    Attributes:
        urls: The addresses, strongest first; empty means the tool's built-in default.
        decided_by: The layer that wins; None for the built-in default.
        overruled: Layers that say something else and lose, strongest first.
        asked: The real program that was asked, or None when it was worked out from the rules.
        notes: What a person should know (merged lists, a variable that turns files off).
    """

    urls: tuple[str, ...]
    decided_by: Layer | None
    overruled: tuple[Layer, ...] = ()
    asked: str | None = None
    notes: tuple[Text, ...] = ()

    @classmethod
    def of(cls, found: Sequence[tuple[Layer, str]], notes: Sequence[Text] = (), asked: str | None = None) -> Effective:
        """Return what one address comes to: of all that was found, strongest first, the first decides.

        Those that say the same as it are not overruled.
        """
        if not found:
            return cls((), None, asked=asked, notes=tuple(notes))
        layer, url = found[0]
        overruled = tuple(other for other, value in found[1:] if value != url)
        return cls((url,), layer, overruled, asked, tuple(notes))


class Reads(Protocol):
    """How a target sees the disk: a file's bytes, a folder's names one a line, or None where nothing can be read."""

    def __call__(self, path: PurePath) -> bytes | None:
        """Return the bytes, or None."""
        ...


class Target(Protocol):
    """One tool: a file of `targets` holds an instance under the name `TARGET`.

    Attributes:
        id: What people call it with `--tool`.
        title: Its name.
        families: What it reads; a site must serve the first.
        scopes: Where it can be written; empty when it is advice only.
        program: The program that makes it worth writing; its absence makes the bare command skip the tool.
        always: Written by the bare command even where the program is absent (pip and conda).
        about: What is written and why, for the docs page.
    """

    id: str
    title: str
    families: tuple[Family, ...]
    scopes: tuple[Scope, ...]
    program: str
    always: bool
    about: Text

    def files(self, machine: Machine, scope: Scope, read: Reads) -> Sequence[PurePath]:
        """Return the files to write: the strongest of the scope that exists, else the one the tool would make."""
        ...

    def syntax(self, path: PurePath) -> Syntax:
        """Return the format of one of its files."""
        ...

    def edits(self, before: Mapping[Key, object], wish: Wish, machine: Machine) -> Sequence[Edit]:
        """Return what to change in a file that holds `before`; only keys whose value would differ need be named."""
        ...

    def owned(self, before: Mapping[Key, object], is_mirror: Mirrored) -> Sequence[Edit]:
        """Return the edits that take every mirror's address out of a file, and nothing else (`reset`)."""
        ...

    def effective(self, machine: Machine, read: Reads) -> Effective:
        """Work out from the tool's own rules what it would use now."""
        ...

    def ask(self, machine: Machine) -> Ask | None:
        """Return how the real program is asked, or None when it is not installed or has no such question."""
        ...

    def advice(self, wish: Wish, machine: Machine) -> Sequence[Text]:
        """Return what to tell a person beside the files: the warnings, and the lines for their own shell."""
        ...


class Mirrored(Protocol):
    """Tells whether an address is one of the catalogue's sites, old names included."""

    def __call__(self, url: str) -> bool:
        """Return whether it is."""
        ...


class ReadsAnswer(Protocol):
    """Reads what a real program said."""

    def __call__(self, stdout: str) -> Effective:
        """Return it.

        Raises:
            ValueError: It is not what the program is known to say.
        """
        ...


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to a real program: the command line, and how its answer is read."""

    command: tuple[str, ...]
    read: ReadsAnswer


@dataclass(frozen=True, slots=True)
class Change:
    """One file as it is and as it will be.

    Attributes:
        tool: The target's id.
        path: The path that was chosen; it may be a symbolic link.
        before: The bytes now; None where there is no file.
        after: The bytes to write; None to remove the file.
        edits: The keys that differ: key, value before, value after (None where there is none).
    """

    tool: str
    path: Path
    before: bytes | None = field(repr=False)
    after: bytes | None = field(repr=False)
    edits: tuple[tuple[Key, object, object], ...]
