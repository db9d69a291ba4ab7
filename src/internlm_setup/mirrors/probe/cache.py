"""What was measured, kept for a day: sites block those who measure too often."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from internlm_setup.core.errors import WriteError
from internlm_setup.core.files import write_atomically
from internlm_setup.core.text import Text
from internlm_setup.mirrors.probe.health import Observation
from internlm_setup.mirrors.probe.questions import DAY_S, Stamp

_VERSION = 1


class Cache:
    """Files of one folder, which may be deleted at any time; one for each family."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "mirrors"

    def load(self, family: str, addresses: Sequence[str], now_s: float) -> list[Observation] | None:
        """Return what was seen within the last day of exactly these addresses; None where that is not known."""
        try:
            kept = json.loads(self._file(family).read_bytes())
            if kept["version"] != _VERSION or not 0 <= now_s - kept["at_s"] < DAY_S:
                return None
            seen = [_observation(each) for each in kept["seen"]]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return seen if sorted(each.url for each in seen) == sorted(addresses) else None

    def save(self, family: str, seen: Sequence[Observation], now_s: float) -> None:
        """Keep what was seen; a folder that cannot be written to is no misfortune."""
        kept = {"version": _VERSION, "at_s": now_s, "seen": [asdict(each) for each in seen]}
        with suppress(WriteError):
            write_atomically(self._file(family), json.dumps(kept, ensure_ascii=False, indent=1).encode(), mode=0o600)

    def _file(self, family: str) -> Path:
        return self._folder / f"measured-{family}.json"


def _observation(raw: dict[str, Any]) -> Observation:
    trouble = raw["trouble"]
    known = {
        "stamp": Stamp(**raw["stamp"]),
        "trouble": Text(**trouble) if trouble else None,
        "channels": tuple((name, has) for name, has in raw["channels"]),
    }
    return Observation(**{**raw, **known})
