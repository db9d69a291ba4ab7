"""Changing one key of a file and no other byte: one module a syntax, each with `look` and `splice`.

A parser finds the span, the bytes are spliced, and the result is parsed again: it must differ in that key alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Protocol, cast

from internlm_setup.core.text import Text
from internlm_setup.mirrors.model import Edit, Key, Reads, Syntax

_UNPARSEABLE = Text(
    en="`{path}`, line {line}, cannot be parsed: {reason}", zh="`{path}` 第 {line} 行无法解析：{reason}"
)


@dataclass(eq=False)
class Unparseable(Exception):
    """A file is not what its syntax allows. `line` counts from 1; 0 where the parser names none."""

    line: int
    reason: str


@dataclass(eq=False)
class TouchesMore(Exception):
    """The key cannot be changed alone."""

    key: Key


class Implies(Protocol):
    """The function `implied` that a syntax may have, for keys that cannot come or go alone."""

    def __call__(self, before: Mapping[Key, object], edit: Edit) -> Mapping[Key, object]:
        """Return the further keys that change with an edit, and their values; None where a key goes away."""
        ...


def changed(syntax: Syntax, before: bytes, edits: Sequence[Edit]) -> bytes:
    """Apply edits one after another and prove each.

    An edit that asks for what is there already changes nothing, so twice is the same as once.
    What a syntax says is `implied` by an edit may change with its key.

    Raises:
        Unparseable: The file cannot be parsed.
        TouchesMore: The result would differ in more than the key.
    """
    data = before
    for edit in edits:
        wanted = syntax.look(data)
        if wanted.get(edit.key) == edit.value:
            continue
        after = syntax.splice(data, edit)
        for key, value in {**_implied(syntax, wanted, edit), edit.key: edit.value}.items():
            if value is None:
                wanted.pop(key, None)
            else:
                wanted[key] = value
        try:
            found = syntax.look(after)
        except Unparseable as error:
            raise TouchesMore(edit.key) from error
        if found != wanted:
            raise TouchesMore(edit.key)
        data = after
    return data


def keys_in(path: PurePath, syntax: Syntax, read: Reads, notes: list[Text]) -> dict[Key, object]:
    """Look into a file for `Target.effective`; one that cannot be parsed is empty, with a note."""
    data = read(path)
    try:
        return {} if data is None else syntax.look(data)
    except Unparseable as error:
        notes.append(_UNPARSEABLE.fill(path=path, line=error.line, reason=error.reason))
        return {}


def newline_of(text: str) -> str:
    """Return how a file ends its lines: as its first one does."""
    first = text.find("\n")
    return "\r\n" if first > 0 and text[first - 1] == "\r" else "\n"


def _implied(syntax: Syntax, before: Mapping[Key, object], edit: Edit) -> Mapping[Key, object]:
    implies = cast("Implies | None", getattr(syntax, "implied", None))
    return {} if implies is None else implies(before, edit)
