"""Taking a change back out of a file that somebody wrote to since: only the keys that are still as we set them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from internlm_setup.core.text import Text, without_password
from internlm_setup.mirrors.edit import TouchesMore, Unparseable, changed
from internlm_setup.mirrors.errors import FileUnparseable
from internlm_setup.mirrors.model import Edit, Key, Syntax

How = Literal["exact", "removed", "keys", "gone"]
_SAID: Mapping[How, Text] = {
    "exact": Text(en="restored byte for byte", zh="已逐字节恢复"),
    "removed": Text(en="removed, as it was not there before", zh="已删除，因为此前并不存在"),
    "keys": Text(en="edited since, so key by key", zh="此后被编辑过，因此逐键恢复"),
    "gone": Text(en="not there any more, nothing to do", zh="已不存在，无需处理"),
}
_NEWER = Text(en="changed again by {newer}, so key by key", zh="之后又被更改 {newer} 改动，因此逐键恢复")
_PUT_BACK = Text(en="; put back: {keys}", zh="；已恢复：{keys}")
_LEFT = Text(en="; left as they are: {keys}", zh="；保持原样：{keys}")
_NOTHING = Text(en="; nothing of it was left", zh="；其内容已不存在")


@dataclass(frozen=True, slots=True)
class Undone:
    """What an undo made of one file.

    Attributes:
        path: The file.
        how: `exact` bytes again, `removed` because it was not there before, `keys` one by one because somebody wrote to
            it since, or `gone`: there is no file any more.
        put_back: `keys` only: the keys that have their old value again, or are out again.
        left: `keys` only: those that somebody else has set, or that cannot be changed alone.
        newer: `keys` only: the id of a later change of ours that is still in force there.
    """

    path: Path
    how: How
    put_back: tuple[Key, ...] = ()
    left: tuple[Key, ...] = ()
    newer: str | None = None

    @property
    def words(self) -> Text:
        """What a person is told about it, passwords out."""
        parts = [_NEWER.fill(newer=self.newer) if self.newer else _SAID[self.how]]
        parts += [words.fill(keys=_named(keys)) for words, keys in self._told if keys]
        if self.how == "keys" and len(parts) == 1:
            parts.append(_NOTHING)
        return Text(en="".join(part.en for part in parts), zh="".join(part.zh for part in parts))

    @property
    def _told(self) -> tuple[tuple[Text, tuple[Key, ...]], ...]:
        return (_PUT_BACK, self.put_back), (_LEFT, self.left)


@dataclass(frozen=True, slots=True)
class Reverted:
    """A file's bytes without our change, and which of its keys that was possible for."""

    data: bytes
    put_back: tuple[Key, ...]
    left: tuple[Key, ...]


def key_by_key(
    path: Path, syntax: Syntax, keys: Sequence[Key], was: bytes | None, ours: bytes | None, now: bytes
) -> Reverted:
    """Give every key that is still as we set it the value that it had before; the last one set goes first.

    Args:
        path: For the message.
        syntax: The file's format.
        keys: What was set.
        was: The file before that; None for none.
        ours: The file after that.
        now: The file as it is.

    Raises:
        FileUnparseable: What is there now cannot be parsed.
    """
    try:
        syntax.look(now)
    except Unparseable as error:
        raise FileUnparseable(str(path), error.line, error.reason) from error
    try:
        old, new = syntax.look(was or b""), syntax.look(ours or b"")
    except Unparseable:  # a repair of a file that was broken: it had no keys to go back to
        return Reverted(now, (), tuple(keys))
    put_back: list[Key] = []
    left: list[Key] = []
    for key in reversed(keys):
        value, here = old.get(key), syntax.look(now).get(key)
        if here == value:
            continue
        without = _with(syntax, now, key, value) if here == new.get(key) else None
        if without is None:
            left.append(key)
        else:
            put_back.append(key)
            now = without
    return Reverted(now, tuple(put_back), tuple(left))


def _with(syntax: Syntax, data: bytes, key: Key, value: object) -> bytes | None:
    """Return a file with another value of one key; None where an editor cannot write it."""
    if value is not None and not isinstance(value, str | bool | tuple):
        return None
    try:
        return changed(syntax, data, [Edit(key, value)])
    except (TouchesMore, Unparseable):
        return None


def _named(keys: Sequence[Key]) -> str:
    return ", ".join(f"`{without_password('.'.join(key))}`" for key in keys)
