"""Which hubs were silent a moment ago, so that no run waits twice for one that does not answer."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from internlm_setup.core.files import CannotWrite, write_if_changed
from internlm_setup.core.http import origin_of
from internlm_setup.fetch.model import Hub

REMEMBERED_S = 600.0


def silent(state: Path, now_s: float) -> dict[str, float]:
    """Return the origins that kept a run waiting in the last ten minutes, with the Unix time of it."""
    try:
        value = json.loads((state / "silent.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(value, dict):
        return {}
    known = {str(origin): at for origin, at in value.items() if isinstance(at, int | float)}
    return {origin: at for origin, at in known.items() if 0 <= now_s - at <= REMEMBERED_S}


def remember(state: Path, now_s: float, silent_hubs: Iterable[Hub], heard_hubs: Iterable[Hub]) -> None:
    """Note who was silent and who was not. Not being able to is no failure: the next run waits again."""
    before = silent(state, now_s)
    now = {**before, **{origin_of(hub.endpoint): now_s for hub in silent_hubs}}
    for hub in heard_hubs:
        now.pop(origin_of(hub.endpoint), None)
    if now != before:
        with suppress(CannotWrite):
            write_if_changed(state / "silent.json", json.dumps(now, indent=1).encode(), mode=0o600)


def doubted(state: Path, now_s: float, hubs: Iterable[Hub]) -> set[str]:
    """Return the endpoints of the hubs that are not worth waiting for now."""
    known = silent(state, now_s)
    return {hub.endpoint for hub in hubs if origin_of(hub.endpoint) in known}
