"""Hashes borrowed from another hub, for files whose own hub publishes none (OpenXLab).

Equal bytes are verified by the other hub's hash. Different ones prove nothing, since hubs may hold different versions
under one name: such files stay unverified and are never called anything else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from internlm_setup.core.clock import Clock
from internlm_setup.core.errors import SetupError
from internlm_setup.fetch.ask import Question, ask_first
from internlm_setup.fetch.model import RemoteFile
from internlm_setup.fetch.transfer.events import ignore
from internlm_setup.fetch.transfer.manifest import Entry


@dataclass(frozen=True, slots=True)
class Witness:
    """What another hub publishes about the same model, by path."""

    hub: str
    files: Mapping[str, RemoteFile]

    @classmethod
    def summon(cls, questions: Sequence[Question], clock: Clock) -> Witness:
        """Ask the other hubs; one that cannot testify is no witness, and no failure."""
        if not questions:
            return cls("", {})
        try:
            _, snapshot = ask_first(questions, ignore, clock)
        except SetupError:
            return cls("", {})
        return cls(snapshot.hub, {f.path: f for f in snapshot.files})

    def testify(self, entry: Entry) -> Entry:
        """Return the entry with the proof this witness can give, if any."""
        file = self.files.get(entry.path)
        if entry.proof != "none" or file is None or file.size_bytes != entry.size_bytes:
            return entry
        if file.sha256 is not None and file.sha256 == entry.sha256:
            return replace(entry, proof="sha256", proof_from=self.hub)
        if file.git_sha1 is not None and file.git_sha1 == entry.git_sha1:
            return replace(entry, proof="git-sha1", proof_from=self.hub)
        return entry
