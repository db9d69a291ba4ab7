"""Which site is chosen, which are timed, and what is said of the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from internlm_setup.core.text import Text
from internlm_setup.mirrors.probe.choice import Report, finalists, judge, said_lag, said_rate
from internlm_setup.mirrors.probe.freshness import Lag
from internlm_setup.mirrors.probe.health import Observation

DAY_S = 86400.0
MIB = float(1 << 20)
FRESH = Lag(0.0, behind=False)


def site(name: str, first_byte_s: float = 0.1, rate: float | None = None) -> Observation:
    url = f"https://{name}.test/simple"
    return Observation(name, url, None, True, first_byte_s=first_byte_s, sample=f"{url}/x.whl", rate_bytes_per_s=rate)


def broken(name: str) -> Observation:
    return replace(site(name), trouble=Text(en="it does not have this (404)", zh="它没有此内容（404）"), sample="")


def judged(*seen: Observation, current: str | None = None, **lags: Lag) -> Report:
    return judge("pypi", seen, {each.site: lags.get(each.site, FRESH) for each in seen}, current)


def verdicts(report: Report) -> dict[str, str]:
    return {row.seen.site: row.verdict for row in report.rows}


def test_the_fastest_wins() -> None:
    """Of those that were timed; others follow, and those that cannot be used come last."""
    report = judged(broken("gone"), site("near", 0.01), site("slow", rate=1 * MIB), site("fast", rate=9 * MIB))
    assert report.chosen == "fast"
    assert verdicts(report) == {"fast": "best", "slow": "good", "near": "unmeasured", "gone": "unusable"}
    assert list(verdicts(report)) == ["fast", "slow", "near", "gone"]
    why = [row.why.en for row in report.rows]
    assert why[0] == "the best of the 2 that were measured"
    assert why[1] == "takes 8.9 times as long for an installation as large as PyTorch's"
    assert why[2] == "not measured: 2 others answer sooner"
    assert why[3] == "it does not have this (404)"


def test_as_good_as_the_best() -> None:
    """Nobody is told of 1.0 times."""
    report = judged(site("a", rate=9 * MIB), site("b", rate=8.9 * MIB))
    assert report.rows[1].why.en == "about as good as the best"


def test_latency_counts() -> None:
    """Many small files make a far site slow however fast its line is."""
    assert judged(site("far", 20.0, 90 * MIB), site("near", 0.01, 10 * MIB)).chosen == "near"


@pytest.mark.parametrize(("rate", "chosen"), [(2.0, "new"), (1.34, "new"), (1.3, "old"), (1.0, "old"), (0.5, "old")])
def test_no_switch_for_less_than_a_quarter(rate: float, chosen: str) -> None:
    """The time must come down to three quarters."""
    report = judged(site("old", 0.0, 10 * MIB), site("new", 0.0, 10 * rate * MIB), current="old")
    assert report.chosen == chosen
    if chosen == "old":
        assert report.rows[0].verdict == "kept"
        assert report.rows[0].why.en == "in use, and none is 25 % better"
    if rate == 1.3:
        assert report.rows[1].why.en == "better than the one in use, but not by 25 %"


def test_the_site_in_use_is_left_when_it_fails() -> None:
    """It is broken, too old, stale, or its download failed."""
    new = site("new", rate=1 * MIB)
    fast = site("old", rate=90 * MIB)
    assert judged(new, broken("old"), current="old").chosen == "new"
    assert judged(new, fast, current="old", old=Lag(15 * DAY_S, behind=True)).chosen == "new"
    assert judged(new, fast, current="old", old=Lag(2 * DAY_S, behind=True)).chosen == "new"
    assert judged(new, site("old"), current="old").chosen == "new"
    assert judged(new, fast, current="elsewhere").chosen == "old"


def test_stale_is_last_and_dead_is_out() -> None:
    """A day for the package index and three for conda; two weeks for all; behind without a date is stale."""
    lags = {
        "a": Lag(25 * 3600.0, behind=True),
        "b": FRESH,
        "c": Lag(None, behind=True),
        "d": Lag(15 * DAY_S, behind=True),
    }
    seen = [site(name, rate=rate * MIB) for name, rate in (("a", 9), ("b", 1), ("c", 5), ("d", 20))]
    report = judge("pypi", seen, lags, None)
    assert verdicts(report) == {"b": "best", "a": "stale", "c": "stale", "d": "unusable"}
    assert {row.seen.site: row.why.en for row in report.rows}["d"] == "its copy is behind: 15 d"
    assert judge("conda", seen, lags, None).chosen == "a"


def test_only_stale_ones() -> None:
    """Better a stale site than none."""
    lags = {"a": Lag(2 * DAY_S, behind=True)}
    report = judge("pypi", [site("a", rate=MIB)], lags, None)
    assert (report.chosen, report.rows[0].verdict) == ("a", "best")
    assert report.rows[0].why.en == "the only one that can be used"


def test_nobody() -> None:
    """No site can be used, or there is none."""
    report = judged(broken("a"), broken("b"), current="a")
    assert report.chosen is None
    assert set(verdicts(report).values()) == {"unusable"}
    assert judged().chosen is None


def test_who_is_timed() -> None:
    """The first three to answer, fresh before stale; never the broken, the dead, or one without a file."""
    near = [site(f"n{number}", number / 10) for number in range(5)]
    bare = replace(site("bare", 0.0), sample="")
    seen = [*reversed(near), broken("broken"), bare, site("dead", 0.0)]
    lags = {each.site: FRESH for each in seen} | {
        "dead": Lag(20 * DAY_S, behind=True),
        "n0": Lag(2 * DAY_S, behind=True),
    }
    assert [each.site for each in finalists("pypi", seen, lags, None)] == ["n1", "n2", "n3"]
    assert [each.site for each in finalists("pypi", seen, lags, "n4")] == ["n1", "n2", "n4"]
    assert [each.site for each in finalists("pypi", seen[-4:], lags, "gone")] == ["n0"]


@pytest.mark.parametrize(
    ("lag", "words"),
    [
        (Lag(), None),
        (Lag(None, behind=True), "behind"),
        (Lag(0.0, behind=False), "up to date"),
        (Lag(3599.0, behind=True), "up to date"),
        (Lag(7 * 3600.0, behind=True), "7 h"),
        (Lag(3 * DAY_S, behind=True), "3 d"),
    ],
)
def test_lags_in_words(lag: Lag, words: str | None) -> None:
    """Hours, days, or what is known."""
    said = said_lag(lag)
    assert (said and said.en) == words


def test_rates_in_words() -> None:
    """Only where one was measured."""
    assert said_rate(site("a", rate=2.5 * MIB)) == "2.5 MiB/s"
    assert said_rate(site("a")) == ""
