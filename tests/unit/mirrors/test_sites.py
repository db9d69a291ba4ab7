"""The catalogue of sites: what is found, what is refused, and what a user's own files may do."""

from __future__ import annotations

from pathlib import Path

import pytest

from internlm_setup.core.errors import ExitCode
from internlm_setup.mirrors.errors import BadSiteFile, SiteLacks, UnknownSite
from internlm_setup.mirrors.sites import Sites, channel_url, load_sites

ONE = """
title: {en: One, zh: 一}
checked_on: 2026-08-01
hosts: [old.one.test]
families:
  pypi: {url: https://pypi.one.test/simple/, kind: cache, evidence: https://one.test/help}
  conda:
    url: https://one.test/anaconda
    channels: {main: pkgs/main, nvidia: https://extra.one.test:8443/cloud/nvidia}
refused:
  npm: {en: it stopped, zh: 已停止}
"""
TWO = """
families:
  pypi: {url: https://two.test/simple}
  npm: {url: https://two.test/npm}
  apt: {url: https://two.test, paths: {debian: debian/}}
"""
GONE = """
hosts: [gone.test]
families: {pypi: {url: https://gone.test/simple}}
retired: {en: nobody runs it, zh: 已无人维护}
"""


def put(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, "utf-8")
    return folder


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    return put(tmp_path / "shipped", two=TWO, one=ONE, gone=GONE)


@pytest.fixture
def sites(shipped: Path) -> Sites:
    return load_sites([shipped, shipped.parent / "absent"])


def test_a_site_as_its_file_says(sites: Sites) -> None:
    """Every field arrives, addresses whole and without a slash at the end."""
    one = sites.get("One")
    assert (one.id, one.title.zh, one.checked_on, one.hosts) == ("one", "一", "2026-08-01", ("old.one.test",))
    pypi, conda = one.families["pypi"], one.families["conda"]
    assert (pypi.url, pypi.kind, pypi.evidence) == ("https://pypi.one.test/simple", "cache", "https://one.test/help")
    assert conda.channels == {
        "main": "https://one.test/anaconda/pkgs/main",
        "nvidia": "https://extra.one.test:8443/cloud/nvidia",
    }
    assert sites.serving("two", "apt").paths == {"debian": "debian"}
    assert [site.id for site in sites] == ["gone", "one", "two"]


def test_what_a_file_leaves_out(sites: Sites, shipped: Path) -> None:
    """The id is the title, the copy is full, and the file is its own evidence."""
    two = sites.get("two")
    assert (two.title.en, two.title.zh, two.checked_on, two.retired) == ("two", "two", "", None)
    assert two.families["npm"].kind == "full"
    assert two.families["npm"].evidence == str(shipped / "two.yaml")


def test_who_has_it(sites: Sites) -> None:
    """Living sites that serve the family, or the one channel of it."""
    assert [site.id for site in sites.having("pypi")] == ["one", "two"]
    assert [site.id for site in sites.having("conda", "nvidia")] == ["one"]
    assert sites.having("conda", "pytorch") == []
    assert sites.having("huggingface") == []


def test_where_a_channel_is(sites: Sites) -> None:
    """The catalogue's address, else the place that such sites give it."""
    conda = sites.serving("one", "conda")
    assert channel_url(conda, "nvidia") == "https://extra.one.test:8443/cloud/nvidia"
    assert channel_url(conda, "r") == "https://one.test/anaconda/pkgs/r"
    assert channel_url(conda, "pytorch") == "https://one.test/anaconda/cloud/pytorch"


def test_an_unknown_site(sites: Sites) -> None:
    """Close names are offered; without any, only the list."""
    with pytest.raises(UnknownSite) as caught:
        sites.get("twoo")
    assert caught.value.exit_code == ExitCode.NOT_FOUND
    assert "did you mean `two`?" in caught.value.message()
    with pytest.raises(UnknownSite) as caught:
        sites.serving("zzzzzz", "pypi")
    assert "mean" not in caught.value.message()


def test_a_site_that_lacks_a_family(sites: Sites) -> None:
    """The reason where one is known, and who has it."""
    with pytest.raises(SiteLacks) as caught:
        sites.serving("one", "npm")
    assert caught.value.exit_code == ExitCode.NOT_FOUND
    assert caught.value.message("zh") == "`one` 不提供 npm：已停止"
    assert caught.value.next_step() == "these do: two; see `internlm-setup mirrors list --family npm`"
    with pytest.raises(SiteLacks, match=r"^`one` does not serve apt$"):
        sites.serving("one", "apt")
    with pytest.raises(SiteLacks, match="nobody runs it"):
        sites.serving("gone", "pypi")


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://pypi.one.test/simple", "one"),
        ("http://OLD.one.test/x", "one"),
        ("https://me:pw@one.test:444/x", "one"),
        ("https://v6.one.test/", "one"),
        ("https://extra.one.test:8443/", "one"),
        ("http://gone.test/simple", "gone"),
        ("https://two.test/", "two"),
        ("https://notone.test/", None),
        ("https://test/", None),
        ("https://[bad/", None),
        ("one.test", None),
        ("", None),
    ],
)
def test_whose_an_address_is(sites: Sites, url: str, site: str | None) -> None:
    """By host, names below it and old ones included; a password does not matter."""
    found = sites.of(url)
    assert (found and found.id) == site
    assert sites.is_mirror(url) == (site is not None)


def test_sites_on_ports_of_one_host_are_told_apart(tmp_path: Path) -> None:
    """Where the catalogue writes a port, it counts."""
    one, two = (f"families: {{pypi: {{url: http://127.0.0.1:{port}/simple}}}}" for port in (81, 82))
    sites = load_sites([put(tmp_path, one=one, two=two)])
    assert sites.of("http://127.0.0.1:82/x") == sites.get("two")
    assert not sites.is_mirror("http://127.0.0.1/x")


def test_a_users_file_is_laid_over_key_by_key(shipped: Path, tmp_path: Path) -> None:
    """What it names is changed, what it does not name stays, and a new name is a new site."""
    mine = "families: {conda: {channels: {pytorch: cloud/pytorch, main: https://other.test/main}}}"
    own = put(tmp_path / "own", one=mine, lab="families: {pypi: {url: http://lab.test}}")
    sites = load_sites([shipped, own])
    conda = sites.serving("one", "conda")
    assert conda.channels == {
        "main": "https://other.test/main",
        "nvidia": "https://extra.one.test:8443/cloud/nvidia",
        "pytorch": "https://one.test/anaconda/cloud/pytorch",
    }
    assert sites.get("one").families["pypi"] == load_sites([shipped]).get("one").families["pypi"]
    assert [site.id for site in sites.having("pypi")] == ["lab", "one", "two"]


@pytest.mark.parametrize(
    ("name", "text", "where", "words"),
    [
        ("bad", "families: {pypi: {url: ftp://x}}", "families.pypi.url", "`ftp://x` does not belong here"),
        ("bad", "families: {pypi: {url: http://x/镜像}}", "families.pypi.url", "does not belong here"),
        ("bad", "families: {pypi: {url: http://x /y}}", "families.pypi.url", "does not belong here"),
        ("bad", "families: {pypi: {}}", "families.pypi", "a list or fields expected"),
        ("bad", "families: {pypi: {kind: full}}", "families.pypi.url", "missing"),
        ("bad", "families: {pipy: {url: http://x}}", "families.pipy", "there is no such field"),
        ("bad", "families: {pypi: {url: http://x, kind: half}}", "families.pypi.kind", "`half` does not belong"),
        ("bad", "title: {en: x}\n", "title.zh", "missing"),
        ("bad", "checked_on: today", "checked_on", "`today` does not belong here"),
        ("bad", "a: [", "line 1", "cannot be read"),
        ("bad", "[x]", "file", "a list or fields expected"),
        ("bad", "", "file", "a list or fields expected"),
        ("one", "families: {pypi: {url: [x]}}", "families.pypi.url", "does not belong here"),
        ("Bad Name", "hosts: [x]", "file", "`Bad Name` does not belong here"),
    ],
)
def test_a_bad_file_is_refused(shipped: Path, tmp_path: Path, name: str, text: str, where: str, words: str) -> None:
    """The user's file and the place in it are named; exit 78."""
    own = put(tmp_path / "own", **{name: text})
    with pytest.raises(BadSiteFile) as caught:
        load_sites([shipped, own])
    assert caught.value.exit_code == ExitCode.CONFIG
    assert (caught.value.path, caught.value.where) == (str(own / f"{name}.yaml"), where)
    assert words in caught.value.message()


def test_an_unreadable_file_is_refused(shipped: Path) -> None:
    """Bytes that are no UTF-8."""
    (shipped / "two.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadSiteFile, match="cannot be read"):
        load_sites([shipped])
