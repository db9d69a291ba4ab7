"""The server itself: its addresses, its log, its files as they change."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from internlm_setup.playground.hub import HubServer, Repository
from servers.asking import ask

pytestmark = pytest.mark.loopback


def test_addresses(hub: HubServer) -> None:
    """Three origins on loopback, and the variables that lead there."""
    assert len({hub.url, hub.cdn_url, hub.other_url}) == 3
    assert all(u.startswith("http://127.0.0.1:") for u in (hub.url, hub.cdn_url, hub.other_url))
    variables = hub.environment()
    assert variables["HF_ENDPOINT"] == variables["MODELSCOPE_ENDPOINT"] == hub.url
    assert variables["OPENXLAB_ENDPOINT"] == hub.url + "/api/v1" == hub.endpoints["openxlab"]
    assert ask(hub.url).status == 404


def test_log(hub: HubServer) -> None:
    """What was asked is on record, header by header; a wait that fails says so."""
    url = f"{hub.url}/api/models/internlm/internlm-chat-7b/tree/main?recursive=true"
    sent = len(ask(url, headers={"X-Test": "yes"}).body)
    request = hub.log.wait_for(lambda r: r.path.endswith("/tree/main"))
    assert (request.origin, request.hub, request.method) == ("hub", "huggingface", "GET")
    assert (request.query, request.headers["x-test"]) == ({"recursive": "true"}, "yes")
    assert (request.status, request.sent_bytes, hub.log.sent_bytes) == (200, sent, sent)
    assert len(hub.log) == 1
    hub.log.clear()
    assert (len(hub.log), hub.log.sent_bytes) == (0, 0)
    with pytest.raises(TimeoutError):
        hub.log.wait_for(lambda r: r.method == "PUT", timeout_s=0.01)
    with pytest.raises(TimeoutError):
        hub.log.wait_for_bytes(1, timeout_s=0.01)


def test_a_changed_file_is_seen(tmp_path: Path) -> None:
    """Size and hash follow the disk, by listing and by file, and so does the commit."""
    file = tmp_path / "a.txt"
    file.write_text("one")
    with HubServer([Repository({"huggingface": "org/name"}, tmp_path)]) as hub:
        url = f"{hub.url}/org/name/resolve/main/a.txt"
        before = ask(url)
        file.write_text("two!")
        os.utime(file, ns=(1, 1))
        after = ask(url)
        assert (before.body, after.body) == (b"one", b"two!")
        assert before.headers["etag"] != after.headers["etag"]
        assert before.headers["x-repo-commit"] != after.headers["x-repo-commit"]
        file.unlink()
        assert ask(url).status == 404
        (tmp_path / "b.txt").write_text("new")
        assert ask(f"{hub.url}/org/name/resolve/main/b.txt").body == b"new"


def test_repositories_may_come_later(hub: HubServer, tmp_path: Path) -> None:
    """A running server takes more repositories."""
    (tmp_path / "a.txt").write_text("one")
    assert ask(f"{hub.url}/api/models/org/late").status == 401
    hub.add(Repository({"huggingface": "org/late"}, tmp_path))
    assert ask(f"{hub.url}/org/late/resolve/main/a.txt").body == b"one"


def test_lfs_by_name_and_by_size(tmp_path: Path) -> None:
    """Weights are LFS however small, anything is beyond the threshold."""
    for name, size in (("w.bin", 1), ("t.txt", 5), ("t2.txt", 6)):
        (tmp_path / name).write_bytes(bytes(size))
    repository = Repository({"huggingface": "org/name"}, tmp_path, lfs_threshold_bytes=5)
    with HubServer([repository]) as hub:
        url = f"{hub.url}/org/name/resolve/main/"
        statuses = [ask(url + name, "HEAD").status for name in ("w.bin", "t.txt", "t2.txt")]
        assert statuses == [302, 200, 302]


def test_a_request_in_chunks_and_by_full_address(hub: HubServer) -> None:
    """Proxies send full addresses, and some clients send bodies without a length."""
    parts = urlsplit(hub.url)
    path = f"{hub.url}/api/models/internlm/internlm-chat-7b/paths-info/main"
    lines = [
        f"POST {path} HTTP/1.1",
        "Transfer-Encoding: chunked",
        "Content-Type: application/json",
        "Connection: close",
        *("", "5", '{"pat', "15", 'hs": ["config.json"]}', "0", "", ""),
    ]
    with socket.create_connection((str(parts.hostname), parts.port or 0), timeout=10) as client:
        client.sendall("\r\n".join(lines).encode())
        answer = b""
        while block := client.recv(4096):
            answer += block
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b'"path": "config.json"' in answer


@pytest.mark.parametrize("noise", [b"hello\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"])
def test_noise_is_hung_up_on(hub: HubServer, noise: bytes) -> None:
    """What is not HTTP gets no answer, and does no harm."""
    parts = urlsplit(hub.url)
    with socket.create_connection((str(parts.hostname), parts.port or 0), timeout=10) as client:
        client.sendall(noise)
        assert client.recv(1) == b""
    assert ask(hub.url).status == 404
