"""Channels that stand beside `custom_channels` and not in it, as in the tutorial: conda ignores them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from internlm_setup.core.text import Text
from internlm_setup.mirrors.checks import BY_HAND, FIX, File, Finding, Sight, quoted
from internlm_setup.mirrors.edit import Unparseable
from internlm_setup.mirrors.model import Change, Edit, Key

_SETTINGS = {"channel", "channels", "channel_alias", "signing_metadata_url_base"}  # conda's own that are addresses
_HEAD = re.compile(r"\ufeff?([ ]*)custom_channels:[ \t]*(#.*)?")
_LINE = re.compile(r"([ ]*)([\w.-]+):[ \t]+[\"']?https?://.*")
_STRAYS = Text(
    en="`{path}`: {names} not indented below `custom_channels`, so conda ignores them and asks its own servers",
    zh="`{path}`：{names} 没有缩进到 `custom_channels` 之下，因此 conda 会忽略它们，仍访问自己的服务器",
)


class Strays:
    """See the module."""

    id = "conda-strays"
    title = Text(en="channels outside of `custom_channels`", zh="写在 `custom_channels` 之外的频道")

    def look(self, sight: Sight) -> Iterator[Finding]:
        """See `Check.look`."""
        for file in sight.files("conda"):
            indented, below = with_indent(file.data)
            names = [name for name in file.keys if len(name) == 1 and _is_stray(name[0], file, below, sight)]
            if names:
                change = self._change(file, names, indented, sight)
                message = _STRAYS.fill(path=file.path, names=quoted(name for (name,) in names))
                yield Finding("wrong", message, FIX if change else BY_HAND.fill(path=file.path), change)

    def _change(self, file: File, names: Sequence[Key], indented: bytes, sight: Sight) -> Change | None:
        """Indent the lines where that alone does it, else move the keys one by one."""
        inside: dict[Key, object] = {("custom_channels", *name): file.keys[name] for name in names}
        rest = {key: value for key, value in file.keys.items() if key not in names}
        if not any(key[0] == "custom_channels" for key in rest) and _says(file, indented, {**rest, **inside}):
            return sight.rewritten(file, indented)
        moved = [Edit(key, str(value)) for key, value in inside.items() if key not in rest]
        return sight.edited(file, [*moved, *(Edit(name, None) for name in names)])


def with_indent(data: bytes) -> tuple[bytes, set[str]]:
    """Return a file with the channels below an empty `custom_channels` indented, and their names.

    They end at the first line that is no channel; comments and empty lines between them stay as they are.
    """
    lines = data.decode("utf-8", "surrogateescape").splitlines(keepends=True)
    names: set[str] = set()
    indent: str | None = None
    for at, line in enumerate(lines):
        bare = line.strip("\r\n")
        head, channel = _HEAD.fullmatch(bare), _LINE.fullmatch(bare)
        if head:
            indent = head[1]
        elif indent is None or not bare.strip() or bare.lstrip().startswith("#"):
            continue
        elif channel and channel[1] == indent and channel[2] not in _SETTINGS:
            lines[at] = f"  {line}"
            names.add(channel[2])
        else:
            indent = None
    return "".join(lines).encode("utf-8", "surrogateescape"), names


def _is_stray(name: str, file: File, below: set[str], sight: Sight) -> bool:
    is_ours = sight.is_mirror(file.keys[name,]) or name in below
    return name not in _SETTINGS and is_ours and isinstance(file.keys[name,], str)


def _says(file: File, data: bytes, wanted: Mapping[Key, object]) -> bool:
    try:
        return file.target.syntax(file.path).look(data) == wanted
    except Unparseable:
        return False


CHECK = Strays()
