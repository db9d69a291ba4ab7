"""Data files in YAML: reading one, and saying where it is not of the shape that it should have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from internlm_setup.core.text import Text, printable


@dataclass(eq=False)
class Misshapen(Exception):
    """A file is not what it should be. `where` is a line or a field inside it, or `file`."""

    where: str
    reason: Text


def read_yaml(path: Path, *, shipped: bool) -> Any:
    """Read a YAML file whose every scalar is a string: a revision `1.0` or a day stays what it says.

    Args:
        path: The file.
        shipped: It is one of ours: libyaml's loader is ten times as fast, and would not survive absurd nesting.

    Raises:
        Misshapen: Not readable, or not YAML.
    """
    import yaml

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader) if shipped else yaml.BaseLoader
    try:
        return yaml.load(path.read_text("utf-8"), Loader=loader)  # noqa: S506
    except (yaml.YAMLError, OSError, UnicodeError, RecursionError) as cause:
        mark = getattr(cause, "problem_mark", None)
        why = getattr(cause, "problem", None) or str(cause)
        reason = Text(en=f"cannot be read: {why}", zh=f"无法读取：{why}")
        raise Misshapen(f"line {mark.line + 1}" if mark else "file", reason) from cause


def check_shape(value: Any, shape: Any) -> None:
    """Refuse a value that is not of its shape.

    Args:
        value: What `read_yaml` returned.
        shape: A pattern that a string must match whole, a list of one shape, or fields: `?` ends the name of one that
            may be left out, and `*` stands for any other name.

    Raises:
        Misshapen: At the first place that is wrong.
    """
    for where, reason in _mistakes(value, shape, ""):
        raise Misshapen(_shown(where) or "file", reason)


def _mistakes(value: Any, shape: Any, where: str) -> Iterator[tuple[str, Text]]:
    """Say where a value is not of its shape."""
    if isinstance(shape, re.Pattern):
        if not isinstance(value, str) or not shape.fullmatch(value):
            found = _shown(str(value))
            yield where, Text(en=f"`{found}` does not belong here", zh=f"此处不能是 `{found}`")
    elif not value or not isinstance(value, type(shape)):
        yield where, Text(en="a list or fields expected", zh="此处应为列表或字段")
    elif isinstance(shape, list):
        for n, each in enumerate(value, 1):
            yield from _mistakes(each, shape[0], f"{where}[{n}]")
    else:
        inner = {name.rstrip("?"): each for name, each in shape.items()}
        for name in [n for n in shape if n not in value and n[-1] not in "?*"]:
            yield f"{where}.{name}".strip("."), Text(en="missing", zh="缺少此字段")
        for name, each in value.items():
            at, expected = f"{where}.{name}".strip("."), inner.get(name, inner.get("*"))
            if expected is None:
                yield at, Text(en="there is no such field", zh="没有此字段")
            else:
                yield from _mistakes(each, expected, at)


def _shown(words: str) -> str:
    return printable(words[:200]).replace("\n", "\\n")
