"""`*.sources`, apt's paragraphs: only the addresses of a `URIs` field are ever changed.

A key is the paragraph's number, from 0, and the field's name in its usual case; the value is its words with a space
between each, however they were folded. What apt 2.6 was seen to take for the same is taken for the same here: a line
of spaces goes on with the field, the last of two fields of one name counts, a comment is a line that begins with `#`.
"""

from __future__ import annotations

import re

from internlm_setup.mirrors.edit import TouchesMore, Unparseable
from internlm_setup.mirrors.model import Edit, Key

Span = tuple[int, int]

_LINE = re.compile(rb"[^\n]*\n|[^\n]+\Z")
_FIELD = re.compile(rb"([^\s:#][^\s:]*)[ \t]*:")
_WORD = re.compile(rb"\S+")
_OFF = {"no", "false", "without", "off", "disable", "0"}


def look(data: bytes) -> dict[Key, object]:
    """Return every field of every paragraph.

    Raises:
        Unparseable: apt would refuse the file.
    """
    found: dict[Key, object] = {}
    for number, (line, fields) in enumerate(_paragraphs(data)):
        values = {name: " ".join(_text(data[a:b]) for a, b in words) for name, words in fields.items()}
        _check(values, line)
        found |= {(str(number), name): value for name, value in values.items()}
    return found


def is_on(enabled: str) -> bool:
    """Return whether apt reads a paragraph whose `Enabled` says this, or nothing."""
    return enabled.lower() not in _OFF


def splice(data: bytes, edit: Edit) -> bytes:
    """Return the file with the addresses of one paragraph exchanged, each in the place of an old one.

    Where there are fewer of them, the last old ones go, and with them the lines that held nothing else.

    Raises:
        TouchesMore: It is not about the addresses of a paragraph that is there.
        Unparseable: As `look`.
    """
    fields: dict[Key, list[Span]] = {
        (str(number), name): words
        for number, (_, found) in enumerate(_paragraphs(data))
        for name, words in found.items()
    }
    old = fields.get(edit.key, [])
    new = edit.value.encode().split() if isinstance(edit.value, str) else []
    if edit.key[-1] != "URIs" or not old or not new:
        raise TouchesMore(edit.key)
    kept = old[: len(new)]
    pairs = list(zip(kept, [*new[: len(kept) - 1], b" ".join(new[len(kept) - 1 :])], strict=True))
    for start, end in reversed(old[len(kept) :]):
        data = _without(data, start, end)
    for (start, end), word in reversed(pairs):
        data = data[:start] + word + data[end:]
    return data


def _paragraphs(data: bytes) -> list[tuple[int, dict[str, list[Span]]]]:
    """Return each paragraph's first line and where the words of each of its fields are."""
    paragraphs: list[tuple[int, dict[str, list[Span]]]] = []
    fields: dict[str, list[Span]] = {}
    words: list[Span] = []
    for number, line in enumerate(_LINE.finditer(data), 1):
        field = _FIELD.match(data, line.start(), line.end())
        begin = line.start()
        if not line[0].strip(b"\r\n"):
            fields, words = {}, []
        elif line[0].startswith(b"#"):
            continue
        elif field:
            if not fields:
                paragraphs.append((number, fields))
            words = fields[_usual(field[1])] = []
            begin = field.end()
        elif not line[0][:1].isspace():
            raise Unparseable(number, "neither a field, a comment nor the rest of a field")
        words += [word.span() for word in _WORD.finditer(data, begin, line.end())]
    return paragraphs


def _check(values: dict[str, str], line: int) -> None:
    """Refuse what apt refuses to read."""
    types, suites = values.get("Types", "").split(), values.get("Suites", "").split()
    if not types or not {*types} <= {"deb", "deb-src"}:
        raise Unparseable(line, "a paragraph without `Types: deb` or `deb-src`")
    if not is_on(values.get("Enabled", "")):
        return
    if not values.get("URIs") or not suites:
        raise Unparseable(line, "a paragraph without `URIs` or `Suites`")
    if not values.get("Components") and not all(suite.endswith("/") for suite in suites):
        raise Unparseable(line, "a paragraph without `Components`")


def _without(data: bytes, start: int, end: int) -> bytes:
    """Take a word out, and the space before it; and its whole line where it stood alone on one."""
    while data[start - 1 : start] in {b" ", b"\t"}:
        start -= 1
    if data[start - 1 : start] == b"\n":
        line = _LINE.match(data, start)
        end = line.end() if line else end
    return data[:start] + data[end:]


def _usual(name: bytes) -> str:
    words = "-".join(part.capitalize() for part in _text(name).split("-"))
    return "URIs" if words == "Uris" else words


def _text(word: bytes) -> str:
    return word.decode("utf-8", "surrogateescape")
