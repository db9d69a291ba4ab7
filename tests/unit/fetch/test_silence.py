"""Hubs that were silent are remembered for a while."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes import FakeHub
from internlm_setup.fetch.silence import REMEMBERED_S, doubted, remember

ONE = FakeHub(endpoint="https://user:secret@one.test/base")
TWO = FakeHub(id="two", endpoint="https://two.test")
NOW_S = 1_000_000.0


def test_remembered_for_a_while(tmp_path: Path) -> None:
    """It is doubted until the time is over, by where it is asked; the address's password is nowhere."""
    remember(tmp_path, NOW_S, [ONE], [TWO])
    moved = FakeHub(endpoint="https://elsewhere.test")
    assert doubted(tmp_path, NOW_S + REMEMBERED_S, [ONE, TWO]) == {ONE.endpoint}
    assert doubted(tmp_path, NOW_S + REMEMBERED_S + 1, [ONE, TWO]) == set()
    assert doubted(tmp_path, NOW_S, [moved]) == set()
    assert "secret" not in (tmp_path / "silent.json").read_text()


def test_a_clock_that_was_set_back(tmp_path: Path) -> None:
    """What was noted in the future does not count, or it would count for ever."""
    remember(tmp_path, NOW_S, [ONE], [])
    assert doubted(tmp_path, NOW_S - 1, [ONE]) == set()


def test_heard_again(tmp_path: Path) -> None:
    """One that answers is doubted no longer; the others still are."""
    remember(tmp_path, NOW_S, [ONE, TWO], [])
    remember(tmp_path, NOW_S + 1, [], [ONE])
    assert doubted(tmp_path, NOW_S + 1, [ONE, TWO]) == {TWO.endpoint}


def test_nothing_is_written_for_nothing(tmp_path: Path) -> None:
    """Where all answered there is nothing to note."""
    remember(tmp_path, NOW_S, [], [ONE, TWO])
    assert list(tmp_path.iterdir()) == []


def test_cannot_be_written(tmp_path: Path) -> None:
    """Nothing happens: the next run waits again."""
    (tmp_path / "state").write_text("a file")
    remember(tmp_path / "state", NOW_S, [ONE], [])
    assert doubted(tmp_path / "state", NOW_S, [ONE]) == set()


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"\xff", b'{"https://one.test:443": "soon"}'])
def test_damaged(tmp_path: Path, text: bytes) -> None:
    """A damaged note is none."""
    (tmp_path / "silent.json").write_bytes(text)
    assert doubted(tmp_path, NOW_S, [ONE]) == set()
