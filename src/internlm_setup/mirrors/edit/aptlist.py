"""`sources.list`, apt's one-line entries: only the address of a line is ever changed.

A key is the line's number among those that are neither empty nor comments, from 0, and `type`, `options`, `uri`,
`suite` or `components`. Words are read as apt 2.6 was seen to read them: `"…"` and `[…]` may hold spaces, `%41` is
`A`, a `#` outside brackets begins a comment.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from internlm_setup.mirrors.edit import TouchesMore, Unparseable
from internlm_setup.mirrors.model import Edit, Key

_LIVE = re.compile(rb"(?:\[[^\]\n]*\]|[^#\n])*")
_WORD = re.compile(rb'(?:"[^"\n]*"|\[[^\]\n]*\]|[^\s"\[])+')
_NAMES = ("type", "options", "uri", "suite", "components")
_Line = dict[str, tuple[int, int]]


def look(data: bytes) -> dict[Key, object]:
    """Return the parts of every line that is in force.

    Raises:
        Unparseable: apt would refuse the file.
    """
    return {
        (str(number), name): _text(data[start:end])
        for number, line in enumerate(_lines(data))
        for name, (start, end) in line.items()
    }


def splice(data: bytes, edit: Edit) -> bytes:
    """Return the file with the address of one line exchanged, within its quotes where it has them.

    Raises:
        TouchesMore: It is not about the address of a line that is there.
        Unparseable: As `look`.
    """
    found = {(str(number), name): span for number, line in enumerate(_lines(data)) for name, span in line.items()}
    if edit.key[-1] != "uri" or edit.key not in found or not isinstance(edit.value, str):
        raise TouchesMore(edit.key)
    start, end = found[edit.key]
    quote = b'"' if data[start:end].startswith(b'"') else b""
    return data[:start] + quote + edit.value.encode() + quote + data[end:]


def _lines(data: bytes) -> list[_Line]:
    """Return where the parts of each line are."""
    lines, begin = [], 0
    for number, raw in enumerate(data.split(b"\n"), 1):
        live = _LIVE.match(raw)
        words = [word.span() for word in _WORD.finditer(live[0])] if live else []
        if live and _WORD.sub(b"", live[0]).strip():
            raise Unparseable(number, "a quote or a bracket that does not end")
        if words:
            line = _parts(raw, words, number)
            lines.append({name: (begin + start, begin + end) for name, (start, end) in line.items()})
        begin += len(raw) + 1
    return lines


def _parts(raw: bytes, words: list[tuple[int, int]], number: int) -> _Line:
    """Give each word its name; the components are one part."""
    texts = [raw[start:end] for start, end in words]
    if texts[0] not in {b"deb", b"deb-src"}:
        raise Unparseable(number, "a line that begins with neither `deb` nor `deb-src`")
    if not texts[1:] or not texts[1].startswith(b"["):
        words, texts = [words[0], (words[0][1],) * 2, *words[1:]], [texts[0], b"[]", *texts[1:]]
    has_components = len(words) > 4
    if len(words) < 4 or not texts[1].endswith(b"]") or has_components == texts[3].endswith(b"/"):
        raise Unparseable(number, "not `deb [options] address suite components…`")
    spans = [*words[:4], *([(words[4][0], words[-1][1])] if has_components else [])]
    return dict(zip(_NAMES, spans, strict=False))


def _text(word: bytes) -> str:
    """Return what apt makes of it."""
    return unquote_to_bytes(word.replace(b'"', b"")).decode("utf-8", "surrogateescape")
