"""Asking mirror sites over real connections: what is found out, and how gently."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace

import pytest

from internlm_setup.core.errors import ExitCode
from internlm_setup.mirrors import probe
from internlm_setup.mirrors.errors import NoSiteAnswers
from internlm_setup.mirrors.model import Site
from internlm_setup.mirrors.probe import Report, Row
from internlm_setup.mirrors.world import World
from internlm_setup.playground.hub.message import Call, Reply
from internlm_setup.playground.mirror import Mirrors, MirrorSite
from servers.rude import black_hole, closed_port, listening

pytestmark = pytest.mark.loopback

DAY_S = 86400.0
MIB = 1 << 20


def four(world: World) -> list[Site]:
    return [world.sites.get(name) for name in ("near", "far", "old", "late")]


def rows(report: Report) -> dict[str, Row]:
    return {row.seen.site: row for row in report.rows}


def site_at(url: str, world: World, family: str = "pypi") -> Site:
    near = world.sites.get("near")
    return replace(near, families={family: replace(near.families[family], url=url, channels={})})


# One address


def test_an_address_that_answers(mirrors: Mirrors, world: World) -> None:
    """Also after a redirect; the request is small and names us."""
    mirrors["far"].redirect(mirrors["near"].url)
    assert probe.answers(mirrors["far"].url + "/simple/pip/", world.network, 5) is None
    request = mirrors.log.wait_for(lambda r: r.hub == "near")
    assert request.headers["user-agent"].startswith("internlm-setup/")
    assert request.sent_bytes <= 1024


@pytest.mark.parametrize(
    ("status", "words"),
    [(403, "refuses this network"), (404, "does not have this"), (429, "too often"), (503, "HTTP 503")],
)
def test_an_address_that_fails(mirrors: Mirrors, world: World, status: int, words: str) -> None:
    """A status of failure is explained."""
    mirrors["near"].refuse(status)
    why = probe.answers(mirrors["near"].url, world.network, 5)
    assert why is not None
    assert words in why.en
    assert str(status) in why.zh


def test_an_address_that_leads_nowhere(mirrors: Mirrors, world: World) -> None:
    """Redirects in a circle, and out of the web."""
    near, far = mirrors["near"], mirrors["far"]
    near.redirect(far.url)
    far.redirect(near.url)
    circle = probe.answers(near.url, world.network, 5)
    far.rules.clear()
    far.redirect("ftp://elsewhere")
    astray = probe.answers(near.url, world.network, 5)
    assert circle is not None
    assert "circles" in circle.en
    assert astray is not None
    assert "no web address" in astray.en


def test_an_address_where_nobody_is(world: World) -> None:
    """Refused and silent, each within the patience."""
    refused = probe.answers(f"http://127.0.0.1:{closed_port()}/", world.network, 5)
    assert refused is not None
    assert refused.en == "the connection was refused"
    with listening(answer=None) as server, black_hole() as port:
        for url in (server.url, f"http://127.0.0.1:{port}/"):
            late = probe.answers(url, world.network, 0.05)
            assert late is not None
            assert "time-out" in late.en


# Channels


def test_channels(mirrors: Mirrors, world: World) -> None:
    """There, gone, and not said; a channel that is not listed is looked for where it would be."""
    near = mirrors["near"]
    near.channels = frozenset({"main", "nvidia"})
    near.refuse(403, "*/pkgs/r/*")
    found = probe.channels(
        world.sites.get("near"), ["main", "r", "conda-forge", "nvidia"], "linux-64", world.network, 5
    )
    assert found == {"main": True, "r": None, "conda-forge": False, "nvidia": True}
    assert {request.method for request in mirrors.log} == {"HEAD"}


def test_a_channel_without_a_compressed_index(mirrors: Mirrors, world: World) -> None:
    """The plain one will do."""
    mirrors["near"].refuse(404, "*.zst")
    assert probe.channels(world.sites.get("near"), ["main"], "noarch", world.network, 5) == {"main": True}


def test_channels_of_nobody(world: World) -> None:
    """Nobody knows."""
    dead = site_at(f"http://127.0.0.1:{closed_port()}", world, "conda")
    assert probe.channels(dead, ["main", "r"], "noarch", world.network, 5) == {"main": None, "r": None}


# Measuring


@pytest.mark.parametrize("family", ["pypi", "conda", "npm", "apt"])
def test_the_fastest_is_chosen(mirrors: Mirrors, world: World, family: str) -> None:
    """Latency, age and rate are as the sites have them; the late one is left out, the old one comes last."""
    for site, latency_s, rate in (("near", 0.0, 2 * MIB), ("far", 0.05, 20 * MIB), ("old", 0.0, 20 * MIB)):
        mirrors[site].latency_s, mirrors[site].bytes_per_s = latency_s, rate
    mirrors["old"].age_s, mirrors["late"].age_s = 6 * DAY_S, 30 * DAY_S
    report = probe.measure(four(world), family, world)
    found = rows(report)
    assert report.chosen == "far"
    assert {site: row.verdict for site, row in found.items()} == {
        "far": "best",
        "near": "good",
        "old": "stale",
        "late": "unusable",
    }
    assert found["far"].seen.first_byte_s >= 0.05
    assert found["old"].lag.seconds == pytest.approx(6 * DAY_S, abs=60)
    assert found["near"].seen.rate_bytes_per_s is not None
    assert MIB < found["near"].seen.rate_bytes_per_s < 2.5 * MIB
    assert found["late"].seen.rate_bytes_per_s is None


def test_it_is_gentle(mirrors: Mirrors, world: World) -> None:
    """One download at each of three, by an address that the site itself named; a few small requests besides."""
    for number, name in enumerate(("near", "far", "old", "late")):
        mirrors[name].latency_s = number / 20
    probe.measure(four(world), "pypi", world)
    downloads = [request for request in mirrors.log if "/packages/" in request.path]
    assert [request.hub for request in downloads] == ["near", "far", "old"]
    assert all(request.sent_bytes <= 4 * MIB for request in downloads)
    assert downloads[0].headers["range"] == "bytes=0-4194303"
    assert Counter(request.hub for request in mirrors.log if request not in downloads) == dict.fromkeys(
        ("near", "far", "old", "late"), 2
    )
    assert all(request.headers["user-agent"].startswith("internlm-setup/") for request in mirrors.log)


def test_it_stops_after_some_mib(world: World) -> None:
    """Also where the site ignores the range that was asked for."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"
    with listening(answer=head + bytes(8 * MIB)) as server:
        assert probe.throughput.rate(server.url, world.network) is not None
    with listening(answer=b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n") as server:
        assert probe.throughput.rate(server.url, world.network) is None
    assert probe.throughput.rate(f"http://127.0.0.1:{closed_port()}", world.network) is None


def test_redirects_are_on_record(mirrors: Mirrors, world: World) -> None:
    """Who really answers is said, and it is that one that is timed."""
    mirrors["far"].redirect(mirrors["near"].url)
    report = probe.measure(four(world)[:2], "pypi", world)
    assert rows(report)["far"].seen.host == mirrors["near"].url.removeprefix("http://")
    assert rows(report)["near"].seen.host == ""
    assert all(request.hub == "near" for request in mirrors.log if "/packages/" in request.path)


def test_what_is_no_index_is_rejected(mirrors: Mirrors, world: World) -> None:
    """A page of a portal with status 200, a refusal, and nobody."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 14\r\nConnection: close\r\n\r\n"
    mirrors["near"].refuse(403)
    with listening(answer=head + b"<h1>login</h1>") as portal:
        sites = [
            world.sites.get("near"),
            *(site_at(u, world) for u in (portal.url, f"http://127.0.0.1:{closed_port()}")),
        ]
        for site, words in zip(sites, ("403", "not a package index", "refused"), strict=True):
            report = probe.measure([site], "pypi", world)
            assert report.chosen is None
            assert words in report.rows[0].why.en
        for family, words in (
            ("npm", "an npm registry"),
            ("apt", "an apt tree"),
            ("pytorch", "a page of wheels"),
            ("huggingface", "a model hub"),
            ("conda", "a conda channel"),
        ):
            report = probe.measure([site_at(portal.url, world, family)], family, world)
            assert report.rows[0].why.en == f"what it answers is not {words}"
        portal_site = site_at(portal.url, world, "conda")
        assert probe.channels(portal_site, ["free"], "noarch", world.network, 5) == {"free": None}


def test_a_site_without_a_needed_channel_is_no_choice(mirrors: Mirrors, world: World) -> None:
    """The others are reported as they are."""
    mirrors["near"].channels = frozenset({"conda-forge", "r"})
    mirrors["far"].channels = frozenset({"main", "conda-forge"})
    report = probe.measure(four(world)[:2], "conda", world)
    assert report.chosen == "far"
    assert rows(report)["near"].why.en == "it does not have the channel `main`"
    assert dict(rows(report)["far"].seen.channels) == {"main": True, "conda-forge": True, "r": False}


@pytest.mark.parametrize("family", ["python", "huggingface"])
def test_families_without_an_age(mirrors: Mirrors, world: World, family: str) -> None:
    """An answer is all that is known of them; the sooner wins."""
    mirrors["near"].latency_s = 0.1
    if family == "huggingface":
        for site in mirrors:
            site.redirect(site.url, "/internlm/*", status=307)
            site.rules[0] = replace(site.rules[0], to=site.url + "/npm/npm/-/npm-0.0.1.tgz?")
    report = probe.measure(four(world)[:2], family, world)
    assert report.chosen == "far"
    assert rows(report)["far"].lag.seconds is None


# Keeping, and choosing for all


def test_results_are_kept_for_a_day(mirrors: Mirrors, world: World) -> None:
    """A second time nobody is asked, unless that is wanted, or the site in use was not timed."""
    first = probe.measure(four(world), "pypi", world)
    asked = len(mirrors.log)
    assert probe.measure(four(world), "pypi", world) == first
    assert len(mirrors.log) == asked
    untimed = next(row.seen.site for row in first.rows if row.verdict == "unmeasured")
    again = probe.measure(four(world), "pypi", world, current=untimed)
    assert rows(again)[untimed].seen.rate_bytes_per_s is not None
    assert len(mirrors.log) > asked
    asked = len(mirrors.log)
    probe.measure(four(world), "pypi", world, fresh=True)
    assert len(mirrors.log) > asked


def test_no_network_is_not_kept(mirrors: Mirrors, world: World) -> None:
    """Whoever has none now may have one soon."""
    mirrors.close()
    assert probe.measure(four(world), "pypi", world).chosen is None
    assert not (world.paths.cache / "mirrors").exists()


def test_the_best_of_each_family(mirrors: Mirrors, world: World) -> None:
    """Only sites that list what is needed are asked; the one in use stays unless another is far better."""
    alone = replace(world, sites=replace(world.sites, by_id={site.id: site for site in four(world)}))
    mirrors["near"].refuse(503, "*/simple/*")
    for site in mirrors:
        site.bytes_per_s = 20 * MIB
    used = {"pypi": "old", "conda": "late"}
    found = {family: probe.best(family, alone, alone.sites.get(site)) for family, site in used.items()}
    assert {family: site.id for family, (site, _) in found.items()} == used


def test_nobody_can_be_used(mirrors: Mirrors, world: World) -> None:
    """It says so, and what can be done without measuring."""
    alone = replace(world, sites=replace(world.sites, by_id={site.id: site for site in four(world)}))
    mirrors.close()
    with pytest.raises(NoSiteAnswers) as caught:
        probe.best("npm", alone)
    assert caught.value.exit_code == ExitCode.UNAVAILABLE
    assert "none of the 4 mirror sites for npm" in caught.value.message()
    assert "nothing was changed" in caught.value.message()
    assert "internlm-setup mirrors --profile tutorial" in str(caught.value.next_step())
    nobody = replace(world, sites=replace(world.sites, by_id={}))
    with pytest.raises(NoSiteAnswers, match="there is none"):
        probe.best("npm", nobody)


def test_whom_to_ask(world: World) -> None:
    """For conda those that list main and conda-forge; for others all that serve the family."""
    conda = {site.id for site in probe.candidates(world.sites, "conda")}
    assert {"near", "tuna"} <= conda
    assert "ustc" not in conda
    assert probe.candidates(world.sites, "npm") == world.sites.having("npm")


class Counted(Mirrors):
    """Sites that count how many requests they have at the same time."""

    lock = threading.Lock()
    now = most = 0

    def _answer(self, site: MirrorSite, call: Call) -> Reply:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            return super()._answer(site, call)
        finally:
            with self.lock:
                self.now -= 1


def test_not_all_at_once(world: World) -> None:
    """No more than eight looks at a time."""
    mirrors = Counted("one")
    with mirrors:
        mirrors["one"].latency_s = 0.05
        one = site_at(f"{mirrors['one'].url}/simple", world)
        probe.measure([replace(one, id=f"one{number}") for number in range(24)], "pypi", world)
        assert 2 < mirrors.most <= 8
