"""Plug-ins are found, never listed: one file in a folder, or an entry point of another distribution."""

from __future__ import annotations

import importlib
import pkgutil
from importlib.metadata import entry_points
from typing import Any


def modules(package: str) -> list[str]:
    """Return the full names of a package's public modules, in alphabetical order."""
    folder = importlib.import_module(package).__path__
    return sorted(f"{package}.{m.name}" for m in pkgutil.iter_modules(folder) if m.name[0] != "_")


def plugins(package: str, attribute: str, group: str | None = None) -> dict[str, Any]:
    """Return every plug-in by its `id`.

    Args:
        package: Its modules each hold one plug-in under the name `attribute`.
        attribute: For example `HUB`.
        group: An entry-point group whose entries load to such plug-ins from other distributions.

    Raises:
        ValueError: Two plug-ins claim one id.
    """
    found = [getattr(importlib.import_module(name), attribute) for name in modules(package)]
    if group is not None:
        found += [entry.load() for entry in entry_points(group=group)]
    table: dict[str, Any] = {}
    for plugin in found:
        if plugin.id in table:
            raise ValueError(f"two plug-ins in {package} are called {plugin.id!r}")
        table[plugin.id] = plugin
    return table
