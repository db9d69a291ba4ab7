"""Which channels each profile writes, given what the catalogue lists and what a probe saw."""

from __future__ import annotations

import pytest

from internlm_setup.core.text import Text
from internlm_setup.mirrors import profiles
from internlm_setup.mirrors.errors import UnknownProfile
from internlm_setup.mirrors.model import Serving, Site, Wish
from internlm_setup.mirrors.profiles import Offer, conda_wish, offers
from internlm_setup.mirrors.sites import Sites


def site(name: str, *channels: str) -> Site:
    base = f"https://{name}.example/anaconda"
    have = {channel: f"{base}/cloud/{channel}" for channel in channels}
    return Site(name, Text(en=name, zh=name), "2026-08-24", {"conda": Serving(base, "full", "", channels=have)})


FULL = site("full", "main", "r", "msys2", "conda-forge", "pytorch")
FORGE = site("forge", "conda-forge")
GPU = site("gpu", "nvidia")
SITES = Sites({s.id: s for s in (FORGE, FULL, GPU)})


def offered(profile: str, chosen: Site, platform: str = "linux") -> list[Offer]:
    return offers(profiles.get(profile), chosen, SITES, platform)


def wish(profile: str, chosen: Site, **seen: bool | None) -> Wish | None:
    exists = {name.replace("_", "-"): value for name, value in seen.items()}
    return conda_wish(profiles.get(profile), chosen, offered(profile, chosen), exists)


def test_the_tutorials_channels_without_a_network() -> None:
    """The catalogue decides, and every channel says so."""
    found = wish("tutorial", FULL)
    assert found is not None
    assert [(c.name, c.how_known) for c in found.channels] == [
        (name, "catalogue") for name in ("main", "r", "conda-forge", "pytorch")
    ]
    assert found.order == ("defaults",)


@pytest.mark.parametrize(("platform", "there"), [("linux", False), ("darwin", False), ("win32", True)])
def test_msys2_is_for_windows_alone(platform: str, there: bool) -> None:
    assert ("msys2" in [offer.name for offer in offered("tutorial", FULL, platform)]) == there


def test_a_channel_that_a_probe_misses_is_left_out() -> None:
    found = wish("tutorial", FULL, main=True, r=False)
    assert found is not None
    assert [c.name for c in found.channels] == ["main", "conda-forge", "pytorch"]


def test_a_channel_that_only_a_probe_has_seen_is_written() -> None:
    """Such sites give their channels the same addresses."""
    found = wish("tutorial", FORGE, main=True)
    assert found is not None
    assert {c.name: c.url for c in found.channels}["main"] == "https://forge.example/anaconda/pkgs/main"
    assert found.order == ("defaults",)


def test_without_main_conda_forge_stands_in_for_defaults() -> None:
    found = wish("tutorial", FORGE)
    assert found is not None
    assert (found.order, [c.name for c in found.channels]) == (("conda-forge",), ["conda-forge"])


def test_nothing_usable_is_no_wish() -> None:
    assert wish("tutorial", GPU) is None
    assert wish("conda-forge-only", FULL, conda_forge=False) is None


def test_conda_forge_only() -> None:
    found = wish("conda-forge-only", FULL)
    assert found is not None
    assert ([c.name for c in found.channels], found.order) == (["conda-forge"], ("conda-forge",))


def test_nvidia_is_borrowed_from_who_has_it() -> None:
    found = wish("gpu", FULL)
    assert found is not None
    assert {c.name: c.url for c in found.channels} == {
        "conda-forge": "https://full.example/anaconda/cloud/conda-forge",
        "nvidia": "https://gpu.example/anaconda/cloud/nvidia",
    }
    assert found.order == ("conda-forge", "nvidia")


def test_an_unknown_profile_names_what_is_close() -> None:
    with pytest.raises(UnknownProfile) as caught:
        profiles.get("tutorail")
    assert "did you mean `tutorial`?" in str(caught.value)
