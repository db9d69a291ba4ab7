"""Which hubs serve which bytes."""

from __future__ import annotations

from fakes import FakeHub, git_sha1, listed, snapshot_of
from internlm_setup.fetch.engines import contents
from internlm_setup.fetch.model import Hub, RemoteFile, Snapshot

A, B = listed("a.bin", b"a"), listed("b.bin", b"bb")
ONE, TWO = FakeHub(), FakeHub(id="two")


def served(*holders: tuple[Hub, Snapshot]) -> dict[str, list[str]]:
    """Return who serves each path of the first listing, and from where."""
    found = contents(holders[0][1], holders[0][1].files, holders)
    return {c.paths[0]: [f"{s.hub} {s.locate().url.rpartition('/')[2]}" for s in c.sources] for c in found}


def test_only_what_is_the_same() -> None:
    """A second hub serves what it lists with the same size and hash, wherever it lists it, and nothing else."""
    other = snapshot_of(listed("b.bin", b"other"), listed("moved/a.bin", b"a"), hub="two")
    assert served((ONE, snapshot_of(A, B)), (TWO, other)) == {
        "a.bin": ["one a.bin", "two a.bin"],
        "b.bin": ["one b.bin"],
    }


def test_gits_hash_counts_where_there_is_no_other() -> None:
    """Two hubs that publish git's hash alone may serve one content together."""
    readme = RemoteFile("README.md", 2, git_sha1=git_sha1(b"hi"))
    assert served((ONE, snapshot_of(readme)), (TWO, snapshot_of(readme, hub="two")))["README.md"][1] == "two README.md"


def test_without_hashes_nothing_is_mixed() -> None:
    """A hub that publishes no hash serves alone as the primary, and never as another."""
    bare = RemoteFile("a.bin", 1)
    assert served((ONE, snapshot_of(bare)), (TWO, snapshot_of(A, hub="two"))) == {"a.bin": ["one a.bin"]}
    also = snapshot_of(RemoteFile("a.bin", 1), hub="two")
    assert served((ONE, snapshot_of(bare)), (TWO, also)) == {"a.bin": ["one a.bin"]}
    assert served((ONE, snapshot_of(A)), (TWO, also)) == {"a.bin": ["one a.bin"]}


def test_the_last_resort_of_a_lock() -> None:
    """What no listing proves is asked of one hub that lists path and size; the lock's hash then decides."""
    (found,) = contents(
        snapshot_of(A),
        [A],
        [
            (ONE, snapshot_of(listed("a.bin", b"x"))),
            (TWO, snapshot_of(RemoteFile("a.bin", 1), hub="two")),
            (FakeHub(id="three"), snapshot_of(RemoteFile("a.bin", 1), hub="three")),
        ],
    )
    assert [s.hub for s in found.sources] == ["two"]
    assert contents(snapshot_of(A), [A], [(ONE, snapshot_of(B))])[0].sources == ()
