"""Whether two hubs hold the same bytes, file by file."""

from __future__ import annotations

import pytest

from fakes import snapshot_of
from internlm_setup.fetch.compare import Shelf, difference, same_bytes
from internlm_setup.fetch.model import RemoteFile


def file(path: str, size: int | None = 1, sha256: str | None = None, git: str | None = None) -> RemoteFile:
    """Return a listed file."""
    return RemoteFile(path, size, sha256, git)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (file("a", 1, "x"), file("a", 1, "x"), True),
        (file("a", 1, "x"), file("a", 1, "y"), False),
        (file("a", 1, "x"), file("a", 2, "x"), False),
        (file("a", None, "x"), file("a", 2, "x"), True),
        (file("a", 1, None, "g"), file("a", 1, None, "g"), True),
        (file("a", 1, None, "g"), file("a", 1, None, "h"), False),
        (file("a", 1, "x"), file("a", 1, None, "g"), None),
        (file("a", 1), file("a", 1), None),
        (file("a", 1), file("a", 2), False),
        (file("a", None), file("a", None), None),
    ],
)
def test_same_bytes(one: RemoteFile, other: RemoteFile, expected: bool | None) -> None:
    """Equal hashes of one kind are the same bytes, other sizes are other bytes, else nothing is known."""
    assert same_bytes(one, other) is expected
    assert same_bytes(other, one) is expected


def test_all_the_same() -> None:
    """Equal where they can be compared is said with both numbers; files only one hub has do not count."""
    one = [file("a", 1, "x"), file("b", 1), file("only here")]
    found = difference(one, snapshot_of(file("a", 1, "x"), file("b", 1), file("only there")))
    assert found.words.en == "the same bytes in the one file whose hash can be compared (2 shared)"
    two = [*one, file("c", 1, "x")]
    assert difference(two, snapshot_of(*two)).words.en.startswith("the same bytes in all 2 files whose hashes can be")
    assert (found.state, found.weights) == ("same", ())


def test_different() -> None:
    """Differing files are counted, weights first, and the first three named."""
    names = ["a", "b", "c", "weights.BIN", "same.bin"]
    one = [file(n, 1, "x") for n in names]
    found = difference(one, snapshot_of(*(file(n, 1, "x" if n == "same.bin" else "y") for n in names)))
    assert found.words.en == "4 files differ: weights.BIN, a, b…"
    assert (found.state, found.weights) == ("differs", ("weights.BIN",))
    assert difference([file("a", 1)], snapshot_of(file("a", 2))).words.zh == "有 1 个文件不同：a"


def test_nothing_comparable() -> None:
    """Without a hash in common nothing is called the same."""
    assert difference([file("a")], snapshot_of(file("a"))).words.en.startswith("cannot be compared")
    assert difference([file("a", 1, "x")], snapshot_of()).state == "unknown"


@pytest.mark.parametrize(
    ("wanted", "held", "expected"),
    [
        (file("a", 1, "x"), file("a", 1, "x"), True),
        (file("a", 1, "x"), file("elsewhere", 1, "x"), True),
        (file("a", 1, "x"), file("a", 2, "x"), False),
        (file("a", 1, "x"), file("a", None, "x"), False),
        (file("a", 1, "x", "g"), file("a", 1, None, "g"), True),
        (file("a", 1, None, "g"), file("b", 1, "x", "g"), True),
        (file("a", 1, "x", "g"), file("a", 1, "y", "g"), False),
        (file("a", 1), file("a", 1), False),
    ],
)
def test_found_by_bytes(wanted: RemoteFile, held: RemoteFile, expected: bool) -> None:
    """Only an equal size with an equal hash counts, sha256 above git's; another path is no obstacle."""
    assert Shelf(snapshot_of(held)).same(wanted) == (held if expected else None)


def test_the_very_entry_of_the_listing() -> None:
    """A hub has its own file, whatever it publishes of it."""
    here = file("a", None)
    assert Shelf(snapshot_of(here)).same(here) is here


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (file("a", 1), True),
        (file("a", 1, None, "g"), True),
        (file("a", None), False),
        (file("a", 2), False),
        (file("a", 1, "y"), False),
        (file("b", 1), False),
    ],
)
def test_perhaps_the_same(held: RemoteFile, expected: bool) -> None:
    """Where hashes say nothing, the same path with the same size may be the file."""
    assert Shelf(snapshot_of(held)).maybe(file("a", 1, "x")) == (held if expected else None)
