"""TOML, as uv, pdm and pixi keep it.

An entry of an array of tables
is called `#0`, `#1`, … among its like, and `default` where it has `default = true`. Setting the `url` of a `default`
that is not there adds the entry, and removing it removes the entry.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from internlm_setup.mirrors.edit import Unparseable, newline_of
from internlm_setup.mirrors.edit.toml_places import Place, names_of, places_in, skip
from internlm_setup.mirrors.model import Edit, Key, Value

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_BOM = "\ufeff"
_DEFAULT = ("default", "url")
_LINE_END = re.compile(r"[^\n]*(?:\n|\Z)")


def look(data: bytes) -> dict[Key, object]:
    """Return every value by the way down to it; a list is a tuple. See `Syntax.look`."""
    return dict(_flat(_parsed(data)[1], ()))


def implied(before: Mapping[Key, object], edit: Edit) -> dict[Key, object]:
    """Return what comes and goes with the `url` of a default entry; see `edit.Implies`."""
    if len(edit.key) < 3 or edit.key[-2:] != _DEFAULT:
        return {}
    entry = edit.key[:-1]
    there = [key for key in before if key[: len(entry)] == entry]
    if edit.value is None:
        return dict.fromkeys(there)
    return {} if there else {(*entry, "default"): True}


def splice(data: bytes, edit: Edit) -> bytes:
    """Return the file with one key changed; see `Syntax.splice`."""
    text, document = _parsed(data)
    places = list(places_in(text, document))
    found = next((place for place in places if place.key == edit.key and place.value is not None), None)
    if edit.value is None:
        text = _without(text, _going(places, edit.key))
    elif found:
        old = text[found.value : found.end]
        text = text[: found.value] + _literal(edit.value, old) + text[found.end :]
    else:
        text = _with(text, places, edit.key, _literal(edit.value))
    return (_BOM if data.startswith(_BOM.encode()) else "").encode() + text.encode()


def _parsed(data: bytes) -> tuple[str, dict[str, Any]]:
    try:
        text = data.decode("utf-8").removeprefix(_BOM)
        return text, tomllib.loads(text, parse_float=str)
    except UnicodeDecodeError as error:
        raise Unparseable(data.count(b"\n", 0, error.start) + 1, "this is not UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        said = re.fullmatch(r"(.*?) \(at (?:line (\d+).*|end of document)\)", str(error), re.DOTALL)
        reason, line = said.groups() if said else (str(error), None)
        raise Unparseable(int(line or data.count(b"\n") + 1), reason) from error


def _flat(node: Any, key: Key) -> Iterator[tuple[Key, object]]:
    match node:
        case dict():
            for name, inner in node.items():
                yield from _flat(inner, (*key, name))
        case [dict(), *_]:
            for name, inner in zip(names_of(node), node, strict=True):
                yield from _flat(inner, (*key, name))
        case list():
            yield key, tuple(node)
        case _:
            yield key, node


def _literal(value: Value, old: str = "") -> str:
    """Write a value; one that replaces a `'literal'` stays one where it can."""
    match value:
        case bool():
            return "true" if value else "false"
        case tuple():
            return f"[{', '.join(_literal(item) for item in value)}]"
        case str():
            return f"'{value}'" if old[:1] == "'" and "'" not in value else json.dumps(value)


def _dotted(key: Key) -> str:
    return ".".join(part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else json.dumps(part) for part in key)


def _going(places: Sequence[Place], key: Key) -> list[Place]:
    """Return what goes with a key: its own place, or the whole of a default entry."""
    if len(key) < 3 or key[-2:] != _DEFAULT:
        return [place for place in places if place.key == key and place.value is not None]
    entry = [place for place in places if place.key[: len(key) - 1] == key[:-1]]
    whole = [place for place in entry if place.key == key[:-1] and place.table is None]
    return whole or [place for place in entry if place.table is not None]


def _without(text: str, going: Sequence[Place]) -> str:
    """Cut places out, from the last to the first: whole lines, or an item and its comma."""
    for place in sorted(going, key=lambda place: place.start, reverse=True):
        start, end = text.rfind("\n", 0, place.start) + 1, skip(_LINE_END, text, place.end)
        if place.table is None:
            start, end = place.start, place.end
            if comma := re.compile(r"\s*,[ \t]*").match(text, end):
                end = comma.end()
            elif comma := re.search(r",\s*\Z", text[:start]):
                start = comma.start()
        elif place.value is None and (blank := re.search(r"(?<=\n)\r?\n\Z", text[:start])):
            start = blank.start()  # the empty line above a header goes with it
        text = text[:start] + text[end:]
    return text


def _with_default(text: str, places: Sequence[Place], array: Key, literal: str) -> str:
    """Add a default entry to an array of tables."""
    newline = newline_of(text)
    for place in places:
        if place.key == array and place.value is not None:
            return _inside(text, place, f"{{ url = {literal}, default = true }}")
    return _below(text, f"[[{_dotted(array)}]]{newline}url = {literal}{newline}default = true{newline}")


def _with(text: str, places: Sequence[Place], key: Key, literal: str) -> str:
    """Put a new key where it belongs to its table and to no other."""
    newline, table = newline_of(text), key[:-1]
    if len(key) > 2 and key[-2:] == _DEFAULT and not any(place.key[: len(table)] == table for place in places):
        return _with_default(text, places, key[:-2], literal)
    line = f"{_dotted(key[-1:])} = {literal}"
    for place in places:
        if place.key == table:
            return _first_in(text, place, places, line)
        if place.value is not None and place.table is not None and place.table < len(table) < len(place.key):
            if place.key[: len(table)] != table:
                continue
            # the table is said with dots, so a header would say it a second time
            line = f"{_dotted(key[place.table :])} = {literal}{newline}{_indent(text, place)}"
            return text[: place.start] + line + text[place.start :]
    if table:
        return _below(text, f"[{_dotted(table)}]{newline}{line}{newline}")
    return _on_top(text, places, line + newline)


def _indent(text: str, place: Place) -> str:
    return text[text.rfind("\n", 0, place.start) + 1 : place.start]


def _inside(text: str, place: Place, words: str) -> str:
    """Put words first into braces or brackets."""
    at = (place.value or 0) + 1
    rest = text[at:].lstrip()
    space = " " if text[at - 1] == "{" else ""
    return f"{text[:at]}{space}{words}{space if rest[0] in ']}' else ', '}{rest}"


def _below(text: str, lines: str) -> str:
    """Put lines at the end of the file, behind an empty one."""
    newline = newline_of(text)
    text += newline if text and not text.endswith("\n") else ""
    return text + (newline if text.strip() and not text.endswith(newline * 2) else "") + lines


def _first_in(text: str, table: Place, places: Sequence[Place], line: str) -> str:
    """Put a line right below a header, as far in as the next one; or first into braces."""
    if table.value is not None:
        return _inside(text, table, line)
    at = skip(_LINE_END, text, table.end)
    more = (place for place in places if place.start >= at and place.value is not None)
    near = next((place for place in more if place.key[:-1] == table.key), None)
    gap = "" if text[:at].endswith("\n") else newline_of(text)
    return text[:at] + gap + (_indent(text, near) if near else "") + line + newline_of(text) + text[at:]


def _on_top(text: str, places: Sequence[Place], line: str) -> str:
    """Put a line below the last one that is above all headers; it would belong to a table further down."""
    own = [place for place in places if place.table == 0 and place.value is not None]
    if own:
        at = skip(_LINE_END, text, own[-1].end)
        return text[:at] + ("" if text[:at].endswith("\n") else newline_of(text)) + line + text[at:]
    if not places:
        return text + ("" if not text or text.endswith("\n") else newline_of(text)) + line
    return line + newline_of(text) + text
