"""Lines of OpenSSH's configuration: keywords and their words, split and quoted as OpenSSH does."""

from __future__ import annotations

from dataclasses import dataclass

_BLANK = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Line:
    """One line that says something.

    Attributes:
        keyword: In lower case.
        rest: All after it, as it stands there.
    """

    keyword: str
    rest: str


def read_line(raw: str) -> Line | None:
    """Return what a line says, or None for an empty line and a comment."""
    keyword, rest = next_word(raw.rstrip(_BLANK + "\f").lstrip(_BLANK))
    return Line(keyword.lower(), rest) if keyword and not keyword.startswith("#") else None


def next_word(text: str) -> tuple[str, str]:
    """Split off a keyword: blanks end it, or one `=`; quotes may stand around it. A quote left open swallows all."""
    end = next((i for i, c in enumerate(text) if c in _BLANK + '"='), len(text))
    word, rest = text[:end], text[end:]
    if rest.startswith('"'):
        quoted, closed, rest = rest[1:].partition('"')
        return (word + quoted, rest.lstrip(_BLANK)) if closed else ("", "")
    equals = rest.startswith("=")
    rest = rest[1:].lstrip(_BLANK)
    if rest.startswith("=") and not equals:
        rest = rest[1:].lstrip(_BLANK)
    return word, rest


def words_of(text: str) -> list[str] | None:
    """Split a value into words: quotes of both kinds, a backslash before a quote or a blank, `#` begins a comment.

    Returns:
        The words, or None when a quote is never closed.
    """
    words: list[str] = []
    at, quote, begun = 0, "", False
    while at < len(text):
        c = text[at]
        if not begun:
            if c in " \t":
                at += 1
                continue
            if c == "#":
                break
            words.append("")
            begun = True
        if c == "\\" and at + 1 < len(text) and text[at + 1] in ("\"'\\" if quote else "\"'\\ "):
            at += 1
            words[-1] += text[at]
        elif not quote and c in " \t":
            begun = False
        elif c == quote or (not quote and c in "\"'"):
            quote = "" if quote else c
        else:
            words[-1] += c
        at += 1
    return None if quote else words
