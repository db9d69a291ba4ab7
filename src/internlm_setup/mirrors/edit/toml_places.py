"""Where everything stands in a TOML file: the parser gives no positions, so they are found beside it."""

from __future__ import annotations

import re
import sys
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from internlm_setup.mirrors.model import Key

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_QUOTED = r'"(?:\\.|[^"\\])*"|' + r"'[^']*'"
_LONG = r'"""(?:\\.|[^\\])*?"{3,5}(?!")|' + r"'''.*?'{3,5}(?!')"
_PART = rf"(?:{_QUOTED}|[\w-]+)"
_NAME = re.compile(rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*")
_HEADER = re.compile(rf"(\[\[?)[ \t]*({_NAME.pattern})[ \t]*\]\]?")
_SCALAR = re.compile(rf"{_LONG}|{_QUOTED}|[^,\]}}#\r\n]*[^,\]}}#\s]", re.DOTALL)
_IS = re.compile(r"[ \t]*=[ \t]*")
_BLANK = re.compile(r"(?:[\s,]|#[^\n]*)*")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands.

    Attributes:
        key: As `look` calls it.
        start: Of its name; of a header; of an item of an array.
        value: Of its value; None for a header.
        end: Behind the value, or the header.
        table: How much of the key is said by the header above; None inside of braces and brackets.
    """

    key: Key
    start: int
    value: int | None
    end: int
    table: int | None


def names_of(entries: Sequence[Any]) -> list[str]:
    """Name the entries of an array; the first default is called so."""
    marked = [isinstance(entry, dict) and entry.get("default") is True for entry in entries]
    default = marked.index(True) if True in marked else len(entries)
    return ["default" if i == default else f"#{i - (i > default)}" for i in range(len(entries))]


def places_in(text: str, document: dict[str, Any]) -> Iterator[Place]:
    """Find every header and value of a text that the parser has taken, in the order of the file."""
    table: Key = ()
    node: Any = document
    entries: dict[Key, int] = {}
    at = skip(_BLANK, text, 0)
    while at < len(text):
        if header := _HEADER.match(text, at):
            table, node = _table(document, _path(header[2]), header[1] == "[[", entries)
            yield Place(table, at, None, header.end(), len(table))
            at = header.end()
        else:
            at = yield from _pair(text, at, table, node, len(table))
        at = skip(_BLANK, text, at)


def _table(document: Any, path: Key, is_entry: bool, entries: dict[Key, int]) -> tuple[Key, Any]:
    """Return what a header names; of arrays on the way it means the entry that was begun last."""
    key: Key = ()
    node = document
    for depth, part in enumerate(path, start=1):
        key, node = (*key, part), node[part]
        if isinstance(node, list):
            if is_entry and depth == len(path):
                entries[key] = entries.get(key, -1) + 1
            number = entries[key]
            key, node = (*key, names_of(node)[number]), node[number]
    return key, node


def _pair(text: str, at: int, key: Key, node: Any, table: int | None) -> Generator[Place, None, int]:
    """Read `name = value` and return where it ends."""
    start, after = at, skip(_NAME, text, at)
    path = _path(text[at:after])
    for part in path:
        node = node[part]
    value = skip(_IS, text, after)
    end = yield from _value(text, value, (*key, *path), node)
    yield Place((*key, *path), start, value, end, table)
    return end


def _value(text: str, at: int, key: Key, node: Any) -> Generator[Place, None, int]:
    """Read a value, and what is inside of it, and return where it ends."""
    if text[at] not in "[{":
        return skip(_SCALAR, text, at)
    items = zip(names_of(node), node, strict=True) if isinstance(node, list) else iter(())
    closing = "]" if text[at] == "[" else "}"
    at = skip(_BLANK, text, at + 1)
    while text[at] != closing:
        if closing == "}":
            at = yield from _pair(text, at, key, node, None)
        else:
            name, item = next(items)
            end = yield from _value(text, at, (*key, name), item)
            yield Place((*key, name), at, at, end, None)
            at = end
        at = skip(_BLANK, text, at)
    return at + 1


def _path(name: str) -> Key:
    """Take a dotted name apart, as the parser does."""
    key: Key = ()
    node: Any = tomllib.loads(f"{name}=0")
    while isinstance(node, dict):
        ((part, node),) = node.items()
        key = (*key, part)
    return key


def skip(what: re.Pattern[str], text: str, at: int) -> int:
    """Return where a pattern that begins at a place ends; the place itself where it is not there."""
    found = what.match(text, at)
    return found.end() if found else at
