"""How conda puts together what its files and variables say: lists and maps are merged, and a file can forbid that.

Source:
    conda 24.7.1, `common/configuration.py` (`merge` of each kind of parameter, `#!final`, `#!top`, `#!bottom`);
    read 2026-11, and compared with the program in the tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from internlm_setup.mirrors.edit.yaml_nodes import load
from internlm_setup.mirrors.model import Layer, Machine

LISTS = ("channels", "default_channels")
MAPS = ("custom_channels", "custom_multichannels")
_OTHER_NAMES = {"channel": "channels"}


@dataclass(frozen=True, slots=True)
class Source:
    """One file, or all variables.

    Attributes:
        layer: Where; its key is filled in by `at`.
        says: Each setting's value: a string, a list, or a map.
        flags: `final`, `top` or `bottom`, by the way to the key or item that a comment marks so.
    """

    layer: Layer
    says: Mapping[str, Any]
    flags: Mapping[tuple[str, ...], str] = field(default_factory=dict)

    def at(self, *key: str) -> Layer:
        """Return the layer of one key."""
        if self.layer.kind == "variable":
            return Layer("variable", f"CONDA_{key[0].upper()}")
        return Layer("file", self.layer.where, key, self.layer.scope)


def of_file(layer: Layer, data: bytes) -> Source:
    """Read one file.

    Raises:
        Unparseable: It cannot be read; conda then leaves it out, or stops.
    """
    loaded = load(data)
    flags: dict[tuple[str, ...], str] = {}
    _mark(loaded, (), flags)
    for name in LISTS + MAPS:
        _mark(loaded.get(name), (name,), flags)
    return Source(layer, known(loaded), flags)


def of_variables(machine: Machine) -> Source:
    """Read the environment; a map cannot be said there."""
    names = (*LISTS, *_OTHER_NAMES, "channel_alias")
    said = {name: machine.env.get(f"CONDA_{name.upper()}") for name in names}
    values: dict[str, Any] = {n: v if n == "channel_alias" else _words(v) for n, v in said.items() if v is not None}
    return Source(Layer("variable", "CONDA_CHANNELS"), known(values))


def known(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides about addresses among the settings of one file, lists as lists of strings."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        setting = _OTHER_NAMES.get(name, name)
        if setting in LISTS and isinstance(value, list):
            found[setting] = [str(item) for item in value]
        elif setting == "channel_alias" and isinstance(value, str):
            found[setting] = value
        elif setting in MAPS and isinstance(value, Mapping):
            found[setting] = {
                str(k): list(map(str, v)) if isinstance(v, list) else str(v) for k, v in value.items() if v
            }
    return found


def merged_list(sources: Sequence[Source], *key: str) -> list[tuple[str, Layer]] | None:
    """Return the items of a list in force, strongest first, and who said each first; None where there is no list."""
    said = _until_final([source for source in sources if isinstance(_get(source, key), list)], key[0])
    if not said:
        return None
    rows: list[tuple[str, str | None, Layer]] = []
    for source in reversed(said):
        rows += [(item, source.flags.get((*key, item)), source.at(*key)) for item in _get(source, key)]
    tops = [row for source in said for row in rows if row[1] == "top" and row[2] == source.at(*key)]
    bottoms = {item: layer for item, flag, layer in rows if flag == "bottom"}
    order: dict[str, Layer] = {}
    for item, _, layer in (*tops, *rows):
        order.setdefault(item, layer)
    return [(item, layer) for item, layer in order.items() if item not in bottoms] + list(bottoms.items())


def merged_value(sources: Sequence[Source], *key: str) -> list[tuple[str, Layer]]:
    """Return every string that is said for a key, the one in force first and then by strength."""
    said = _until_final([source for source in sources if isinstance(_get(source, key), str)], key[0])
    firm = [source for source in said if source.flags.get(key) == "final"]
    rest = [source for source in reversed(said) if source not in firm[:1]]
    return [(_get(source, key), source.at(*key)) for source in (*firm[:1], *rest)]


def names(sources: Sequence[Source], setting: str) -> list[str]:
    """Return the keys that a map has anywhere."""
    return list(dict.fromkeys(name for source in sources for name in source.says.get(setting) or {}))


def _until_final(said: list[Source], setting: str) -> list[Source]:
    firm = [at for at, source in enumerate(said) if source.flags.get((setting,)) == "final"]
    return said[: firm[0] + 1] if firm else said


def _get(source: Source, key: tuple[str, ...]) -> Any:
    value: Any = source.says
    for name in key:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _words(value: str) -> list[str]:
    return [word.strip() for word in value.split(",") if word.strip()]


def _mark(node: Any, way: tuple[str, ...], flags: dict[tuple[str, ...], str]) -> None:
    """Note the marks in the comments behind the keys or items of one node."""
    comments = node.ca.items if hasattr(node, "ca") else {}
    for at, tokens in comments.items():
        name = str(node[at] if isinstance(node, list) else at)
        behind = tokens[:2] if isinstance(node, list) else tokens[2:3]  # where conda looks for them
        flat = [t for token in behind if token for t in (token if isinstance(token, list) else [token])]
        word = flat[0].value.strip().strip("!#") if flat else ""
        if word in {"final", "top", "bottom"}:
            key = (*way, name)
            flags[key] = word
