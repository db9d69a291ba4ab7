"""Where past fetches went, so that `verify NAME` finds them; and where some began that may never have ended."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from internlm_setup.core.files import CannotWrite, write_if_changed

MOST_ENTRIES = 200


def begin(state: Path, folder: Path) -> None:
    """Note that bytes are about to be put into a folder, so that `clean` finds what a stopped run leaves there.

    Not being able to is no failure: the bytes matter more.
    """
    begun = [path for path in _begun(state) if path != str(folder)]
    with suppress(CannotWrite):
        _write(state / "begun.json", [*begun, str(folder)][-MOST_ENTRIES:])


def folders(state: Path) -> list[Path]:
    """Return every folder that a fetch is known to have written to, in path order."""
    return sorted({Path(path) for path in (*_begun(state), *_read(state).values())})


def _begun(state: Path) -> list[str]:
    try:
        value = json.loads((state / "begun.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [str(path) for path in value] if isinstance(value, list) else []


def _write(path: Path, value: object) -> None:
    text = json.dumps(value, indent=1)  # ASCII: a folder's name may be no valid UTF-8
    write_if_changed(path, text.encode(), mode=0o600)


def _read(state: Path) -> dict[str, str]:
    try:
        value = json.loads((state / "fetches.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(value, dict):
        return {}
    return {str(name): str(path) for name, path in value.items()}


def remember(state: Path, name: str, folder: Path) -> None:
    """Note where a model went; the newest fetch of a name wins."""
    known = _read(state)
    known.pop(name, None)
    known[name] = str(folder)
    _write(state / "fetches.json", dict(list(known.items())[-MOST_ENTRIES:]))
    if str(folder) in (begun := _begun(state)):
        _write(state / "begun.json", [path for path in begun if path != str(folder)])


def find(state: Path, name: str) -> Path | None:
    """Return the folder of the newest fetch of a name, or None."""
    path = _read(state).get(name)
    return None if path is None else Path(path)
