"""`verify`: every file of a fetched folder against its recorded hash."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from internlm_setup.core.parallel import each
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.transfer.errors import NoManifest
from internlm_setup.fetch.transfer.manifest import Entry, Manifest, read_manifest
from internlm_setup.fetch.transfer.plan import STATE_FOLDER
from internlm_setup.fetch.transfer.verify import hash_file

HASHERS = 2


@dataclass(frozen=True, slots=True)
class Report:
    """What was found. Paths are relative to `folder`, in path order.

    Attributes:
        folder: The checked folder, absolute.
        manifest: Its record.
        bad: Files whose bytes are not the recorded ones.
        missing: Files that are not there.
        unverified: Files that are as they came, but that no published hash ever proved.
    """

    folder: Path
    manifest: Manifest
    bad: tuple[str, ...]
    missing: tuple[str, ...]
    unverified: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether nothing differs from the record."""
        return not self.bad and not self.missing


def verify(folder: Path, tell: events.Listener = events.ignore) -> Report:
    """Hash every recorded file.

    Args:
        folder: A folder that fetch made.
        tell: Told the plan and the bytes as they are read, by one thread at a time.

    Raises:
        NoManifest: Nothing to check against.
        BadManifest: The record cannot be read.
    """
    manifest = read_manifest(folder / STATE_FOLDER)
    if manifest is None:
        raise NoManifest(str(folder))
    missing = tuple(e.path for e in manifest.files if not (folder / e.path).is_file())
    here = [e for e in manifest.files if e.path not in set(missing)]

    say, cancelled = events.one_at_a_time(tell), threading.Event()

    def is_bad(entry: Entry) -> bool:
        if (folder / entry.path).stat().st_size != entry.size_bytes:
            return True
        say(events.FileStarted(entry.path, entry.size_bytes, 0))
        digest = hash_file(
            folder / entry.path,
            git=False,
            cancelled=cancelled,
            read=lambda n: say(events.Advanced(entry.path, n)),
        )
        same = digest.sha256 == entry.sha256
        say(events.FileFinished(entry.path, entry.size_bytes, entry.proof if same else "none"))
        return not same

    size_bytes = sum(e.size_bytes for e in here)
    say(events.Planned(manifest.repo, manifest.hub, len(here), size_bytes, 0))

    try:
        verdicts = each(is_bad, here, HASHERS)
    finally:
        cancelled.set()  # Ctrl-C must not leave anybody reading a large file
    bad = tuple(e.path for e, differs in zip(here, verdicts, strict=True) if differs)
    unverified = tuple(e.path for e in manifest.files if e.proof == "none")
    return Report(folder, manifest, bad, missing, unverified)
