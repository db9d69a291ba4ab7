"""Where each piece of a YAML file stands, for `yaml`: ruamel.yaml, conda's own parser, says it in its events."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from internlm_setup.mirrors.edit import Unparseable

_MARKS = {"Mapping": re.compile(r":"), "Sequence": re.compile(r"^[ \t]*-", re.MULTILINE)}
_NULLS = {"~", "null", "Null", "NULL"}
_T = TypeVar("_T")


@dataclass(slots=True)
class Node:
    """A piece of a file.

    Attributes:
        kind: `Scalar`, `Alias`, `Sequence` or `Mapping`.
        start: Before its anchor or tag, in characters from the top.
        end: Behind its last character.
        column: Where its first key or item begins, for a mapping or list in block style.
        value: A scalar's text as read.
        style: A scalar's quote, `|` or `>`.
        anchor: The anchor it carries, or that an alias names.
        is_flow: Written in brackets.
        children: A list's items; a mapping's key, value, key, value, ….
    """

    kind: str
    start: int
    end: int
    column: int
    value: str | None
    style: str | None
    anchor: str | None
    is_flow: bool
    children: list[Node] = field(default_factory=list)

    @property
    def is_nothing(self) -> bool:
        """Whether nothing at all is written there."""
        return self.kind == "Scalar" and self.start == self.end

    @property
    def is_null(self) -> bool:
        """Whether nothing or a word for it is written there."""
        return self.is_nothing or (self.kind == "Scalar" and not self.style and self.value in _NULLS)

    def walk(self) -> Iterator[Node]:
        """Yield the node and all below it, in the order of the file."""
        yield self
        for child in self.children:
            yield from child.walk()


def load(data: bytes) -> Mapping[Any, Any]:
    """Return the mapping that conda reads from a file, with ruamel's notes about comments; empty for an empty file.

    Raises:
        Unparseable: It is not UTF-8, not YAML, or not a mapping.
    """
    from ruamel.yaml import YAML

    loaded = _parsed(data, YAML(typ="rt").load)
    if loaded is None:
        return {}
    if not isinstance(loaded, Mapping):
        raise Unparseable(1, "the file is not a mapping of keys to values")
    return loaded


def nodes(data: bytes) -> tuple[Node | None, int]:
    """Return the top node of a file, None where there is none, and where its document ends.

    Raises:
        Unparseable: As `load`.
    """
    return _parsed(data, _nodes)


def _parsed(data: bytes, parse: Callable[[str], _T]) -> _T:
    from ruamel.yaml.error import MarkedYAMLError
    from ruamel.yaml.reader import ReaderError

    try:
        return parse(data.decode())
    except UnicodeDecodeError as error:
        raise Unparseable(data.count(b"\n", 0, error.start) + 1, "it is not UTF-8") from error
    except ReaderError as error:
        raise Unparseable(data.decode().count("\n", 0, error.position) + 1, error.reason) from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Unparseable(mark.line + 1 if mark else 0, (error.problem or "").split("\n")[0]) from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:  # what ruamel falls over
        raise Unparseable(0, "ruamel.yaml cannot read it") from error


def _nodes(text: str) -> tuple[Node | None, int]:
    from ruamel.yaml import YAML

    root, end = None, len(text)
    events = iter(YAML(typ="rt").parse(text))
    for event in events:
        name = type(event).__name__
        if name == "DocumentEndEvent" and event.explicit:
            end = event.start_mark.index
        elif not name.startswith(("Stream", "Document")):
            root = _node(text, event, events)
    return root, end


def _node(text: str, event: Any, events: Iterator[Any]) -> Node:
    kind = type(event).__name__.removesuffix("Event").removesuffix("Start")
    start, end = event.start_mark.index, event.end_mark.index
    value, style = getattr(event, "value", None), getattr(event, "style", None)
    is_flow = bool(getattr(event, "flow_style", False))
    node = Node(kind, start, end, event.start_mark.column, value, style, event.anchor, is_flow)
    if kind in {"Sequence", "Mapping"}:
        _fill(node, text, events)
    elif style in {"|", ">"}:
        node.end = len(text[:end].rstrip())
    return node


def _fill(node: Node, text: str, events: Iterator[Any]) -> None:
    for event in events:
        if type(event).__name__.endswith("EndEvent"):
            node.end = event.end_mark.index if node.is_flow else node.children[-1].end
            break
        child = _node(text, event, events)
        if child.is_nothing and (node.kind == "Sequence" or len(node.children) % 2):
            # The parser says that nothing stands where the next thing begins; it stands behind the colon or dash.
            behind = node.children[-1].end if node.children else node.start
            mark = _MARKS[node.kind].search(text, behind, child.start)
            child.start = child.end = mark.end() if mark else behind
        node.children.append(child)
    if not node.is_flow:
        node.column = node.children[0].column
