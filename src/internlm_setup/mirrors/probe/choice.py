"""Which site is best, and why: a verdict on each. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from internlm_setup.core.text import Text, human_size
from internlm_setup.mirrors.model import Family
from internlm_setup.mirrors.probe.freshness import Lag
from internlm_setup.mirrors.probe.health import Observation
from internlm_setup.mirrors.probe.questions import DAY_S, PATIENCE, Patience

Verdict = Literal["best", "kept", "good", "unmeasured", "stale", "unusable"]

FINALISTS = 3
ENOUGH_BETTER = 0.75  # of the present site's time, or there is no switch
# What an installation of PyTorch with its CUDA libraries takes: so many files, so many bytes.
_FILES, _BYTES = 25, 2.5e9

_BEST = Text(en="the best of the {count} that were measured", zh="在实测的 {count} 个站点中最好")
_ONLY = Text(en="the only one that can be used", zh="唯一可用的站点")
_KEPT = Text(en="in use, and none is 25 % better", zh="正在使用，且没有任何站点比它好 25 %")
_GOOD = Text(
    en="takes {times:.1f} times as long for an installation as large as PyTorch's",
    zh="安装 PyTorch 这样大的包所需时间是最佳站点的 {times:.1f} 倍",
)
_ALIKE = Text(en="about as good as the best", zh="与最佳站点相差无几")
_SLIGHTLY = Text(en="better than the one in use, but not by 25 %", zh="比正在使用的站点好，但不到 25 %")
_NO_RATE = Text(en="its download failed", zh="试下载失败")
_OTHERS = Text(en="not measured: {count} others answer sooner", zh="未测速：有 {count} 个站点应答更快")
_STALE = Text(en="its copy is behind: {lag}", zh="其内容落后：{lag}")
_UP_TO_DATE = Text(en="up to date", zh="最新")
_HOURS = Text(en="{count:.0f} h", zh="{count:.0f} 小时")
_DAYS = Text(en="{count:.0f} d", zh="{count:.0f} 天")
_BEHIND = Text(en="behind", zh="落后")


@dataclass(frozen=True, slots=True)
class Row:
    """One site, judged.

    Attributes:
        seen: What was seen of it.
        lag: How far behind the newest it is.
        verdict: In a word.
        why: In a sentence.
    """

    seen: Observation
    lag: Lag
    verdict: Verdict
    why: Text


@dataclass(frozen=True, slots=True)
class Report:
    """All sites of a family, the chosen one first; `chosen` is its id, None where no site can be used."""

    family: Family
    rows: tuple[Row, ...]
    chosen: str | None


def said_lag(lag: Lag) -> Text | None:
    """Return a lag in words, or None where nothing is known of it."""
    if lag.seconds is None:
        return _BEHIND if lag.behind else None
    if lag.seconds < 3600:
        return _UP_TO_DATE
    return _DAYS.fill(count=lag.seconds / DAY_S) if lag.seconds >= DAY_S else _HOURS.fill(count=lag.seconds / 3600)


def finalists(
    family: Family, seen: Sequence[Observation], lags: Mapping[str, Lag], current: str | None
) -> list[Observation]:
    """Return whom to time: the first to answer of those that are fresh, then of the others; the current one always.

    A site that is too far behind, or has no file to time, is not among them.
    """
    patience = PATIENCE.get(family, Patience())
    able = [each for each in seen if each.sample and _standing(each, lags[each.site], patience) != "unusable"]
    able.sort(key=lambda each: (_standing(each, lags[each.site], patience) == "stale", each.first_byte_s))
    kept = [each for each in able if each.site == current]
    return [*(each for each in able if each.site != current)][: FINALISTS - len(kept)] + kept


def judge(family: Family, seen: Sequence[Observation], lags: Mapping[str, Lag], current: str | None) -> Report:
    """Choose: fresh before stale, measured before not, then the shortest time; the current site unless far better."""
    patience = PATIENCE.get(family, Patience())
    standing = {each.site: _standing(each, lags[each.site], patience) for each in seen}

    def rank(each: Observation) -> tuple[bool, bool, bool, float]:
        here = standing[each.site]
        return here == "unusable", here == "stale", each.rate_bytes_per_s is None, _time_s(each)

    ordered = sorted(seen, key=rank)
    usable = [each for each in ordered if standing[each.site] != "unusable"]
    if not usable:
        rows = (Row(each, lags[each.site], "unusable", _trouble(each, lags[each.site])) for each in ordered)
        return Report(family, tuple(rows), None)
    best = _winner(usable, standing, current)
    ordered.sort(key=lambda each: each is not best)
    rows = (_row(each, lags[each.site], standing, best, usable, current) for each in ordered)
    return Report(family, tuple(rows), best.site)


def _winner(usable: Sequence[Observation], standing: Mapping[str, Verdict], current: str | None) -> Observation:
    best = usable[0]
    present = next((each for each in usable if each.site == current), best)
    if standing[present.site] == "stale" and standing[best.site] != "stale":
        return best
    if present.rate_bytes_per_s is None and best.rate_bytes_per_s is not None:
        return best
    return best if _time_s(best) <= ENOUGH_BETTER * _time_s(present) else present


def _row(
    each: Observation,
    lag: Lag,
    standing: Mapping[str, Verdict],
    best: Observation,
    usable: Sequence[Observation],
    current: str | None,
) -> Row:
    timed = [one for one in usable if one.rate_bytes_per_s is not None]
    verdict = standing[each.site]
    if each is best:
        verdict = "kept" if each.site == current else "best"
        why = _KEPT if verdict == "kept" else _ONLY if len(usable) == 1 else _BEST.fill(count=len(timed))
    elif verdict == "unusable":
        why = _trouble(each, lag)
    elif verdict == "stale":
        why = _STALE.fill(lag=said_lag(lag))
    elif each.rate_bytes_per_s is None:
        verdict, why = "unmeasured", _OTHERS.fill(count=len(timed))
    else:
        times = _time_s(each) / _time_s(best)
        why = _SLIGHTLY if times < 1 else _ALIKE if times < 1.05 else _GOOD.fill(times=times)
    return Row(each, lag, verdict, why)


def _standing(each: Observation, lag: Lag, patience: Patience) -> Verdict:
    late_s = lag.seconds if lag.seconds is not None else patience.stale_s + 1 if lag.behind else 0.0
    if each.trouble is not None or late_s > patience.dead_s:
        return "unusable"
    return "stale" if late_s > patience.stale_s else "good"


def _trouble(each: Observation, lag: Lag) -> Text:
    return each.trouble or _STALE.fill(lag=said_lag(lag))


def _time_s(each: Observation) -> float:
    """Return how long a large installation would take; without a rate, what is known of it."""
    waiting_s = _FILES * each.first_byte_s
    return waiting_s + (_BYTES / each.rate_bytes_per_s if each.rate_bytes_per_s else 0.0)


def said_rate(each: Observation) -> str:
    """Return a rate for people, empty where none was measured."""
    return f"{human_size(each.rate_bytes_per_s)}/s" if each.rate_bytes_per_s else ""
