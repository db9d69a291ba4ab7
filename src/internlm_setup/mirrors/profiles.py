"""What a person may ask for by one word: which site serves what, and which conda channels are written.

Nothing here looks at the network: whether a site answers, and whether it has a channel today, is seen by `service`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from internlm_setup.core.text import Text
from internlm_setup.mirrors.errors import UnknownProfile, close_to
from internlm_setup.mirrors.model import Channel, Family, Site, Wish
from internlm_setup.mirrors.sites import Sites, channel_url

OFFICIAL = ("main", "r", "msys2")  # what `defaults` stands for; msys2 on Windows only

# Who serves a family where nothing else was said. A family that is not here gets the catalogue's first.
USUAL = {
    "pypi": "cernet",
    "conda": "tuna",
    "npm": "npmmirror",
    "apt": "tuna",
    "huggingface": "hf-mirror",
    "pytorch": "nju",
    "python": "nju",
}


@dataclass(frozen=True, slots=True)
class Profile:
    """One word's meaning.

    Attributes:
        id: The word.
        about: What it does, in a line.
        families: What it is for: the tools that read these need not be named.
        channels: The conda channels whose addresses are written.
        order: The value of conda's `channels`, strongest first.
        borrowed: Channels that any site may serve, where the chosen one does not.
        advice: Tools that write nothing and are asked for their advice.
        measured: The sites are chosen by measuring, not by `USUAL`.
    """

    id: str
    about: Text
    families: tuple[Family, ...] = ("pypi", "conda")
    channels: tuple[str, ...] = (*OFFICIAL, "conda-forge", "pytorch")
    order: tuple[str, ...] = ("defaults",)
    borrowed: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    measured: bool = False


PROFILES = {
    profile.id: profile
    for profile in (
        Profile(
            "tutorial",
            Text(en="as the tutorial teaches: pip by cernet, conda by TUNA", zh="按教程：pip 用 cernet，conda 用 TUNA"),
        ),
        Profile(
            "auto", Text(en="the sites that are measured to be best here", zh="在本机实测最好的站点"), measured=True
        ),
        Profile(
            "conda-forge-only",
            Text(
                en="conda-forge alone: no question of Anaconda's licence", zh="只用 conda-forge：没有 Anaconda 许可问题"
            ),
            channels=("conda-forge",),
            order=("conda-forge",),
        ),
        Profile(
            "gpu",
            Text(
                en="conda-forge and nvidia, and how to get a torch for this CUDA",
                zh="conda-forge 与 nvidia，以及如何安装与本机 CUDA 相配的 torch",
            ),
            channels=("conda-forge", "nvidia"),
            order=("conda-forge", "nvidia"),
            borrowed=("nvidia",),
            advice=("pytorch",),
        ),
    )
}


def get(profile: str) -> Profile:
    """Return one profile.

    Raises:
        UnknownProfile: There is none of this name; the close ones are named.
    """
    if profile not in PROFILES:
        raise UnknownProfile(profile, close_to(profile, PROFILES), ", ".join(PROFILES))
    return PROFILES[profile]


@dataclass(frozen=True, slots=True)
class Offer:
    """A channel that is worth asking a site for.

    Attributes:
        name: The channel.
        site: Who may have it.
        url: Where it is there, or would be.
        listed: The catalogue says that it is there.
    """

    name: str
    site: Site
    url: str
    listed: bool


def offers(profile: Profile, site: Site, sites: Sites, platform: str) -> list[Offer]:
    """Return the channels of a profile, and who is to be asked for each, in the profile's order.

    Args:
        profile: What was asked for.
        site: The site that conda is to be led to.
        sites: Where borrowed channels are looked for, in the catalogue's order.
        platform: As `sys.platform` spells it; msys2 is for Windows alone.
    """
    found = []
    for name in profile.channels:
        if name == "msys2" and platform != "win32":
            continue
        serving, owner = site.families["conda"], site
        others = sites.having("conda", name)
        if name in profile.borrowed and name not in serving.channels and others:
            serving, owner = others[0].families["conda"], others[0]
        found.append(Offer(name, owner, channel_url(serving, name), name in serving.channels))
    return found


def conda_wish(profile: Profile, site: Site, offered: list[Offer], exists: Mapping[str, bool | None]) -> Wish | None:
    """Return what conda is to be told, or None where nothing usable is left.

    A channel is kept that a probe has seen, or that the catalogue lists and no probe has missed.
    Without `main` there is no `defaults` to speak of, so conda-forge takes its place.

    Args:
        profile: What was asked for.
        site: The site.
        offered: From `offers`.
        exists: What a probe found, by the channel's name; None or missing where it found nothing out.
    """
    seen = {offer.name: exists.get(offer.name) for offer in offered}
    kept = [o for o in offered if seen[o.name] or (seen[o.name] is None and o.listed)]
    channels = tuple(Channel(o.name, o.url, "probed" if seen[o.name] else "catalogue") for o in kept)
    names = {channel.name for channel in channels}
    order = tuple(name for name in profile.order if name in names or (name == "defaults" and "main" in names))
    if not order and "conda-forge" in names:
        order = ("conda-forge",)
    return Wish(site, channels, order) if order else None
