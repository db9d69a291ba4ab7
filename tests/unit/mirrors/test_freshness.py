"""How far behind each site is, from what it says of itself."""

from __future__ import annotations

import pytest

from internlm_setup.core.text import Text
from internlm_setup.mirrors.probe.freshness import LIVELY_S, Lag, lags
from internlm_setup.mirrors.probe.health import Observation
from internlm_setup.mirrors.probe.questions import Stamp

NOW_S = 1_800_000_000.0
HOUR_S = 3600.0


def seen(site: str, serial: int | None = None, age_s: float | None = None, *, broken: bool = False) -> Observation:
    stamp = Stamp(serial, None if age_s is None else NOW_S - age_s)
    trouble = Text(en="broken", zh="坏") if broken else None
    return Observation(site, f"https://{site}.test", trouble, stamp=stamp)


def test_the_serial_decides() -> None:
    """The newest number is fresh whatever its date; an older one is as late as its date says."""
    found = lags([seen("new", 9, 5 * HOUR_S), seen("old", 7, 8 * HOUR_S)], NOW_S)
    assert found == {"new": Lag(0.0, behind=False), "old": Lag(3 * HOUR_S, behind=True)}


def test_an_older_serial_with_a_newer_date() -> None:
    """It was copied again without the change: behind, nobody knows by how much."""
    found = lags([seen("new", 9, 5 * HOUR_S), seen("old", 7, 1 * HOUR_S), seen("undated", 7)], NOW_S)
    assert found["old"] == found["undated"] == Lag(None, behind=True)


def test_dates_alone() -> None:
    """The newest date is the measure."""
    found = lags([seen("a", age_s=HOUR_S), seen("b", age_s=49 * HOUR_S), seen("c")], NOW_S)
    assert found == {"a": Lag(0.0, behind=False), "b": Lag(48 * HOUR_S, behind=True), "c": Lag()}


def test_a_single_site_is_compared_with_last_week() -> None:
    """Two years old is old though nobody is newer."""
    assert lags([seen("a", 5, 730 * 24 * HOUR_S)], NOW_S)["a"].seconds == pytest.approx(730 * 24 * HOUR_S - LIVELY_S)
    assert lags([seen("a", 5, 24 * HOUR_S)], NOW_S)["a"] == Lag(0.0, behind=False)


def test_a_broken_site_is_no_measure() -> None:
    """What it says of itself makes nobody late."""
    found = lags([seen("good", 7, HOUR_S), seen("broken", 9, 0.0, broken=True)], NOW_S)
    assert found["good"] == Lag(0.0, behind=False)


def test_nobody() -> None:
    """No sites, no lags."""
    assert lags([], NOW_S) == {}
