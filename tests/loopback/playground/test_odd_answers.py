"""Heads that are none, lengths and ranges that are wrong, addresses that lead nowhere, handshakes that break."""

from __future__ import annotations

import gzip
import http.client
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from internlm_setup.playground.hub import Asking, Fault, FaultKind, HubServer, Repository
from servers.asking import ask, post_json
from servers.tls_proxy import write_certificate

pytestmark = pytest.mark.loopback
TEXT = bytes(range(256)) * 4
IDS = dict.fromkeys(("huggingface", "modelscope", "openxlab"), "org/name")
PART = {"Range": "bytes=10-19"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository with one file at the CDN and one at the hub itself."""
    (tmp_path / "big.bin").write_bytes(TEXT)
    (tmp_path / "small.txt").write_bytes(TEXT)
    return tmp_path


@pytest.fixture
def hub(folder: Path) -> Iterator[HubServer]:
    with HubServer([Repository(IDS, folder)]) as server:
        yield server


def file_url(hub: HubServer, path: str = "small.txt") -> str:
    return f"{hub.url}/org/name/resolve/main/{path}"


def raw(hub: HubServer, count: int) -> bytes:
    """Ask for the small file over a plain socket and return the first bytes that come."""
    parts = urlsplit(file_url(hub))
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as client:
        client.sendall(f"GET {parts.path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        came = b""
        while len(came) < count and (block := client.recv(65536)):
            came += block
    return came


@pytest.mark.parametrize(
    ("kind", "begins"),
    [
        ("no-http", b"SSH-2.0-"),
        ("big-headers", b"HTTP/1.1 200 OK\r\nSet-Cookie: portal=xxx"),
        ("slow-headers", b"HTTP/1.1 200 OK\r\nX-xx"),
        ("continues", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
def test_odd_heads(hub: HubServer, kind: FaultKind, begins: bytes) -> None:
    """What comes is no answer to the request."""
    hub.faults.add(Fault(kind, times=1))
    assert raw(hub, len(begins)).startswith(begins)
    assert ask(file_url(hub)).body == TEXT


def test_a_header_that_no_client_takes(hub: HubServer) -> None:
    hub.faults.add(Fault("big-headers"))
    with pytest.raises(http.client.LineTooLong):
        ask(file_url(hub))


def test_hang_up(hub: HubServer) -> None:
    """The connection is reset before a status line."""
    hub.faults.add(Fault("hang-up", times=1))
    with pytest.raises(ConnectionError):
        ask(file_url(hub))
    assert ask(file_url(hub)).body == TEXT


def test_long_length(hub: HubServer) -> None:
    """More is announced than comes, of a whole file and of a range."""
    hub.faults.add(Fault("long-length"))
    for headers, right in (({}, TEXT), (PART, TEXT[10:20])):
        with pytest.raises(http.client.IncompleteRead) as caught:
            ask(file_url(hub), headers=headers)
        assert (caught.value.partial, caught.value.expected) == (right, 4096)


@pytest.mark.parametrize(
    ("kind", "said", "body"),
    [("range-shifted", "bytes 11-19/1024", TEXT[11:20]), ("range-total", "bytes 10-19/1025", TEXT[10:20])],
)
def test_wrong_ranges(hub: HubServer, kind: FaultKind, said: str, body: bytes) -> None:
    """A range is off by one, or of a file of another length; whole files are left alone."""
    hub.faults.add(Fault(kind))
    answer = ask(file_url(hub), headers=PART)
    assert (answer.status, answer.headers["content-range"], answer.body) == (206, said, body)
    assert ask(file_url(hub)).status == 200


def test_encoded(hub: HubServer) -> None:
    hub.faults.add(Fault("encoded"))
    answer = ask(file_url(hub))
    assert (answer.headers["content-encoding"], gzip.decompress(answer.body)) == ("gzip", TEXT)


def test_redirect_loop(hub: HubServer) -> None:
    hub.faults.add(Fault("redirect-loop"))
    answer = ask(file_url(hub))
    assert (answer.status, answer.headers["location"]) == (302, urlsplit(file_url(hub)).path)


def test_stale_link(hub: HubServer) -> None:
    """A redirect, and OpenXLab's list of addresses, lead to where 403 is said; the next is good again."""
    hub.faults.add(Fault("stale-link", times=2))
    stale = ask(file_url(hub, "big.bin")).headers["location"]
    asked = {"userName": "org", "repositoryName": "name"}
    url = hub.endpoints["openxlab"] + "/model-center/api/v1/cli/repository/getFileDownloadUrl"
    listed = str(post_json(url, asked).json()["data"]["data"]["modelNames"]["big"]["url"])
    assert [ask(each).status for each in (stale, listed)] == [403, 403]
    assert ask(ask(file_url(hub, "big.bin")).headers["location"]).body == TEXT


@pytest.mark.parametrize(("asking", "seen"), [("date", True), ("nothing", False), ("ratelimit", False)])
def test_other_ways_to_ask_for_patience(hub: HubServer, asking: Asking, seen: bool) -> None:
    hub.faults.add(Fault("rate-limit", asking=asking))
    headers = ask(file_url(hub)).headers
    assert ("retry-after" in headers, "ratelimit" in headers) == (seen, asking == "ratelimit")
    assert headers.get("retry-after", "GMT").endswith("GMT")


def test_one_server_of_several(hub: HubServer) -> None:
    """A fault of the CDN leaves the hub alone."""
    hub.faults.add(Fault("server-error", origins=frozenset({"cdn"})))
    assert ask(file_url(hub)).status == 200
    assert ask(ask(file_url(hub, "big.bin")).headers["location"]).status == 503


@pytest.fixture
def secure(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[HubServer, ssl.SSLContext]]:
    """The hub over https, and what makes a client trust it."""
    certificate, key = write_certificate(tmp_path_factory.mktemp("tls"), ("127.0.0.1",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with HubServer([Repository(IDS, folder)], tls=context) as server:
        yield server, ssl.create_default_context(cafile=str(certificate))


def ask_secure(url: str, trust: ssl.SSLContext) -> bytes:
    parts = urlsplit(url)
    connection = http.client.HTTPSConnection(parts.netloc, timeout=10, context=trust)
    connection.request("GET", f"{parts.path}?{parts.query}")
    response = connection.getresponse()
    if response.status == 302:
        return ask_secure(response.headers["location"], trust)
    return response.read()


def test_https(secure: tuple[HubServer, ssl.SSLContext]) -> None:
    """All of it can be had over TLS."""
    hub, trust = secure
    assert (hub.url[:8], hub.cdn_url[:8]) == ("https://", "https://")
    assert ask_secure(file_url(hub, "big.bin"), trust) == TEXT


@pytest.mark.parametrize(
    ("kind", "error"), [("tls-refused", ssl.SSLError), ("tls-cut", ConnectionError), ("tls-noise", ssl.SSLError)]
)
def test_broken_tls(secure: tuple[HubServer, ssl.SSLContext], kind: FaultKind, error: type[Exception]) -> None:
    """The handshake or the body breaks, at the CDN alone and once."""
    hub, trust = secure
    fault = hub.faults.add(Fault(kind, origins=frozenset({"cdn"}), times=1))
    with pytest.raises(error):
        ask_secure(file_url(hub, "big.bin"), trust)
    assert hub.faults.struck(fault) == 1
    assert ask_secure(file_url(hub, "big.bin"), trust) == TEXT
