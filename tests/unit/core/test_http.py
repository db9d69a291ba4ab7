"""The way out: proxies and who goes round them, trust, and one small request."""

from __future__ import annotations

from pathlib import Path

import pytest

from internlm_setup.core.errors import ExitCode
from internlm_setup.core.http import Network, origin_of, user_agent
from internlm_setup.core.proxies import BadProxy, proxied
from internlm_setup.core.reach import Unreachable
from internlm_setup.core.trust import BadTrustFile
from servers.rude import KEPT, closed_port, listening, own_certificate

PUBLIC = 40  # any list of public authorities has more
PROXY = "http://proxy.test:3128"


def network(**env: str) -> Network:
    """Read a network from an environment."""
    return Network.from_env(env, "ours/1")


def test_user_agent() -> None:
    """Requests say who we are, with the version."""
    assert user_agent().startswith("internlm-setup/0.1.0 python/3.")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://Hub.TEST/a?b", "https://hub.test:443"),
        ("HTTP://hub.test", "http://hub.test:80"),
        ("http://me:pw@hub.test:81/x", "http://hub.test:81"),
        ("https://hub.test:443", "https://hub.test:443"),
        ("https://[::1]:8/", "https://::1:8"),
        ("ftp://hub.test/", "ftp://hub.test:0"),
        ("nonsense", "://:0"),
    ],
)
def test_origins(url: str, expected: str) -> None:
    """Two addresses have one origin when scheme, host and port agree, however they are written."""
    assert origin_of(url) == expected


@pytest.mark.parametrize(
    ("env", "url", "expected"),
    [
        ({}, "https://hub.test/", None),
        ({"HTTPS_PROXY": PROXY}, "https://hub.test/", PROXY),
        ({"HTTPS_PROXY": PROXY}, "http://hub.test/", None),
        ({"HTTP_PROXY": PROXY}, "http://hub.test/", PROXY),
        ({"ALL_PROXY": PROXY}, "https://hub.test/", PROXY),
        ({"ALL_PROXY": PROXY, "HTTPS_PROXY": "http://other.test:1"}, "https://hub.test/", "http://other.test:1"),
        ({"HTTPS_PROXY": PROXY, "https_proxy": "http://lower.test:1"}, "https://hub.test/", "http://lower.test:1"),
        ({"HTTPS_PROXY": PROXY, "https_proxy": ""}, "https://hub.test/", PROXY),
        ({"HTTPS_PROXY": "proxy.test:3128"}, "https://hub.test/", PROXY),
        ({"HTTPS_PROXY": "https://proxy.test"}, "https://hub.test/", "https://proxy.test"),
        ({"HTTPS_PROXY": ""}, "https://hub.test/", None),
    ],
)
def test_which_proxy(env: dict[str, str], url: str, expected: str | None) -> None:
    """The scheme's own variable wins over ALL_PROXY, lower case over upper case, and a bare host is http."""
    assert network(**env).proxy_for(url) == expected


@pytest.mark.parametrize("proxy", ["socks5://proxy.test", "socks5h://me:secret@proxy.test:1080", "socks4://proxy.test"])
def test_socks_proxies_are_taken(proxy: str) -> None:
    """With or without a port."""
    assert network(ALL_PROXY=proxy).proxy_for("https://hub.test/") == proxy


def test_one_proxy_for_everything() -> None:
    """A proxy that was given wins over every variable, but NO_PROXY still holds."""
    env = {"HTTPS_PROXY": "http://other.test:1", "http_proxy": "http://other.test:1", "NO_PROXY": "near.test"}
    found = Network.from_env(proxied(env, PROXY), "test/1")
    urls = ("http://hub.test", "https://hub.test", "https://near.test")
    assert [found.proxy_for(url) for url in urls] == [PROXY, PROXY, None]
    assert proxied(env, None) == env


@pytest.mark.parametrize(
    ("rules", "host"),
    [
        ("*", "anything.test"),
        ("hub.test", "hub.test"),
        ("hub.test", "cdn.hub.test"),
        (".hub.test", "cdn.hub.test"),
        (".hub.test", "hub.test"),
        ("*.hub.test", "cdn.hub.test"),
        ("HUB.test", "hub.TEST"),
        ("a.test, hub.test ,", "hub.test"),
        ("hub.test:8443", "hub.test:8443"),
        ("hub.test:443", "hub.test"),
        ("10.0.0.0/8", "10.1.2.3"),
        ("10.1.2.3", "10.1.2.3"),
        ("10.1.2.3:99", "10.1.2.3:99"),
        ("127.0.0.1/8", "127.9.9.9:5000"),
        ("::1", "[::1]:80"),
        ("fd00::/8", "[fd12::1]"),
    ],
)
def test_goes_round_the_proxy(rules: str, host: str) -> None:
    """NO_PROXY takes `*`, hosts, suffixes, ports, addresses and networks, in any case, with spaces."""
    assert network(HTTPS_PROXY=PROXY, NO_PROXY=rules).proxy_for(f"https://{host}/") is None


@pytest.mark.parametrize(
    ("rules", "host"),
    [
        ("hub.test", "nothub.test"),
        ("hub.test", "hub.test.evil"),
        ("cdn.hub.test", "hub.test"),
        ("hub.test:8443", "hub.test"),
        ("hub.test:80", "hub.test"),
        ("10.0.0.0/8", "11.1.2.3"),
        ("10.0.0.0/8", "ten.test"),
        ("10.0.0.0/8", "[::1]"),
        ("fd00::/8", "10.1.2.3"),
        (".", "hub.test"),
        (",", "hub.test"),
        ("", "hub.test"),
    ],
)
def test_stays_with_the_proxy(rules: str, host: str) -> None:
    """What only looks like a rule's host still goes through the proxy."""
    assert network(HTTPS_PROXY=PROXY, NO_PROXY=rules).proxy_for(f"https://{host}/") == PROXY


@pytest.mark.parametrize(
    ("proxy", "shown"),
    [
        ("socks6://me:secret@proxy.test:1080", "socks6://me:***@proxy.test:1080"),
        ("socks5://", "socks5://"),
        ("http://me:secret@proxy.test:port", "http://me:***@proxy.test:port"),
        ("http://proxy.test:99999", "http://proxy.test:99999"),
        ("me:sec/ret@proxy.test:3128", "http://me:***@proxy.test:3128"),
        ("http://[::1", "http://[::1"),
        ("http://", "http://"),
        ("ftp://proxy.test", "ftp://proxy.test"),
    ],
)
def test_proxies_that_cannot_be_used(proxy: str, shown: str) -> None:
    """A proxy of another kind, or that is no address at all, is a configuration error without its password."""
    with pytest.raises(BadProxy) as caught:
        network(HTTPS_PROXY=proxy).proxy_for("https://hub.test/")
    assert caught.value.proxy == shown
    assert caught.value.exit_code is ExitCode.CONFIG


def test_trust_file_that_is_not_there(tmp_path: Path) -> None:
    """A CA variable that names nothing is said with the variable's name."""
    with pytest.raises(BadTrustFile) as caught:
        network(REQUESTS_CA_BUNDLE=str(tmp_path / "gone.pem")).ssl_context()
    assert (caught.value.variable, caught.value.exit_code) == ("REQUESTS_CA_BUNDLE", ExitCode.CONFIG)


def test_trust_file_that_holds_no_certificate(tmp_path: Path) -> None:
    """So is one that names something else."""
    (tmp_path / "empty.pem").write_text("nothing\n")
    with pytest.raises(BadTrustFile, match="SSL_CERT_FILE"):
        network(SSL_CERT_FILE=str(tmp_path / "empty.pem")).ssl_context()


def test_trust_folders_are_left_to_openssl(tmp_path: Path) -> None:
    """A folder of certificates, and a file named twice, are no reason to fail."""
    _, trust = own_certificate(tmp_path)
    found = network(REQUESTS_CA_BUNDLE=str(tmp_path), SSL_CERT_FILE=str(trust), CURL_CA_BUNDLE=str(trust))
    assert found.ca_files == (("SSL_CERT_FILE", str(trust)),)
    assert network(REQUESTS_CA_BUNDLE=str(tmp_path)).ca_files == ()


def test_trust_is_built_once(tmp_path: Path) -> None:
    """Two networks with the same files share one context: reading the store is slow."""
    _, trust = own_certificate(tmp_path)
    one, other = network(SSL_CERT_FILE=str(trust)), network(SSL_CERT_FILE=str(trust))
    assert one.ssl_context() is other.ssl_context()


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_company_certificate(tmp_path: Path, variable: str) -> None:
    """A server whose certificate only the named file vouches for is trusted with it, and not without."""
    context, trust = own_certificate(tmp_path)
    with listening(tls=context) as server:
        assert network(**{variable: str(trust)}).request("GET", server.https).body == b"hi"
        with pytest.raises(Unreachable) as caught:
            network().request("GET", server.https)
    assert caught.value.cause_id == "tls"


def test_small_request() -> None:
    """A request says who we are and wants plain bytes; the answer's header names are in lower case."""
    with listening() as server:
        answer = network().request("POST", f"{server.url}/path?q=1", headers={"X-Own": "1"}, body=b"body")
    sent = server.received[0].decode()
    assert (answer.status, answer.body, answer.headers["x-kind"]) == (200, b"hi", "plain")
    assert sent.startswith("POST /path?q=1 HTTP/1.1\r\n")
    assert {"User-Agent: ours/1", "Accept-Encoding: identity", "X-Own: 1"} <= set(sent.split("\r\n"))


def test_redirects_are_answers() -> None:
    """A redirect is handed back, not followed: the caller decides who may see its token."""
    with listening(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n") as server:
        answer = network().request("GET", server.url)
    assert (answer.status, answer.headers["location"]) == (302, "http://127.0.0.1:1/")


def test_answers_without_end_are_cut() -> None:
    """No more is read than was asked for, whatever the server sends."""
    with listening(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(100_000)) as server:
        assert len(network().request("GET", server.url, most_bytes=1000).body) == 1000


def test_an_answer_is_read_as_it_arrives() -> None:
    """Status and headers come first, the body as asked for; what fails meanwhile is named."""
    with listening() as server, network().opened("GET", server.url) as answer:
        assert (answer.status, answer.headers["x-kind"]) == (200, "plain")
        assert answer.first_byte_s > 0
        assert answer.read(1) + answer.read(1) + answer.read(1) == b"hi"
    with pytest.raises(Unreachable) as caught, listening() as server, network().opened("GET", server.url):
        raise ConnectionResetError
    assert caught.value.cause_id == "closed"


def test_patience_of_a_request() -> None:
    """One that is silent for longer is left."""
    with listening(answer=None) as server, pytest.raises(Unreachable) as caught:
        network().request("GET", server.url, patience_s=0.05)
    assert caught.value.cause_id == "time-out"


@pytest.mark.parametrize("secure", [False, True])
def test_connections_are_kept(tmp_path: Path, secure: bool) -> None:
    """One connection serves request after request, a body of the most bytes wanted and one without a body included."""
    context, trust = own_certificate(tmp_path)
    with listening(KEPT, tls=context if secure else None, answers=4) as server:
        same, url = network(SSL_CERT_FILE=str(trust)), server.https if secure else server.url
        for most_bytes in (100, 2, 100):
            assert same.request("GET", url, most_bytes=most_bytes).body == b"hi"
        assert same.request("POST", url).body == b"hi"
    assert server.callers == 1


def test_what_is_not_read_whole_is_not_kept() -> None:
    """The rest of a body that was cut is not taken for the next answer."""
    with listening(KEPT, answers=2) as server:
        same = network()
        assert [same.request("GET", server.url, most_bytes=1).body for _ in range(2)] == [b"h"] * 2
    assert server.callers == 2


@pytest.mark.parametrize("secure", [False, True])
def test_kept_connection_that_was_given_up(tmp_path: Path, secure: bool) -> None:
    """A server that gives up a kept connection just when it is used again is asked once more over a new one."""
    context, trust = own_certificate(tmp_path)
    with listening(KEPT, tls=context if secure else None, answers=1) as server:
        same, url = network(SSL_CERT_FILE=str(trust)), server.https if secure else server.url
        assert [same.request("GET", url).status for _ in range(3)] == [200] * 3
    assert (server.callers, len(server.received)) == (3, 5)


def test_what_changes_something_is_not_sent_twice() -> None:
    """Nobody knows whether the server acted on a POST before it hung up."""
    with listening(KEPT, answers=1) as server:
        same = network()
        same.request("POST", server.url)
        with pytest.raises(Unreachable) as caught:
            same.request("POST", server.url)
    assert caught.value.cause_id == "closed"


def test_one_who_hangs_up_at_once_is_not_asked_twice() -> None:
    """A new connection that is closed without an answer is a failure."""
    with listening(b"") as server, pytest.raises(Unreachable) as caught:
        network().request("GET", server.url)
    assert (caught.value.cause_id, server.callers) == ("closed", 1)


def test_request_that_fails() -> None:
    """A failed request names host and cause."""
    with pytest.raises(Unreachable) as caught:
        network().request("GET", f"http://127.0.0.1:{closed_port()}/")
    assert (caught.value.host, caught.value.cause_id) == ("127.0.0.1", "refused")


def test_request_through_a_proxy() -> None:
    """The proxy gets the whole address, and its login is for the proxy alone."""
    with listening() as proxy:
        env = {"http_proxy": f"http://me:secret@127.0.0.1:{proxy.port}"}
        assert network(**env).request("GET", "http://hub.test/x").body == b"hi"
    lines = proxy.received[0].decode().split("\r\n")
    assert lines[0] == "GET http://hub.test/x HTTP/1.1"
    assert [line.split(": ")[1] for line in lines if line.lower().startswith("proxy-auth")] == ["Basic bWU6c2VjcmV0"]
    assert not [line for line in lines if line.lower().startswith("authorization")]


def test_proxy_without_a_login() -> None:
    """No login, no header for one."""
    with listening() as proxy:
        network(http_proxy=proxy.url).request("GET", "http://hub.test/x")
    assert b"proxy-auth" not in proxy.received[0].lower()


def test_dead_proxy() -> None:
    """With a dead proxy in between, the proxy is to blame: the hub is named, and the proxy without its password."""
    dead = f"127.0.0.1:{closed_port()}"
    for scheme in ("http", "https"):
        with pytest.raises(Unreachable) as caught:
            network(ALL_PROXY=f"http://me:secret@{dead}").request("GET", f"{scheme}://hub.test/")
        assert (caught.value.host, caught.value.cause_id) == ("hub.test", "proxy")
        assert caught.value.detail == f" (http://me:***@{dead}: the connection was refused)"


def test_what_another_program_is_lent(tmp_path: Path) -> None:
    """One file with the public certificates and the company's, under every name that a library reads."""
    _, company = own_certificate(tmp_path)
    lent = network(SSL_CERT_FILE=str(company)).lent(tmp_path)
    (trust,) = {Path(path) for path in lent.values()}
    assert set(lent) == {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}
    assert "".join(company.read_text().split()) in "".join(trust.read_text().split())
    assert trust.read_text().count("BEGIN CERTIFICATE") > PUBLIC
