"""Every shipped mirror site keeps the catalogue's rules; the files are found, never listed."""

from __future__ import annotations

import re
from datetime import date, datetime, timezone
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from internlm_setup.core.text import Text
from internlm_setup.mirrors.model import Site
from internlm_setup.mirrors.sites import FAMILIES, load_sites

CONFIGS = Path(__file__).parents[2] / "configs"
FILES = sorted((CONFIGS / "mirrors").glob("*"))
SITES = load_sites([CONFIGS / "mirrors"])
CHINESE = re.compile("[\u4e00-\u9fff]")

each_site = pytest.mark.parametrize("site", list(SITES), ids=lambda site: site.id)


def test_every_file_is_a_site() -> None:
    """Nothing else lies in the folder."""
    assert [path.name for path in FILES] == [f"{site.id}.yaml" for site in SITES]
    assert len(FILES) > 15


@each_site
def test_a_site_says_when_it_was_checked(site: Site) -> None:
    """A real day, in the past."""
    assert date(2025, 1, 1) < date.fromisoformat(site.checked_on) <= datetime.now(tz=timezone.utc).date()


@each_site
def test_words_are_in_both_languages(site: Site) -> None:
    """Titles and reasons: English without Chinese, Chinese with it, unless it is all names; no full stop."""
    reasons: list[Text] = [*site.refused.values(), *([site.retired] if site.retired else [])]
    for text in (site.title, *reasons):
        assert not CHINESE.search(text.en)
        assert CHINESE.search(text.zh) or text.zh == text.en
        assert not text.en.endswith(".")
        assert not text.zh.endswith("。")


@each_site
def test_a_site_is_living_or_retired(site: Site) -> None:
    """A living one serves something; a retired one serves nothing, but its hosts are known."""
    assert bool(site.families) == (site.retired is None)
    assert site.families or site.hosts


@each_site
def test_addresses(site: Site) -> None:
    """All https, each with evidence that can be opened, and each recognised as this very site's."""
    for serving in site.families.values():
        for url in (serving.url, *serving.channels.values()):
            assert url.startswith("https://")
            assert SITES.of(url) == site
        assert urlsplit(serving.evidence).scheme == "https"
        assert urlsplit(serving.evidence).hostname
    for host in site.hosts:
        assert SITES.of(f"http://{host}/") == site


@each_site
def test_a_family_has_what_it_needs(site: Site) -> None:
    """Conda has channels that end in their names, apt has paths, and nothing else has either."""
    for family, serving in site.families.items():
        assert bool(serving.channels) == (family == "conda")
        assert bool(serving.paths) == (family == "apt")
        assert serving.style == "index" or family == "pytorch"
        assert all(url.rpartition("/")[2] == name for name, url in serving.channels.items())
        assert set(serving.paths) <= {"debian", "debian-security", "ubuntu", "ubuntu-ports"}


@each_site
def test_what_is_refused_is_not_offered(site: Site) -> None:
    """A reason stands under a family, or under `conda/CHANNEL`; never for what is served."""
    for what in site.refused:
        family, _, channel = what.partition("/")
        assert family in FAMILIES
        if channel:
            assert channel not in site.families["conda"].channels
        else:
            assert family not in site.families


@pytest.mark.parametrize("family", FAMILIES)
def test_somebody_serves_every_family(family: str) -> None:
    """A family without a site is of no use."""
    assert SITES.having(family)


def test_what_the_profiles_need() -> None:
    """The tutorial's two sites, and somebody with the nvidia channel."""
    assert SITES.serving("cernet", "pypi").url == "https://mirrors.cernet.edu.cn/pypi/web/simple"
    assert {"main", "conda-forge", "pytorch"} <= set(SITES.serving("tuna", "conda").channels)
    assert [site.id for site in SITES.having("conda", "nvidia")] == ["sustech", "zju"]


@pytest.mark.parametrize(
    "url",
    [
        "https://pypi.doubanio.com/simple",
        "http://pypi.douban.com/simple/",
        "https://mirrors.jlu.edu.cn/pypi/web/simple",
        "https://mirrors.njtech.edu.cn/anaconda/pkgs/main",
    ],
)
def test_retired_sites_are_known(url: str) -> None:
    """`doctor` has to recognise them."""
    site = SITES.of(url)
    assert site is not None
    assert site.retired is not None


def test_no_upstream_is_a_mirror() -> None:
    """What the sites copy is not one of them."""
    for url in (
        "https://conda.anaconda.org/conda-forge",
        "https://repo.anaconda.com/pkgs/main",
        "https://huggingface.co",
    ):
        assert not SITES.is_mirror(url)


def test_the_example_of_a_users_file_loads_over_the_shipped_ones() -> None:
    """It adds its site and takes nothing away."""
    both = load_sites([CONFIGS / "mirrors", CONFIGS / "examples" / "mirrors"])
    assert len(list(both)) == len(list(SITES)) + 1
    assert both.serving("my-lab", "conda").channels == {"conda-forge": "https://conda.lab.example/cloud/conda-forge"}
