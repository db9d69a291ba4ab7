"""The common options are lifted out wherever they stand, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internlm_setup.cli.errors import WrongCommandLine
from internlm_setup.cli.options import Common, lift

COMMON = (
    ["-q"],
    ["--quiet"],
    ["-v"],
    ["--json"],
    ["--json=stream"],
    ["--lang", "zh"],
    ["--lang=en"],
)


def test_lifts_all() -> None:
    """Every spelling is understood before and after the verb."""
    common, rest = lift(["--lang=zh", "fetch", "-q", "model", "--json=stream", "--verbose"])
    assert common == Common(lang="zh", form="stream", quiet=True, verbose=True)
    assert rest == ["fetch", "model"]


def test_stops_at_the_dashes() -> None:
    """What follows a bare `--` is somebody else's."""
    common, rest = lift(["playground", "-q", "--", "fetch", "--json", "--lang", "zh"])
    assert common == Common(quiet=True)
    assert rest == ["playground", "--", "fetch", "--json", "--lang", "zh"]


@given(
    words=st.lists(st.sampled_from(["fetch", "model", "--to", "x", "--dry-run", "a=b"])),
    options=st.lists(st.sampled_from(COMMON), unique_by=tuple),
    seed=st.randoms(use_true_random=False),
)
def test_the_rest_keeps_its_order(words: list[str], options: list[list[str]], seed: object) -> None:
    """Wherever the common options are put, the other words stay as they were."""
    pieces: list[list[str]] = [[word] for word in words]
    for option in options:
        pieces.insert(seed.randint(0, len(pieces)), option)  # type: ignore[attr-defined]
    _, rest = lift([word for piece in pieces for word in piece])
    assert rest == words


@pytest.mark.parametrize("words", [["--lang", "fr"], ["--lang"], ["--lang="], ["--json=lines"]])
def test_wrong_values_are_told_later(words: list[str]) -> None:
    """A wrong value is remembered until somebody can be told in the right form."""
    common, _ = lift(words)
    with pytest.raises(WrongCommandLine):
        common.check()
    Common().check()
