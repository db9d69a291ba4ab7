"""Where past fetches went, so that `verify NAME` finds them; and where some began that may never have ended."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from internlm_setup.core.files import CannotWrite, write_if_changed
from internlm_setup.fetch.transfer.errors import BadManifest
from internlm_setup.fetch.transfer.manifest import read_manifest
from internlm_setup.fetch.transfer.plan import STATE_FOLDER

MOST_ENTRIES = 200


def begin(state: Path, folder: Path, hub: str) -> None:
    """Note that bytes of a hub's version are about to be put into a folder.

    `clean` finds there what a stopped run leaves, and the next run goes on with the same hub's version. Not being able
    to is no failure: the bytes matter more.
    """
    begun = _read(state / "begun.json")
    begun.pop(str(folder), None)
    begun[str(folder)] = hub
    with suppress(CannotWrite):
        _write(state / "begun.json", begun)


def version_of(state: Path, folder: Path) -> str | None:
    """Return the hub whose version a folder has, whole or begun; None where that is not known."""
    begun = _read(state / "begun.json").get(str(folder))
    if begun:
        return begun
    try:
        made = read_manifest(folder / STATE_FOLDER)
    except BadManifest:
        return None
    return None if made is None else made.hub


def folders(state: Path) -> list[Path]:
    """Return every folder that a fetch is known to have written to, in path order."""
    return sorted({Path(path) for path in (*_read(state / "begun.json"), *_read(state / "fetches.json").values())})


def _write(path: Path, value: dict[str, str]) -> None:
    text = json.dumps(dict(list(value.items())[-MOST_ENTRIES:]), indent=1)  # ASCII: a folder's name may be no UTF-8
    write_if_changed(path, text.encode(), mode=0o600)


def _read(path: Path) -> dict[str, str]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(value, dict):
        return {}
    return {str(name): str(told) for name, told in value.items()}


def remember(state: Path, name: str, folder: Path) -> None:
    """Note where a model went; the newest fetch of a name wins."""
    known = _read(state / "fetches.json")
    known.pop(name, None)
    known[name] = str(folder)
    _write(state / "fetches.json", known)
    begun = _read(state / "begun.json")
    if begun.pop(str(folder), None) is not None:
        _write(state / "begun.json", begun)


def find(state: Path, name: str) -> Path | None:
    """Return the folder of the newest fetch of a name, or None."""
    path = _read(state / "fetches.json").get(name)
    return None if path is None else Path(path)
