"""The first look at a site: does it answer, with what, who really answers, and how new is what it has."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from internlm_setup.core.http import Network
from internlm_setup.core.parallel import each
from internlm_setup.core.text import Text
from internlm_setup.mirrors.model import Family, Serving, Site
from internlm_setup.mirrors.probe.ask import Heard, Query, ask
from internlm_setup.mirrors.probe.questions import NEEDED_CHANNELS, Stamp, channel_looks, is_file, question
from internlm_setup.mirrors.sites import channel_url

AT_ONCE = 8
LOOK_PATIENCE_S = 4.0
_NOT_THAT = Text(en="what it answers is not {what}", zh="它的应答不是{what}")
_NO_CHANNEL = Text(en="it does not have the channel `{name}`", zh="它没有频道 `{name}`")


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen of one site.

    Attributes:
        site: Its id.
        url: Where its family begins.
        trouble: Why it cannot be used; None where it can.
        answered: Whether anybody answered at all.
        host: Who really answered, where that is somebody else; empty otherwise.
        first_byte_s: How long the first byte took; 0 where there was none.
        stamp: How new it says that it is.
        sample: A file of it to time; empty where it named none.
        channels: conda only: whether it has each channel that was asked for; None where nobody knows.
        rate_bytes_per_s: What one download reached; None where none was made or it failed.
    """

    site: str
    url: str
    trouble: Text | None = None
    answered: bool = False
    host: str = ""
    first_byte_s: float = 0.0
    stamp: Stamp = field(default_factory=Stamp)
    sample: str = ""
    channels: tuple[tuple[str, bool | None], ...] = ()
    rate_bytes_per_s: float | None = None


def look_at(sites: Sequence[Site], family: Family, subdir: str, network: Network) -> list[Observation]:
    """Look at all sites, a few at a time; each must serve the family."""
    return each(lambda site: _look(site, family, subdir, network), sites, AT_ONCE)


def _look(site: Site, family: Family, subdir: str, network: Network) -> Observation:
    serving = site.families[family]
    asked = question(family, serving, subdir)
    heard = _first_right(asked.looks, network)
    seen = Observation(site.id, serving.url, heard.trouble, heard.status > 0, _elsewhere(serving.url, heard.url))
    if heard.trouble is None and not asked.is_right(heard):
        return replace(seen, trouble=_NOT_THAT.fill(what=asked.what))
    if heard.trouble is not None:
        return seen
    aged = heard if asked.age is None else ask(asked.age, network, LOOK_PATIENCE_S)
    seen = replace(seen, first_byte_s=heard.first_byte_s, stamp=asked.stamp(aged), sample=asked.sample(heard) or "")
    return _with_channels(seen, serving, subdir, network) if family == "conda" else seen


def _with_channels(seen: Observation, serving: Serving, subdir: str, network: Network) -> Observation:
    """Add what is there of the channels that a site needs and of those that the catalogue names."""
    names = list(dict.fromkeys((*NEEDED_CHANNELS, *serving.channels)))
    has = tuple(channels_of(serving, names, subdir, network, LOOK_PATIENCE_S).items())
    missing = next((name for name, there in has if there is False and name in NEEDED_CHANNELS), None)
    return replace(seen, channels=has, trouble=_NO_CHANNEL.fill(name=missing) if missing else None)


def channels_of(
    serving: Serving, names: Sequence[str], subdir: str, network: Network, patience_s: float
) -> Mapping[str, bool | None]:
    """Say which channels a site has: None where it did not say."""

    def look(name: str) -> bool | None:
        heard = _first_right(channel_looks(channel_url(serving, name), subdir), network, patience_s)
        if heard.status in {404, 410}:
            return False
        return True if heard.trouble is None and is_file(heard) else None

    return dict(zip(names, each(look, names, AT_ONCE), strict=True))


def _first_right(looks: Sequence[Query], network: Network, patience_s: float = LOOK_PATIENCE_S) -> Heard:
    """Ask until one look is answered; one that is not there is tried in the next form, within the same patience."""
    give_up_s = time.monotonic() + patience_s
    heard = ask(looks[0], network, patience_s)
    for query in looks[1:]:
        if heard.status not in {404, 410}:
            break
        heard = ask(query, network, give_up_s - time.monotonic())
    return heard


def _elsewhere(asked: str, answered: str) -> str:
    """Return the host that answered, where it is another one than was asked."""
    asked_host, host = urlsplit(asked).netloc, urlsplit(answered).netloc
    return "" if host == asked_host else host.rpartition("@")[2]
