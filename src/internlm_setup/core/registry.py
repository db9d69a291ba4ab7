"""Plug-ins are found, never listed: one file in a folder, or an entry point of another distribution.

A file is called as its plug-in, with `_` for `-`; so one that is asked for is imported without its siblings.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any


def modules(package: str) -> list[str]:
    """Return the full names of a package's public modules, in alphabetical order."""
    folder = importlib.import_module(package).__path__
    return sorted(f"{package}.{m.name}" for m in pkgutil.iter_modules(folder) if m.name[0] != "_")


def module(package: str, plugin_id: str) -> str | None:
    """Return the full name of the package's module for an id, or None; it is not imported."""
    name = f"{package}.{plugin_id.replace('-', '_')}"
    return name if name in modules(package) else None


def plugin(package: str, attribute: str, plugin_id: str, group: str | None = None) -> Any:
    """Return the plug-in of an id, or None; the other arguments are those of `plugins`."""
    if name := module(package, plugin_id):
        return getattr(importlib.import_module(name), attribute)
    return plugins(package, attribute, group).get(plugin_id)


def plugins(package: str, attribute: str, group: str | None = None) -> dict[str, Any]:
    """Return every plug-in by its `id`.

    Args:
        package: Its modules each hold one plug-in under the name `attribute`.
        attribute: For example `HUB`.
        group: An entry-point group whose entries load to such plug-ins from other distributions.

    Raises:
        ValueError: Two plug-ins claim one id, or a file is not called as its plug-in.
    """
    found = []
    for name in modules(package):
        found.append(getattr(importlib.import_module(name), attribute))
        if module(package, found[-1].id) != name:
            raise ValueError(f"the plug-in in {name} is called {found[-1].id!r}")
    if group is not None:
        from importlib.metadata import entry_points  # 10 ms, and as much for reading what is installed

        found += [entry.load() for entry in entry_points(group=group)]
    table: dict[str, Any] = {}
    for each in found:
        if each.id in table:
            raise ValueError(f"two plug-ins in {package} are called {each.id!r}")
        table[each.id] = each
    return table
