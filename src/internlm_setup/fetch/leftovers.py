"""Partial files of fetches that never ended, for `clean`. Finished files and records are nobody's leftovers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from internlm_setup.core.leftovers import Leftover, disk_bytes, remove
from internlm_setup.fetch.transfer.plan import STATE_FOLDER
from internlm_setup.fetch.transfer.store import Store


def partials(folders: Iterable[Path]) -> Iterator[Leftover]:
    """Yield the folders of partial files, ours and the vendors', of each model's folder that has some."""
    for path in (folder / STATE_FOLDER / kind for folder in folders for kind in ("partial", "official")):
        if path.is_dir() and not path.is_symlink():
            yield Leftover("partial", path, disk_bytes(path))


def remove_partial(leftover: Leftover) -> None:
    """Remove the partial files of one model's folder.

    Raises:
        DestinationBusy: A fetch is under way there.
        CannotWrite: The system refused.
    """
    with Store(leftover.path.parents[1]).locked():
        remove(leftover)
