"""Changing one key of a file and no other byte: one module a syntax, each with `look` and `splice`.

A parser finds the span, the bytes are spliced, and the result is parsed again: it must differ in that key alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from internlm_setup.mirrors.model import Edit, Key, Syntax


@dataclass(eq=False)
class Unparseable(Exception):
    """A file is not what its syntax allows. `line` counts from 1; 0 where the parser names none."""

    line: int
    reason: str


@dataclass(eq=False)
class TouchesMore(Exception):
    """The key cannot be changed alone."""

    key: Key


def changed(syntax: Syntax, before: bytes, edits: Sequence[Edit]) -> bytes:
    """Apply edits one after another and prove each.

    An edit that asks for what is there already changes nothing, so twice is the same as once.

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
        if edit.value is None:
            wanted.pop(edit.key, None)
        else:
            wanted[edit.key] = edit.value
        try:
            found = syntax.look(after)
        except Unparseable as error:
            raise TouchesMore(edit.key) from error
        if found != wanted:
            raise TouchesMore(edit.key)
        data = after
    return data
