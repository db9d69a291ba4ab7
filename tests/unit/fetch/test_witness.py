"""Hashes borrowed from another hub."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fakes import FakeHub, StillClock, git_sha1, listed, sha256, snapshot_of
from internlm_setup.fetch.ask import Question
from internlm_setup.fetch.errors import HubBusy, RepositoryMissing
from internlm_setup.fetch.model import RemoteFile, Snapshot
from internlm_setup.fetch.transfer.manifest import Entry
from internlm_setup.fetch.witness import Witness

DATA = b"content"
ENTRY = Entry("a.bin", len(DATA), sha256(DATA), git_sha1(DATA), 1, "none", None, "openxlab")


def summoned(*answers: Snapshot | BaseException) -> Witness:
    """Summon one hub with these answers."""
    hub = FakeHub(answers)
    return Witness.summon([Question(hub, "lab/model", "main", "")], StillClock())


@pytest.mark.parametrize(
    ("file", "proof"),
    [
        (listed("a.bin", DATA), "sha256"),
        (RemoteFile("a.bin", len(DATA), git_sha1=git_sha1(DATA)), "git-sha1"),
    ],
)
def test_equal_bytes_are_proved(file: RemoteFile, proof: str) -> None:
    """A file whose hash another hub publishes is proved by that hub, which is named."""
    found = summoned(snapshot_of(file, hub="two")).testify(ENTRY)
    assert found == replace(ENTRY, proof=proof, proof_from="two")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "file",
    [
        listed("a.bin", b"another"),
        listed("b.bin", DATA),
        RemoteFile("a.bin", len(DATA)),
        RemoteFile("a.bin", None, sha256(DATA)),
        RemoteFile("a.bin", len(DATA) + 1, sha256(DATA)),
        RemoteFile("a.bin", len(DATA), git_sha1="0" * 40),
    ],
)
def test_anything_else_proves_nothing(file: RemoteFile) -> None:
    """Other bytes, another path, another or no size, or no hash: the file stays unverified, and nobody is blamed."""
    assert summoned(snapshot_of(file)).testify(ENTRY) == ENTRY


def test_a_proof_is_not_replaced() -> None:
    """What is proved already keeps its own hub's proof."""
    proved = replace(ENTRY, proof="sha256", proof_from="one")
    assert summoned(snapshot_of(listed("a.bin", DATA), hub="two")).testify(proved) == proved


@pytest.mark.parametrize("error", [RepositoryMissing("Hub", "lab/model", ""), HubBusy("Hub", "host", 503)])
def test_no_witness_is_no_failure(error: BaseException) -> None:
    """A hub that cannot testify leaves everything unproved and the fetch as it is."""
    assert summoned(error).testify(ENTRY) == ENTRY


def test_hostile_witness() -> None:
    """A hub whose listing is refused does not testify."""
    assert summoned(snapshot_of(listed("../a.bin", DATA), listed("a.bin", DATA))).testify(ENTRY) == ENTRY


def test_nobody_to_ask() -> None:
    """Without another hub nothing is asked."""
    assert Witness.summon([], StillClock()).testify(ENTRY) == ENTRY
