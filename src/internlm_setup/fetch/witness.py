"""Hashes borrowed from another hub, for files whose own hub publishes none (OpenXLab).

Equal bytes are verified by the other hub's hash. Different ones prove nothing, since hubs may hold different versions
under one name: such files stay unverified and are never called anything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from internlm_setup.fetch.model import Snapshot
from internlm_setup.fetch.transfer.manifest import Entry


@dataclass(frozen=True, slots=True)
class Witness:
    """What other hubs list of the same model, best first."""

    snapshots: Sequence[Snapshot]

    def testify(self, entry: Entry) -> Entry:
        """Return the entry with the proof that any of them can give."""
        for snapshot in self.snapshots if entry.proof == "none" else ():
            file = next((f for f in snapshot.files if f.path == entry.path), None)
            if file is None or file.size_bytes != entry.size_bytes:
                continue
            if file.sha256 is not None and file.sha256 == entry.sha256:
                return replace(entry, proof="sha256", proof_from=snapshot.hub)
            if file.git_sha1 is not None and file.git_sha1 == entry.git_sha1:
                return replace(entry, proof="git-sha1", proof_from=snapshot.hub)
        return entry
