"""Every way to misbehave, as a client sees it."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

import pytest

from internlm_setup.playground.hub import KINDS, Entry, Fault, FaultKind, HubServer, Repository
from servers.asking import ask, post_json

pytestmark = pytest.mark.loopback
TEXT = bytes(range(256)) * 4
HALF = len(TEXT) // 2


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    """Serve one file from the CDN and one from the hub itself."""
    (tmp_path / "big.bin").write_bytes(TEXT)
    (tmp_path / "small.txt").write_bytes(TEXT)
    ids = dict.fromkeys(("huggingface", "modelscope", "openxlab"), "org/name")
    with HubServer([Repository(ids, tmp_path)]) as server:
        yield server


def file_url(hub: HubServer, path: str = "small.txt") -> str:
    return f"{hub.url}/org/name/resolve/main/{path}"


def content_url(hub: HubServer) -> str:
    return ask(file_url(hub, "big.bin")).headers["location"]


def tree_url(hub: HubServer) -> str:
    return f"{hub.url}/api/models/org/name/tree/main?recursive=true"


def test_the_table_has_every_kind() -> None:
    """A kind without a row, or a row without a kind, is a mistake."""
    assert set(KINDS) == set(get_args(FaultKind))
    assert all(kind.where for kind in KINDS.values())


def test_flip(hub: HubServer) -> None:
    """One byte differs, where it was said, in the whole file and in the range that holds it."""
    fault = hub.faults.add(Fault("flip", files="*.bin", at_byte=700))
    body = ask(content_url(hub)).body
    assert [n for n in range(len(TEXT)) if body[n] != TEXT[n]] == [700]
    url = content_url(hub)
    assert ask(url, headers={"Range": "bytes=0-699"}).body == TEXT[:700]
    assert hub.faults.struck(fault) == 1
    assert ask(url, headers={"Range": "bytes=690-"}).body != TEXT[690:]
    assert ask(file_url(hub)).body == TEXT


def test_counting(hub: HubServer) -> None:
    """`skip` leaves the first alone, `times` ends it, `remove` and `clear` switch it off."""
    fault = hub.faults.add(Fault("server-error", files="small.txt", skip=1, times=2))
    assert [ask(file_url(hub)).status for _ in range(4)] == [200, 503, 503, 200]
    assert hub.faults.struck(fault) == 2
    hub.faults.remove(fault)
    always = hub.faults.add(Fault("server-error", hub="huggingface", status=500))
    assert [ask(file_url(hub)).status for _ in range(3)] == [500] * 3
    assert ask(f"{hub.url}/api/v1/models/org/name/repo?FilePath=small.txt").status == 200
    hub.faults.clear()
    assert ask(file_url(hub)).status == 200
    assert hub.faults.struck(always) == 0


@pytest.mark.parametrize("path", ["small.txt", "big.bin"])
def test_truncate(hub: HubServer, path: str) -> None:
    """The body ends before its length, from the hub and from the CDN."""
    hub.faults.add(Fault("truncate", times=1))
    url = content_url(hub) if path == "big.bin" else file_url(hub)
    with pytest.raises(http.client.IncompleteRead) as caught:
        ask(url)
    assert caught.value.partial == TEXT[:HALF]
    assert ask(url).body == TEXT


def test_drop(hub: HubServer) -> None:
    """The connection is reset after so many bytes; a shorter body is left alone."""
    hub.faults.add(Fault("drop", at_byte=100))
    with pytest.raises((ConnectionError, http.client.IncompleteRead)):
        ask(file_url(hub))
    assert len(ask(file_url(hub), headers={"Range": "bytes=0-50"}).body) == 51


def test_truncated_listing(hub: HubServer) -> None:
    """A listing is cut when the listing is meant."""
    hub.faults.add(Fault("truncate", where=frozenset({"listing"})))
    with pytest.raises(http.client.IncompleteRead):
        ask(tree_url(hub))


@pytest.mark.parametrize(("kind", "arrived"), [("stall", HALF), ("silence", 0)])
def test_stalls(hub: HubServer, kind: FaultKind, arrived: int) -> None:
    """The server goes quiet, half way or at once, until the client gives up."""
    fault = hub.faults.add(Fault(kind, files="small.txt"))
    with pytest.raises(TimeoutError):
        ask(file_url(hub), timeout_s=0.2)
    request = hub.log.wait_for(lambda r: r.path.endswith("small.txt"))
    assert (hub.faults.struck(fault), request.sent_bytes) == (1, arrived)


def test_closing_ends_a_stall(tmp_path: Path) -> None:
    """A server that is closed leaves no client waiting."""
    (tmp_path / "a.txt").write_bytes(TEXT)
    ended = threading.Event()

    def read(url: str) -> None:
        try:
            ask(url, timeout_s=30)
        except (OSError, http.client.HTTPException):
            ended.set()

    with HubServer([Repository({"huggingface": "org/name"}, tmp_path)]) as hub:
        hub.faults.add(Fault("stall", at_byte=5))
        reader = threading.Thread(target=read, args=(file_url(hub, "a.txt"),))
        reader.start()
        hub.log.wait_for_bytes(5)
    assert ended.wait(5)
    reader.join()


def test_drip(hub: HubServer) -> None:
    """Bytes come no faster than the fault allows."""
    hub.faults.add(Fault("drip", bytes_per_s=4096))
    started = time.monotonic()
    assert ask(file_url(hub)).body == TEXT
    assert time.monotonic() - started >= 0.2


def test_throttles(hub: HubServer) -> None:
    """Limits hold for each connection and for all together."""
    for limits in ({"connection_bytes_per_s": 4096}, {"total_bytes_per_s": 4096}):
        hub.faults.throttle(**limits)
        started = time.monotonic()
        assert ask(file_url(hub)).body == TEXT
        assert time.monotonic() - started >= 0.2
    hub.faults.throttle(total_bytes_per_s=8192)
    readers = [threading.Thread(target=ask, args=(file_url(hub),)) for _ in range(2)]
    started = time.monotonic()
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert time.monotonic() - started >= 0.2


def test_endless(hub: HubServer) -> None:
    """There is no length, and bytes never stop coming."""
    hub.faults.add(Fault("endless"))
    parts = urlsplit(file_url(hub))
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    connection.request("GET", parts.path)
    response = connection.getresponse()
    assert response.getheader("Content-Length") is None
    assert response.read(len(TEXT)) == TEXT
    assert len(response.read(5 << 20)) == 5 << 20
    response.close()
    connection.close()
    assert hub.log.wait_for(lambda r: r.path.endswith("small.txt")).sent_bytes > 5 << 20


def test_chunked(hub: HubServer) -> None:
    """There is no length, but an end; with `ignore-range` it is what olah sends."""
    hub.faults.add(Fault("ignore-range"))
    hub.faults.add(Fault("chunked"))
    answer = ask(file_url(hub), headers={"Range": "bytes=5-"})
    assert (answer.status, answer.body) == (200, TEXT)
    assert answer.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in answer.headers
    assert "content-length" in ask(file_url(hub), "HEAD").headers


def test_short_length(hub: HubServer) -> None:
    """The announced length is met, and is wrong."""
    hub.faults.add(Fault("short-length", at_byte=10))
    answer = ask(file_url(hub))
    assert (answer.headers["content-length"], answer.body) == ("10", TEXT[:10])


def test_range_faults(hub: HubServer) -> None:
    """A range may be ignored, refused, or answered as 200; whole files are left alone."""
    part = {"Range": "bytes=1-2"}
    expected = {
        "ignore-range": (200, TEXT, None),
        "range-200": (200, TEXT[1:3], "bytes 1-2/1024"),
        "range-416": (416, b"", "bytes */1024"),
    }
    for kind, (status, body, said) in expected.items():
        fault = hub.faults.add(Fault(kind))  # type: ignore[arg-type]
        assert ask(file_url(hub)).status == 200
        answer = ask(file_url(hub), headers=part)
        assert (answer.status, answer.body) == (status, body)
        assert answer.headers.get("content-range") == said
        hub.faults.remove(fault)


def test_etag(hub: HubServer) -> None:
    """The ETag changes after the first answer; a range that insists on the old one gets it all."""
    hub.faults.add(Fault("etag", skip=2))
    url = content_url(hub)
    first = ask(url).headers["etag"]
    part = {"Range": "bytes=1-2"}
    second = ask(url, headers=part)
    assert (second.status, second.headers["etag"] != first) == (206, True)
    assert ask(url, headers={**part, "If-Range": first}).status == 200
    assert "changed" in ask(file_url(hub, "big.bin")).headers["x-linked-etag"]


def test_expired(hub: HubServer) -> None:
    """The CDN says 403, the next address is good."""
    hub.faults.add(Fault("expired", times=1))
    assert ask(content_url(hub)).status == 403
    assert ask(content_url(hub)).body == TEXT


def test_rate_limit(hub: HubServer) -> None:
    """429 says how long to wait, in each hub's way, on listings too."""
    hub.faults.add(Fault("rate-limit", seconds=7))
    for url in (tree_url(hub), file_url(hub)):
        answer = ask(url)
        assert (answer.status, answer.headers["retry-after"]) == (429, "7")
        assert answer.headers["ratelimit"] == '"api";r=0;t=7'
    other = ask(f"{hub.url}/api/v1/models/org/name/repo/files")
    assert (other.status, other.headers["retry-after"]) == (429, "7")
    assert "ratelimit" not in other.headers
    hub.faults.clear()
    hub.faults.add(Fault("rate-limit", asking="ratelimit"))
    assert "retry-after" not in ask(file_url(hub)).headers


def test_garbage(hub: HubServer) -> None:
    """A log-in page stands where JSON or bytes should."""
    hub.faults.add(Fault("garbage"))
    url = hub.endpoints["openxlab"] + "/model-center/api/v1/cli/repository/getFileDownloadUrl"
    for answer in (ask(tree_url(hub)), ask(file_url(hub)), post_json(url, {})):
        assert (answer.status, answer.headers["content-type"]) == (200, "text/html")


def test_elsewhere(hub: HubServer) -> None:
    """Files are redirected to a third origin, which has them and notes what it was sent."""
    hub.faults.add(Fault("elsewhere"))
    for path in ("small.txt", "big.bin"):
        answer = ask(file_url(hub, path))
        assert answer.status == 302
        assert answer.headers["location"].startswith(hub.other_url)
        assert answer.headers["x-repo-commit"]
        assert ask(answer.headers["location"]).body == TEXT
    assert not any(r.carries_secret for r in hub.log if r.origin == "other")


def test_link_elsewhere(tmp_path: Path) -> None:
    """The next page is at the third origin, and is there."""
    entries = tuple(Entry(str(n), 1, "0" * 64, "1" * 40) for n in range(3))
    repository = Repository({"huggingface": "org/name"}, tmp_path, entries=entries)
    with HubServer([repository], page_size=2) as hub:
        hub.faults.add(Fault("link-elsewhere"))
        link = ask(tree_url(hub)).headers["link"]
        url = link[1 : link.index(">")]
        assert url.startswith(hub.other_url)
        answer = ask(url, headers={"Authorization": "Bearer t"})
        assert [row["path"] for row in answer.json()] == ["2"]
        assert hub.log.wait_for(lambda r: r.origin == "other").carries_secret


def test_a_connection_survives_what_allows_it(hub: HubServer) -> None:
    """Errors and short lengths keep the connection; it serves the next request."""
    hub.faults.add(Fault("server-error", times=1))
    parts = urlsplit(file_url(hub))
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    statuses = []
    for _ in range(3):
        connection.request("GET", parts.path)
        statuses.append(connection.getresponse())
        statuses[-1].read()
    assert [response.status for response in statuses] == [503, 200, 200]
    assert isinstance(connection.sock, socket.socket)
    connection.close()
