"""`.npmrc`, read as npm reads it: nothing is an error, a later line wins, and what follows a `[header]` is no setting.

`${NAME}` stays as it is written; npm puts the variable's value there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from internlm_setup.mirrors.edit import newline_of
from internlm_setup.mirrors.model import Edit, Key

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
_HEADER = re.compile(r"\[[^\]]*\]\s*\Z")
_SETTING = re.compile(
    r"(?P<head>(?P<name>[^=\r\n]+)(?:(?P<sign>=)[ \t]*)?)"
    r"(?P<value>(?P<quote>[\"'])[^\r\n]*(?P=quote)(?=\s*\Z)|(?:\\[^\r\n]|[^;#\r\n])*?)"
    r"(?P<tail>\s*(?:[;#].*)?)\Z",
    re.DOTALL,
)
_BLANK = " \t\r\n\ufeff"
_WORDS = {"true": True, "false": False, "null": None}


def look(data: bytes) -> dict[Key, object]:
    """Return every setting as `(name,)`; one that is a list (`name[]`) is a tuple. See `Syntax.look`."""
    found: dict[Key, object] = {}
    for _, name, value in _settings(_lines(data)):
        key, known = (name.removesuffix("[]"),), found.get((name.removesuffix("[]"),))
        listed = name.endswith("[]") and len(name) > 2
        if isinstance(known, tuple):
            found[key] = (*known, value)
        elif listed:
            found[key] = (value,) if key not in found else (known, value)
        else:
            found[(name,)] = value
    return found


def splice(data: bytes, edit: Edit) -> bytes:
    """Return the file with one setting changed; see `Syntax.splice`."""
    lines = _lines(data)
    (name,) = edit.key
    numbers = [number for number, known, _ in _settings(lines) if known == name]
    if edit.value is None:
        for number in reversed(numbers):
            del lines[number]
    elif numbers:
        _replace(lines, numbers[-1], str(edit.value))
    else:
        _insert(lines, f"{name}={_quoted(str(edit.value))}", newline_of("".join(lines)))
    return "".join(lines).encode("utf-8", "surrogateescape")


def _lines(data: bytes) -> list[str]:
    return _LINE.findall(data.decode("utf-8", "surrogateescape"))


def _settings(lines: Sequence[str]) -> Iterator[tuple[int, str, object]]:
    """Return each setting's line number, name and value, up to the first header."""
    for number, line in enumerate(lines):
        words = line.strip(_BLANK)
        if not words or words[0] in "#;":
            continue
        if _HEADER.match(line):
            return
        if setting := _SETTING.match(line):
            value = _plain(setting["value"]) if setting["sign"] else "true"
            yield number, _plain(setting["name"]), _WORDS.get(value, value)


def _plain(words: str) -> str:
    """Take quotes and backslashes away."""
    words = words.strip(_BLANK)
    if words[:1] + words[-1:] not in {'""', "''"}:
        return re.sub(r"\\([\\;#])", r"\1", words)
    inner = words[1:-1] if words[0] == "'" else words
    try:
        return str(json.loads(inner))
    except ValueError:
        return inner


def _quoted(value: str) -> str:
    return json.dumps(value) if re.search(r"[;#\\\"'=\s]|^\[", value) else value


def _replace(lines: list[str], number: int, value: str) -> None:
    """Put a value in; what was in quotes stays so, and a comment behind it stays."""

    def put(parts: re.Match[str]) -> str:
        quote = parts["quote"] or ""
        new = f"{quote}{value}{quote}" if quote and quote not in value else _quoted(value)
        return f"{parts['head']}{'' if parts['sign'] else '='}{new}{parts['tail']}"

    lines[number] = _SETTING.sub(put, lines[number], count=1)


def _insert(lines: list[str], setting: str, newline: str) -> None:
    """Put a new setting below the others, above any header."""
    headers = (number for number, line in enumerate(lines) if _HEADER.match(line))
    place = next(headers, len(lines))
    if place and not lines[place - 1].endswith(("\r", "\n")):
        lines[place - 1] += newline
    lines.insert(place, setting + newline)
