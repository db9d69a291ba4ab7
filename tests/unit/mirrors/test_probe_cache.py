"""What was measured is kept for a day, and never trusted further than that."""

from __future__ import annotations

from pathlib import Path

import pytest

from internlm_setup.core.text import Text
from internlm_setup.mirrors.probe.cache import Cache
from internlm_setup.mirrors.probe.health import Observation
from internlm_setup.mirrors.probe.questions import Stamp

NOW_S = 1_800_000_000.0
SEEN = [
    Observation(
        "a", "https://a.test", None, True, "b.test", 0.5, Stamp(7, 1.5), "https://a.test/x", (("r", None),), 9.0
    ),
    Observation("b", "https://b.test", Text(en="gone", zh="没有了")),
]
ADDRESSES = ["https://b.test", "https://a.test"]


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    kept = Cache(tmp_path)
    kept.save("pypi", SEEN, NOW_S)
    return kept


def test_what_is_kept_comes_back(cache: Cache) -> None:
    """Every field of it, for a day."""
    assert cache.load("pypi", ADDRESSES, NOW_S + 86399) == SEEN
    assert cache.load("pypi", ADDRESSES, NOW_S + 86401) is None
    assert cache.load("pypi", ADDRESSES, NOW_S - 1) is None


def test_it_is_for_these_sites_and_this_family(cache: Cache) -> None:
    """Another address or another family was not measured."""
    assert cache.load("pypi", ADDRESSES[:1], NOW_S) is None
    assert cache.load("pypi", ["https://b.test", "https://c.test"], NOW_S) is None
    assert cache.load("conda", ADDRESSES, NOW_S) is None


@pytest.mark.parametrize(
    "junk", [b"", b"{", b"[]", b"{}", b'{"version": 2}', b'{"version": 1, "at_s": 1800000000, "seen": [3]}']
)
def test_what_is_no_cache_is_not_there(cache: Cache, tmp_path: Path, junk: bytes) -> None:
    """A torn or a foreign file."""
    (tmp_path / "mirrors" / "measured-pypi.json").write_bytes(junk)
    assert cache.load("pypi", ADDRESSES, NOW_S) is None


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """It is no misfortune."""
    (tmp_path / "mirrors").write_text("in the way")
    cache = Cache(tmp_path)
    cache.save("pypi", SEEN, NOW_S)
    assert cache.load("pypi", ADDRESSES, NOW_S) is None
