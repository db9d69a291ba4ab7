"""Whether two hubs hold the same bytes, and one line for each hub."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes import put, snapshot_of
from internlm_setup.fetch.compare import Standing, compare, difference, same_bytes
from internlm_setup.fetch.model import RemoteFile
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.world import World


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
    one = snapshot_of(file("a", 1, "x"), file("b", 1), file("only here"))
    other = snapshot_of(file("a", 1, "x"), file("b", 1), file("only there"))
    assert difference(one, other).en == "the same bytes in all 1 files whose hashes can be compared (2 shared)"


def test_different() -> None:
    """Differing files are counted, and the first three named."""
    names = ["a", "b", "c", "d", "same"]
    one = snapshot_of(*(file(n, 1, "x") for n in names))
    other = snapshot_of(*(file(n, 1, "x" if n == "same" else "y") for n in names))
    assert difference(one, other).en == "4 files differ: a, b, c…"
    assert difference(snapshot_of(file("a", 1)), snapshot_of(file("a", 2))).zh == "有 1 个文件不同：a"


def test_nothing_comparable() -> None:
    """Without a hash in common nothing is called the same."""
    assert difference(snapshot_of(file("a")), snapshot_of(file("a"))).en.startswith("cannot be compared")
    assert difference(snapshot_of(file("a", 1, "x")), snapshot_of()).en.startswith("cannot be compared")


def lines(world: World, model: str, *, ask_hubs: bool = True) -> dict[str, tuple[int | None, int | None, str]]:
    """Return files, size and verdict by hub."""
    found = compare(world.catalog.find(model), world, events.ignore, ask_hubs=ask_hubs)
    return {s.hub: (s.files, s.size_bytes, s.verdict.en) for s in found}


def test_standing_of_every_hub(world: World, tmp_path: Path) -> None:
    """The first hub that answers is what the others are compared with; OpenXLab has no hashes and is not asked."""
    put(tmp_path, "alpha/lab/chat/a", b"same")
    put(tmp_path, "alpha/lab/chat/b", b"same")
    put(tmp_path, "beta/Lab_CN/chat/a", b"same")
    assert lines(world, "chat") == {
        "alpha": (2, 8, "the one others are compared with"),
        "beta": (1, 4, "the same bytes in all 1 files whose hashes can be compared (1 shared)"),
        "openxlab": (None, None, "not asked"),
    }


def test_a_hub_that_fails_is_a_line(world: World, tmp_path: Path) -> None:
    """A hub that has nothing to say is told in its line; the next one is compared with."""
    put(tmp_path, "beta/Lab_CN/chat/a", b"same")
    found = lines(world, "chat")
    assert found["alpha"][0] is None
    assert "has no model repository `lab/chat`" in found["alpha"][2]
    assert found["beta"] == (1, 4, "the one others are compared with")


def test_without_asking(world: World) -> None:
    """Unasked, each hub is a line with its repository and its note."""
    first, second, third = compare(world.catalog.find("chat"), world, events.ignore, ask_hubs=False)
    assert (first.hub, first.repo, first.files, first.note) == ("alpha", "lab/chat", None, None)
    assert second.note is not None
    assert second.note.zh == "说明"
    assert third.note is not None
    assert "no longer maintained" in third.note.en


def test_hub_that_is_not_installed(world: World) -> None:
    """A hub that only the catalogue knows is a line too, unasked."""
    (found,) = compare(world.catalog.find("lost"), world, events.ignore, ask_hubs=False)
    assert isinstance(found, Standing)
    assert (found.hub, found.note) == ("nowhere", None)
