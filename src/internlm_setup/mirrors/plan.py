"""From a wish to the bytes that are to be written: pure, given how files are read."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from internlm_setup.core.log import mask
from internlm_setup.core.text import Text, printable, without_password
from internlm_setup.mirrors.edit import TouchesMore, Unparseable, changed
from internlm_setup.mirrors.errors import FileUnparseable, NoVenv, ScopeLacks, WouldChangeMore
from internlm_setup.mirrors.model import Change, Edit, Effective, Key, Machine, Reads, Scope, Syntax, Target, Wish

_TOKEN_IN_URL = re.compile(r"(://)[^\s/:@]+(?=@)")
_NPM_AUTH = re.compile(r"(\b_(?:auth|authToken|password)\s*=\s*)\S+")


@dataclass(frozen=True, slots=True)
class Step:
    """What one tool comes to.

    Attributes:
        target: The tool.
        wish: What it is to be told; None where nobody serves what it reads.
        scope: Whose files; None for a tool that is only advised about.
        changes: Its files; one whose bytes stay is among them.
        installed: Whether the program is there.
        before: What the tool uses as long as nothing is written.
        notes: What a person should know of this choice.
        advice: What the tool has to say beside its files.
    """

    target: Target
    wish: Wish | None
    scope: Scope | None
    changes: tuple[Change, ...]
    installed: bool
    before: Effective
    notes: tuple[Text, ...] = ()
    advice: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True)
class Skip:
    """A tool that is left alone, and why."""

    tool: str
    reason: Text


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a run would do.

    Attributes:
        steps: The tools it is about.
        skips: Tools that the chosen site has nothing for.
        absent: Tools that are not installed, and were not named.
    """

    steps: tuple[Step, ...]
    skips: tuple[Skip, ...] = ()
    absent: tuple[str, ...] = ()

    @property
    def changes(self) -> list[Change]:
        """The files that differ."""
        return [change for step in self.steps for change in step.changes if change.before != change.after]


def scope_of(target: Target, asked: Scope | None, machine: Machine) -> Scope | None:
    """Return whose file of a tool is written: the one asked for, else the tool's first.

    Raises:
        ScopeLacks: The tool has none of that scope.
        NoVenv: No virtual environment is active.
    """
    if not target.scopes:
        return None
    scope = asked or target.scopes[0]
    if scope not in target.scopes:
        raise ScopeLacks(target.title, scope, ", ".join(target.scopes))
    if scope == "venv" and machine.venv is None:
        raise NoVenv
    return scope


def change(target: Target, path: Path, before: bytes | None, edits: Sequence[Edit]) -> Change:
    """Return what a file becomes.

    Raises:
        FileUnparseable: It is not what its syntax allows.
        WouldChangeMore: A key cannot be changed alone.
    """
    syntax = target.syntax(path)
    was = looked(syntax, path, before)
    try:
        after = changed(syntax, before or b"", edits)
    except TouchesMore as error:
        raise WouldChangeMore(str(path), ".".join(error.key)) from error
    return Change(target.id, path, before, after or before, difference(was, looked(syntax, path, after)))


def difference(was: Mapping[Key, object], now: Mapping[Key, object]) -> tuple[tuple[Key, object, object], ...]:
    """Return the keys that differ, for `Change.edits`."""
    return tuple((key, was.get(key), now.get(key)) for key in {**was, **now} if was.get(key) != now.get(key))


def wished(target: Target, wish: Wish, scope: Scope, machine: Machine, read: Reads) -> tuple[Change, ...]:
    """Return what becomes of each file of a tool.

    Args:
        target: The tool.
        wish: What it is to be told.
        scope: Whose files.
        machine: For the path rules.
        read: Raises where a file is there and cannot be read.

    Raises:
        ConfigError: A file cannot be read, parsed or changed in one key.
    """
    found = []
    for path in target.files(machine, scope, read):
        before = read(path)
        edits = target.edits(looked(target.syntax(path), path, before), wish, machine)
        found.append(change(target, Path(path), before, edits))
    return tuple(found)


def looked(syntax: Syntax, path: object, data: bytes | None) -> dict[Key, object]:
    """Return every key of a file.

    Raises:
        FileUnparseable: It is not what its syntax allows.
    """
    try:
        return syntax.look(data or b"")
    except Unparseable as error:
        raise FileUnparseable(str(path), error.line, error.reason) from error


def diff(one: Change) -> str:
    """Return a unified diff that is safe to show: no passwords, nothing that moves a cursor."""
    (before, was), (after, now) = (
        ("/dev/null", "") if data is None else (str(one.path), data.decode("utf-8-sig", "replace"))
        for data in (one.before, one.after)
    )
    lines = difflib.unified_diff(was.splitlines(), now.splitlines(), before, after, lineterm="")
    return "\n".join(printable(redacted(line)) for line in lines)


def redacted(line: str) -> str:
    """Return a line of a tool's file without what could open a door."""
    return _NPM_AUTH.sub(r"\1***", _TOKEN_IN_URL.sub(r"\1***", mask(without_password(line))))


def shown(values: Iterable[str]) -> tuple[str, ...]:
    """Return addresses that are safe to show."""
    return tuple(map(redacted, values))
