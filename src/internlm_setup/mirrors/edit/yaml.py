"""YAML as a `.condarc` holds it.

A null and an empty mapping say nothing, to conda as here: `look` does not name them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from internlm_setup.mirrors.edit import TouchesMore
from internlm_setup.mirrors.edit.yaml_nodes import Node, load, nodes
from internlm_setup.mirrors.model import Edit, Key, Value

_BREAK = re.compile(r"\r\n?|\n")
_LAST_BREAK = re.compile(r"(?:\r\n?|\n)\Z")
_LINE = re.compile(r"[^\r\n]*")
_DASH = re.compile(r"[ \t]*-[ \t]+")
_PLAIN = re.compile(r"[A-Za-z](?:[\w./:@~%+=-]*[\w/])?", re.ASCII)  # no number looks like this
_NOT_PLAIN = {"true", "false", "yes", "no", "on", "off", "y", "n", "null"}  # words of YAML 1.1 or 1.2


def look(data: bytes) -> dict[Key, object]:
    """See `Syntax.look`: a list is a tuple; aliases and merges are resolved."""
    found: dict[Key, object] = {}
    _walk(load(data), (), found)
    return found


def splice(data: bytes, edit: Edit) -> bytes:
    """See `Syntax.splice`; a mapping that would get empty goes with its last key.

    Raises:
        Unparseable: As `look`.
        TouchesMore: What stands there is written in a way that cannot be changed alone.
    """
    change = _Change(data, edit.key)
    while change.pass_anchor_on(edit.value):
        change = _Change(change.data, edit.key)
    if edit.value is None:
        change.remove()
    else:
        change.set(edit.value)
    return change.data


def _walk(value: Mapping[Any, Any], way: Key, found: dict[Key, object]) -> None:
    for name, inner in value.items():
        key = (*way, name if isinstance(name, str) else repr(_comparable(name)))
        if isinstance(inner, Mapping):
            _walk(inner, key, found)
        elif inner is not None:
            found[key] = _comparable(inner)


def _comparable(value: Any) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return tuple((_comparable(name), _comparable(inner)) for name, inner in value.items())
    if isinstance(value, Sequence):
        return tuple(map(_comparable, value))
    return bool(value) if type(value).__name__ == "ScalarBoolean" else (type(value).__name__, str(value))


class _Change:
    """A file as text that is changed from its end to its top, and the way to the key that is meant."""

    def __init__(self, data: bytes, key: Key) -> None:
        self.root, end = nodes(data)
        self.text, self.rest = data.decode()[:end], data.decode()[end:]
        self.key = key
        found = _BREAK.search(self.text)
        self.line_break = found[0] if found else "\n"
        self.trail: list[tuple[Node, int]] = []  # a mapping, and where among its children the key stands
        self.node = self.root
        while self.node and self.node.kind == "Mapping" and len(self.trail) < len(key):
            names = [child.value for child in self.node.children[::2]]
            if key[len(self.trail)] not in names:
                break
            at = 2 * names.index(key[len(self.trail)])
            self.trail.append((self.node, at))
            self.node = self.node.children[at + 1]
        self.missing = key[len(self.trail) :]
        self.in_flow = any(mapping.is_flow for mapping, _ in self.trail)

    @property
    def data(self) -> bytes:
        return (self.text + self.rest).encode()

    def pass_anchor_on(self, value: Value | None) -> bool:
        """Write an anchor that will go in place of the first alias that names it; False when there is none."""
        if self.missing or self.node is None or self.root is None:
            return False
        everything = list(self.root.walk())
        kept = value if isinstance(value, tuple) else ()
        for node in self.node.walk():
            if not node.anchor or node.kind == "Alias" or node.value in kept:
                continue
            users = (n for n in everything if n.start >= self.node.end and n.anchor == node.anchor)
            user = next(users, None)
            if user and user.kind == "Alias":
                text = self.text[node.start : node.end]
                if _BREAK.search(text):
                    raise TouchesMore(self.key)
                self._put(user.start, user.end, text)
                return True
        return False

    def set(self, value: Value) -> None:
        """Change or add the key."""
        node = self.node
        if node is None or (node is self.root and node.is_nothing):
            self._append(self._lines(self.missing, value, 0))
        elif not self.missing:
            self._replace(node, value)
        elif node.kind == "Mapping":
            self._add(node, value)
        elif node.is_nothing and not self.in_flow:
            column = self.trail[-1][0].column + self._step()
            self._insert_lines(node.end, self._lines(self.missing, value, column))
        elif node.is_null:
            self._put(node.start, node.end, " " * node.is_nothing + "{" + _pair(self.missing, value) + "}")
        else:
            raise TouchesMore(self.key)

    def remove(self) -> None:
        """Take the key out, where the file has it."""
        if self.missing:
            return
        while len(self.trail) > 1 and len(self.trail[-1][0].children) == 2:
            self.trail.pop()
        mapping, at = self.trail[-1]
        self._drop(mapping, at, at + 2, follows=at + 2 < len(mapping.children))

    def _replace(self, node: Node, value: Value) -> None:
        is_block = node.kind in {"Mapping", "Sequence"} and not node.is_flow
        if (
            isinstance(value, tuple)
            and node.kind == "Sequence"
            and node.children
            and not (node.is_flow and node.anchor)
        ):
            self._relist(node, value)
        elif isinstance(value, tuple) and node.is_nothing and not self.in_flow:
            self._insert_lines(node.end, self._items(value, self.trail[-1][0].column))
        elif is_block:
            raise TouchesMore(self.key)
        else:
            self._put(node.start, node.end, " " * node.is_nothing + _inline(value, node))

    def _relist(self, node: Node, wanted: tuple[str, ...]) -> None:
        have = [item.value if item.kind == "Scalar" else None for item in node.children]
        for tag, low, high, first, last in reversed(SequenceMatcher(None, have, wanted, autojunk=False).get_opcodes()):
            if tag == "equal":
                continue
            common = min(high - low, last - first)
            for at in reversed(range(low + common, high)):
                self._drop(node, at, at + 1, follows=last < len(wanted))
            self._insert(node, low + common, wanted[first + common : last])
            for at in reversed(range(common)):
                item = node.children[low + at]
                self._put(item.start, item.end, " " * item.is_nothing + _inline(wanted[first + at], item))

    def _insert(self, node: Node, at: int, values: tuple[str, ...]) -> None:
        """Write items of a list before the one at `at`, which may be behind the last."""
        item = node.children[max(at - 1, 0)]
        start = self._line_start(item.start)
        if node.is_flow:
            texts = [f", {_inline(value)}" if at else f"{_inline(value)}, " for value in values]
            self._put(item.end if at else item.start, item.end if at else item.start, "".join(texts))
            return
        dash = _DASH.fullmatch(self.text, start, item.start)
        if values and not dash:
            raise TouchesMore(self.key)
        lines = [f"{dash[0]}{_inline(value)}" for value in values if dash]
        if at:
            self._insert_lines(item.end, *lines)
        else:
            self._put(start, start, "".join(line + self.line_break for line in lines))

    def _add(self, node: Node, value: Value) -> None:
        if node.is_flow and node.children:
            self._put(node.children[-1].end, node.children[-1].end, ", " + _pair(self.missing, value))
        elif node.is_flow:
            self._put(node.end - 1, node.end - 1, _pair(self.missing, value))
        elif node is self.root:
            self._append(self._lines(self.missing, value, node.column))
        else:
            # A comment that is indented further than the keys belongs to the value above it.
            comments = re.compile(rf"(?:(?:[ \t]*(?:\r\n?|\n))+ {{{node.column + 1},}}#[^\r\n]*)*")
            below = comments.match(self.text, self._line_end(node.end))
            self._insert_lines(below.end() if below else node.end, self._lines(self.missing, value, node.column))

    def _drop(self, node: Node, low: int, high: int, *, follows: bool) -> None:
        """Take children out: to the next one, or from the one before."""
        start, end = node.children[low].start, node.children[high - 1].end
        if node.is_flow:
            end = node.children[high].start if follows else end
            start = node.children[low - 1].end if low and not follows else start
        else:
            start, end = self._line_start(start), self._line_end(end)
            if self.text[start : node.children[low].start].strip(" \t-"):
                raise TouchesMore(self.key)
            after = _BREAK.match(self.text, end)
            before = _LAST_BREAK.search(self.text, 0, start)
            start, end = (start, after.end()) if after else (before.start() if before else start, end)
        self._put(start, end, "")

    # How the file is written.

    def _lines(self, names: Key, value: Value, column: int) -> str:
        head = " " * column + _inline(names[0]) + ":"
        if len(names) > 1:
            return head + self.line_break + self._lines(names[1:], value, column + self._step())
        if isinstance(value, tuple):
            return head + self.line_break + self._items(value, column)
        return f"{head} {_inline(value)}"

    def _items(self, values: tuple[str, ...], column: int) -> str:
        """Return a list as the first of the file is written, else as conda writes them."""
        indent, dash = 2, "- "
        for mapping, inner in self._blocks("Sequence"):
            start = self._line_start(inner.children[0].start)
            found = _DASH.fullmatch(self.text, start, inner.children[0].start)
            if found:
                dash = found[0].lstrip()
                indent = len(found[0]) - len(dash) - mapping.column
                break
        return self.line_break.join(f"{' ' * (column + indent)}{dash}{_inline(value)}" for value in values)

    def _step(self) -> int:
        """Return by how much the first mapping inside another is indented."""
        return next((inner.column - mapping.column for mapping, inner in self._blocks("Mapping")), 2)

    def _blocks(self, kind: str) -> Iterator[tuple[Node, Node]]:
        for mapping in self.root.walk() if self.root else ():
            if mapping.kind == "Mapping" and not mapping.is_flow:
                yield from ((mapping, n) for n in mapping.children[1::2] if n.kind == kind and not n.is_flow)

    # Text.

    def _append(self, lines: str) -> None:
        at = self._line_end(len(self.text.rstrip(" \t\r\n")))
        is_empty = not self.text[:at].strip("\ufeff")
        self._put(at, at, lines + self.line_break if is_empty else self.line_break + lines)

    def _insert_lines(self, position: int, *lines: str) -> None:
        end = self._line_end(position)
        self._put(end, end, "".join(self.line_break + line for line in lines))

    def _put(self, start: int, end: int, text: str) -> None:
        self.text = self.text[:start] + text + self.text[end:]

    def _line_start(self, position: int) -> int:
        start = max(self.text.rfind("\n", 0, position), self.text.rfind("\r", 0, position)) + 1
        return start + self.text.startswith("\ufeff", start)

    def _line_end(self, position: int) -> int:
        found = _LINE.match(self.text, position)
        return found.end() if found else position


def _pair(names: Key, value: Value) -> str:
    """Return a key and its value as they stand in braces."""
    inner = f"{{{_pair(names[1:], value)}}}" if names[1:] else _inline(value)
    return f"{_inline(names[0])}: {inner}"


def _inline(value: Value, like: Node | None = None) -> str:
    """Return a value on one line, in the quotes of the one it replaces."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_inline, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    style = like.style if like else None
    if style == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    if style == '"' or not _PLAIN.fullmatch(value) or value.lower() in _NOT_PLAIN:
        return json.dumps(value)
    return value
