"""Through proxies on loopback: HTTP, CONNECT and SOCKS, from the environment and from `--proxy`."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from internlm_setup.playground import make_standin
from internlm_setup.playground.door import MODEL_IDS
from internlm_setup.playground.hub import HubServer, Repository
from servers.machine import MODEL, Done, Machine
from servers.proxies import http_proxy, socks_proxy
from servers.tls_proxy import write_certificate

WEIGHTS_BYTES = 8 << 20  # as in conftest
pytestmark = pytest.mark.loopback
LOGIN = ("me", "sec:ret/1")
WRITTEN = "me:sec%3Aret%2F1"
SECRETS = ("sec:ret", "sec%3Aret", "bWU6c2Vj")  # the last as in Proxy-Authorization
HUB_ALONE = frozenset({"hub.internal"})


@pytest.fixture
def far(machine: Machine) -> Machine:
    """A machine that reaches nothing without its proxy: what it asks for is not resolved or not excepted here."""
    kept = {k: v for k, v in machine.variables.items() if k.lower() != "no_proxy"}
    return Machine(machine.root, kept)


def fetched(machine: Machine, model: Mapping[str, bytes], *words: str, **variables: str) -> Done:
    """Fetch, and check that all came and that nothing told a password."""
    done = Machine(machine.root, {**machine.variables, **variables}).run(
        "fetch", MODEL, "--source", "huggingface", "-v", *words
    )
    assert (done.code, machine.files()) == (0, dict(model)), done.err
    assert_hidden(machine, done)
    return done


def assert_hidden(machine: Machine, done: Done) -> None:
    logs = "".join(p.read_text() for p in machine.home.rglob("*.log"))
    assert not [s for s in SECRETS if s in done.out + done.err + logs]


@pytest.mark.parametrize("how", ["HTTP_PROXY", "ALL_PROXY", "--proxy"])
def test_an_http_proxy(far: Machine, hub: HubServer, model: Mapping[str, bytes], how: str) -> None:
    """Its login is sent to it alone: the hub sees none of it."""
    with http_proxy(LOGIN) as proxy:
        url = f"http://{WRITTEN}@127.0.0.1:{proxy.port}"
        fetched(far, model, *(["--proxy", url] if how == "--proxy" else []), **({} if how == "--proxy" else {how: url}))
    assert len(proxy.asked) >= len(hub.log) > 0
    assert not [r for r in hub.log if "proxy-authorization" in r.headers]


@pytest.mark.parametrize("how", ["ALL_PROXY", "--proxy"])
@pytest.mark.parametrize("login", [None, LOGIN])
def test_a_socks_proxy(
    far: Machine, hub: HubServer, model: Mapping[str, bytes], how: str, login: tuple[str, str] | None
) -> None:
    with socks_proxy(login) as proxy:
        url = f"socks5://{WRITTEN + '@' if login else ''}127.0.0.1:{proxy.port}"
        fetched(far, model, *(["--proxy", url] if how == "--proxy" else []), **({} if how == "--proxy" else {how: url}))
    assert {target.rpartition(":")[2] for target in proxy.asked} >= {str(urlsplit(hub.url).port)}


@pytest.mark.parametrize("scheme", ["socks5h", "socks4a"])
def test_names_that_only_the_proxy_can_resolve(
    far: Machine, hub: HubServer, model: Mapping[str, bytes], scheme: str
) -> None:
    with socks_proxy(names=HUB_ALONE) as proxy:
        there = f"http://hub.internal:{urlsplit(hub.url).port}"
        fetched(far, model, "--proxy", f"{scheme}://127.0.0.1:{proxy.port}", HF_ENDPOINT=there)
    assert any(target.startswith("hub.internal:") for target in proxy.asked)


@pytest.mark.parametrize("scheme", ["http", "socks5h"])
def test_tls_through_a_proxy(tmp_path: Path, model: Mapping[str, bytes], scheme: str) -> None:
    """CONNECT, or SOCKS; the certificate that is checked is the hub's."""
    certificate, key = write_certificate(tmp_path, ("127.0.0.1",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    repository = Repository(MODEL_IDS, make_standin(tmp_path / "served", weights_bytes=WEIGHTS_BYTES))
    with HubServer([repository], tls=context) as hub, (http_proxy if scheme == "http" else socks_proxy)() as proxy:
        far = Machine(tmp_path / "far", {"HF_ENDPOINT": hub.url})
        words = ("--proxy", f"{scheme}://127.0.0.1:{proxy.port}")
        fetched(far, model, *words, SSL_CERT_FILE=str(certificate))
        other = Machine(tmp_path / "other", {"HF_ENDPOINT": hub.url})
        untrusted = other.run("fetch", MODEL, "--source", "huggingface", *words)
    assert proxy.asked
    assert untrusted.code == 69
    assert "certificate" in untrusted.err


def test_no_proxy_goes_round_it(far: Machine, model: Mapping[str, bytes]) -> None:
    """Also round one that was given with `--proxy`."""
    with http_proxy() as proxy:
        fetched(far, model, "--proxy", f"http://127.0.0.1:{proxy.port}", NO_PROXY="127.0.0.0/8")
    assert proxy.asked == []


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_wrong_login(far: Machine, scheme: str) -> None:
    """It is the proxy that is named, without the password."""
    with (http_proxy if scheme == "http" else socks_proxy)(("me", "other")) as proxy:
        url = f"{scheme}://{WRITTEN}@127.0.0.1:{proxy.port}"
        done = far.run("fetch", MODEL, "--source", "huggingface", "--proxy", url, "--json")
    assert done.code in {69, 76}
    assert proxy.refused
    assert_hidden(far, done)
    assert json.loads(done.out)["command"][5] == f"{scheme}://me:***@127.0.0.1:{proxy.port}"


@pytest.mark.parametrize("how", ["ALL_PROXY", "--proxy"])
@pytest.mark.parametrize("proxy", ["foo://x", "http://127.0.0.1:99999"])
def test_a_proxy_that_is_none(far: Machine, how: str, proxy: str) -> None:
    """It is said once, before any hub is asked, for a lock too; a fetch that goes round it needs none."""
    locked = far.run("fetch", MODEL, "--lock", "its.lock")
    assert locked.code == 0, locked.err
    words = ["--proxy", proxy] if how == "--proxy" else []
    far.variables = {**far.variables, **({} if words else {how: proxy})}
    for what in ((MODEL,), ("--lock", "its.lock")):
        done = far.run("fetch", *what, "--to", "new", *words)
        assert (done.code, done.err.count("cannot be used")) == (78, 1), done.err
        assert "asking" not in done.err
    assert far.run("fetch", MODEL, *words, NO_PROXY="127.0.0.1").code == 0


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h", "socks4"])
def test_a_proxy_that_is_not_there(far: Machine, scheme: str) -> None:
    done = far.run("fetch", MODEL, "--source", "huggingface", "--proxy", f"{scheme}://{WRITTEN}@127.0.0.1:9")
    assert done.code == 69
    assert "the proxy failed" in done.err
    assert f"{scheme}://me:***@127.0.0.1:9" in done.err.replace("\n", "")
    assert_hidden(far, done)


def test_a_hub_that_the_proxy_cannot_reach(far: Machine) -> None:
    """The proxy's own words are told."""
    with socks_proxy() as proxy:
        words = ("--proxy", f"socks5://127.0.0.1:{proxy.port}")
        done = Machine(far.root, {**far.variables, "HF_ENDPOINT": "http://127.0.0.1:9"}).run(
            "fetch", MODEL, "--source", "huggingface", *words
        )
    assert done.code == 69
    assert "refused" in done.err


def test_a_proxy_of_a_kind_that_nobody_speaks(far: Machine) -> None:
    done = far.run("fetch", MODEL, "--source", "huggingface", "--proxy", f"ftp://{WRITTEN}@127.0.0.1:9")
    assert done.code == 78
    assert_hidden(far, done)


@pytest.mark.parametrize("source", ["modelscope", "huggingface"])
def test_the_vendors_downloaders_go_through_it_too(far: Machine, hub: HubServer, source: str) -> None:
    with http_proxy() as proxy:
        words = ("--source", source, "--engine", "official", "--proxy", f"http://127.0.0.1:{proxy.port}")
        done = far.run("fetch", MODEL, *words)
    assert done.code == 0, done.err
    assert len(proxy.asked) >= len(hub.log)
