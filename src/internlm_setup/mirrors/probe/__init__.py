"""Asking sites: whether one answers, which channels it has, and which of all is best from here.

Gentle: a few small requests to each site, with a User-Agent that names us; at most 4 MiB from each of three.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from internlm_setup.core.http import Network
from internlm_setup.core.text import Text
from internlm_setup.mirrors.errors import NoSiteAnswers
from internlm_setup.mirrors.model import Family, Site
from internlm_setup.mirrors.probe.ask import Query, ask
from internlm_setup.mirrors.probe.cache import Cache
from internlm_setup.mirrors.probe.choice import Report, Row, finalists, judge, said_lag, said_rate
from internlm_setup.mirrors.probe.freshness import lags
from internlm_setup.mirrors.probe.health import Observation, channels_of, look_at
from internlm_setup.mirrors.probe.questions import NEEDED_CHANNELS
from internlm_setup.mirrors.probe.throughput import rate
from internlm_setup.mirrors.sites import Sites
from internlm_setup.mirrors.world import World

__all__ = [
    "Report",
    "Row",
    "answers",
    "best",
    "candidates",
    "channels",
    "measure",
    "none_of",
    "said_lag",
    "said_rate",
]


def answers(url: str, network: Network, patience_s: float) -> Text | None:
    """Ask an address of a site once, redirects followed.

    Returns:
        None where it answers with content (200 or 206) within the patience, else the reason in words.
    """
    return ask(Query(url, headers={"Range": "bytes=0-1023"}, most_bytes=1024), network, patience_s).trouble


def channels(
    site: Site, names: Sequence[str], subdir: str, network: Network, patience_s: float
) -> Mapping[str, bool | None]:
    """Say which conda channels a site has: True, False (404 or 410), or None where it did not say in time.

    Args:
        site: It must serve conda.
        names: Channels; one that the catalogue does not list is looked for where such sites keep it.
        subdir: For example `linux-64` or `noarch`.
        network: The way out.
        patience_s: For each channel; all are asked at once, eight at a time.
    """
    return channels_of(site.families["conda"], names, subdir, network, patience_s)


def candidates(sites: Sites, family: Family) -> list[Site]:
    """Return the sites that are worth asking: they serve the family and, for conda, list what everybody needs."""
    needed = NEEDED_CHANNELS if family == "conda" else ()
    return [s for s in sites.having(family) if all(name in s.families[family].channels for name in needed)]


def measure(
    sites: Sequence[Site], family: Family, world: World, *, current: str | None = None, fresh: bool = False
) -> Report:
    """Look at sites, time the best three one after another, and judge them.

    Args:
        sites: Each must serve the family.
        family: What is asked for.
        world: Who asks, and from where.
        current: The id of the site in use, which is left only for one that is 25 % better.
        fresh: Measure though there is a result of the last day.
    """
    cache, now_s = Cache(world.paths.cache), world.clock.now()
    known = None if fresh else cache.load(family, [site.families[family].url for site in sites], now_s)
    if known is not None and _tells(known, current):
        return judge(family, known, lags(known, now_s), current)
    seen = look_at(sites, family, world.subdir, world.network)
    behind = lags(seen, now_s)
    rates = {each.site: rate(each.sample, world.network) for each in finalists(family, seen, behind, current)}
    seen = [replace(each, rate_bytes_per_s=rates.get(each.site)) for each in seen]
    if any(each.answered for each in seen):
        cache.save(family, seen, now_s)
    return judge(family, seen, behind, current)


def _tells(seen: Sequence[Observation], current: str | None) -> bool:
    """Tell whether a kept result can judge the site in use: it was timed, or cannot be used at all."""
    return all(each.rate_bytes_per_s or each.trouble for each in seen if each.site == current)


def best(family: Family, world: World, current: Site | None = None) -> tuple[Site, Text]:
    """Choose a site for a family, and say why; `current` is the one in use.

    Raises:
        NoSiteAnswers: No site can be used; nothing was changed.
    """
    report = measure(candidates(world.sites, family), family, world, current=current.id if current else None)
    if report.chosen is None:
        raise none_of(report)
    return world.sites.get(report.chosen), report.rows[0].why


def none_of(report: Report) -> NoSiteAnswers:
    """Return the error that says that none of the sites of a report can be used."""
    reasons = {row.why.en: row.why for row in report.rows}
    why = next(iter(reasons.values())) if reasons else Text(en="there is none", zh="没有这样的站点")
    return NoSiteAnswers(report.family, len(report.rows), why)
