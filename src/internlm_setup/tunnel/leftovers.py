"""What tunnels leave on the disk: the logs of those that were in the background and are held no more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from internlm_setup.core.leftovers import Leftover, disk_bytes
from internlm_setup.tunnel import records


def logs(state: Path) -> Iterator[Leftover]:
    """Yield the logs that no tunnel writes to."""
    found = sorted(records.folder(state).glob("*.log"))
    written = {name_of_log(status.ports) for _, status in records.held(state)} if found else set()
    for path in found:
        if path.name not in written:
            yield Leftover("log", path, disk_bytes(path))


def name_of_log(ports: tuple[int, ...]) -> str:
    """Return the name of the log of a tunnel that holds these ports here."""
    return f"{ports[0] if ports else 'remote'}.log"
