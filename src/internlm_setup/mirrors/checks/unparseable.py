"""A file that its tool cannot read; the tutorial's block that lost its line breaks is laid out again."""

from __future__ import annotations

import re
from collections.abc import Iterator

from internlm_setup.core.text import Text
from internlm_setup.mirrors.checks import BY_HAND, FIX, Finding, Sight

_LISTS = ("channels:", "default_channels:")
_KEY = re.compile(r"[A-Za-z_][\w.-]*:")
_URL = re.compile(r"https?://\S+[^:\s]")
_NAME = re.compile(r"[A-Za-z][\w.-]*")
_END = "EOF"  # of the here-document that the tutorial's block is in

_COLLAPSED = Text(
    en="`{path}` is a block from the tutorial that lost its line breaks: conda ignores the whole file",
    zh="`{path}` 是教程中的一段配置，但换行丢失了：conda 会忽略整个文件",
)
_BROKEN = Text(en="`{path}`, line {line}, cannot be parsed: {reason}", zh="`{path}` 第 {line} 行无法解析：{reason}")


class Unreadable:
    """See the module."""

    id = "unparseable"
    title = Text(en="files that cannot be parsed", zh="无法解析的文件")

    def look(self, sight: Sight) -> Iterator[Finding]:
        """See `Check.look`."""
        for file in sight.files():
            if file.broken is None:
                continue
            lines = laid_out(file.data) if file.target.id == "conda" else None
            if lines is None:
                message = _BROKEN.fill(path=file.path, line=file.broken.line, reason=file.broken.reason)
                yield Finding("wrong", message, BY_HAND.fill(path=file.path))
            else:
                change = sight.rewritten(file, lines)
                repair = FIX if change else BY_HAND.fill(path=file.path)
                yield Finding("wrong", _COLLAPSED.fill(path=file.path), repair, change)


def laid_out(data: bytes) -> bytes | None:
    """Return the tutorial's block with its lines; None where the file is anything else.

    Known are `channels`, `show_channel_urls`, `default_channels` and `custom_channels`, with nothing between them;
    every word is kept, in its order.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    words = text.split()
    if words[-1:] == [_END]:
        words.pop()
    lines: list[str] = []
    seen: set[str] = set()
    while words:
        key = words.pop(0)
        if key in seen:
            return None
        seen.add(key)
        body = _body(key, words)
        if body is None:
            return None
        lines += body
    newline = "\r\n" if "\r\n" in text else "\n"
    return "".join(line + newline for line in lines).encode() if len(seen) > 1 else None


def _body(key: str, words: list[str]) -> list[str] | None:
    """Take a key's value from the front of the words; None where it is not one."""
    if key == "show_channel_urls:":
        return [f"{key} {words.pop(0)}"] if words and words[0] in {"true", "yes"} else None
    lines = [key]
    if key in _LISTS:
        while len(words) > 1 and words[0] == "-" and (_URL.fullmatch(words[1]) or _NAME.fullmatch(words[1])):
            lines.append(f"  - {words[1]}")
            del words[:2]
    elif key == "custom_channels:":
        while len(words) > 1 and _KEY.fullmatch(words[0]) and _URL.fullmatch(words[1]):
            lines.append(f"  {words[0]} {words[1]}")
            del words[:2]
    return lines if len(lines) > 1 else None


CHECK = Unreadable()
