"""Hashes borrowed from another hub."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fakes import git_sha1, listed, sha256, snapshot_of
from internlm_setup.fetch.model import RemoteFile
from internlm_setup.fetch.transfer.manifest import Entry
from internlm_setup.fetch.witness import Witness

DATA = b"content"
ENTRY = Entry("a.bin", len(DATA), sha256(DATA), git_sha1(DATA), 1, "none", None, "openxlab")


@pytest.mark.parametrize(
    ("file", "proof"),
    [
        (listed("a.bin", DATA), "sha256"),
        (RemoteFile("a.bin", len(DATA), git_sha1=git_sha1(DATA)), "git-sha1"),
    ],
)
def test_equal_bytes_are_proved(file: RemoteFile, proof: str) -> None:
    """A file whose hash another hub publishes is proved by that hub, which is named."""
    found = Witness([snapshot_of(file, hub="two")]).testify(ENTRY)
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
    assert Witness([snapshot_of(file)]).testify(ENTRY) == ENTRY


def test_a_proof_is_not_replaced() -> None:
    """What is proved already keeps its own hub's proof."""
    proved = replace(ENTRY, proof="sha256", proof_from="one")
    assert Witness([snapshot_of(listed("a.bin", DATA), hub="two")]).testify(proved) == proved


def test_the_first_that_can() -> None:
    """A hub that lists other bytes, or none, leaves it to the next one; without any, nothing is proved."""
    others = [snapshot_of(listed("a.bin", b"another"), hub="one"), snapshot_of(hub="two")]
    assert Witness(others).testify(ENTRY) == ENTRY
    right = snapshot_of(listed("a.bin", DATA), hub="three")
    assert Witness([*others, right]).testify(ENTRY).proof_from == "three"
    assert Witness([]).testify(ENTRY) == ENTRY
