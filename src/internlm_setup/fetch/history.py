"""Where past fetches went, so that `verify NAME` finds them."""

from __future__ import annotations

import json
from pathlib import Path

from internlm_setup.core.files import write_atomically

MOST_ENTRIES = 200


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
    newest = dict(list(known.items())[-MOST_ENTRIES:])
    text = json.dumps(newest, indent=1)  # ASCII: a folder's name may be no valid UTF-8
    write_atomically(state / "fetches.json", text.encode(), mode=0o600)


def find(state: Path, name: str) -> Path | None:
    """Return the folder of the newest fetch of a name, or None."""
    path = _read(state).get(name)
    return None if path is None else Path(path)
