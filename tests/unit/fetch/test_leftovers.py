"""Partial files that may go, and never while somebody works on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes import put
from internlm_setup.core.leftovers import Leftover
from internlm_setup.fetch.leftovers import partials, remove_partial
from internlm_setup.fetch.transfer.errors import DestinationBusy, FileInTheWay
from internlm_setup.fetch.transfer.store import Store


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """A model's folder with a finished file, its record, and half a file."""
    put(tmp_path, "config.json", b"{}")
    put(tmp_path, ".internlm-setup/finished.jsonl", b"{}")
    partial = Store(tmp_path).partial("ab", 1 << 20)
    partial.write(0, b"x" * 100_000)
    partial.record(0, 100_000)
    partial.close()
    return tmp_path


def test_found_and_removed(stopped: Path) -> None:
    """The partial files go; finished ones and the record of them stay."""
    (found,) = partials([stopped / "elsewhere", stopped])
    assert (found.kind, found.path) == ("partial", stopped / ".internlm-setup" / "partial")
    assert 100_000 <= found.size_bytes < 1 << 20
    remove_partial(found)
    assert list(partials([stopped])) == []
    assert (stopped / "config.json").exists()
    assert (stopped / ".internlm-setup" / "finished.jsonl").exists()


def test_not_while_a_fetch_is_under_way(stopped: Path) -> None:
    """Whoever holds the lock keeps the files."""
    (found,) = partials([stopped])
    with Store(stopped).locked(), pytest.raises(DestinationBusy):
        remove_partial(found)
    assert found.path.is_dir()


def test_a_link_is_not_ours(stopped: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A link where the partial files should be is neither shown nor followed."""
    victim = tmp_path_factory.mktemp("victim")
    (found,) = partials([stopped])
    remove_partial(found)
    found.path.symlink_to(victim)
    assert list(partials([stopped])) == []
    with pytest.raises(FileInTheWay):
        remove_partial(Leftover("partial", found.path, 0))
    assert victim.is_dir()
