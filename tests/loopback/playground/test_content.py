"""Bytes: ranges, and the CDN with its signed addresses."""

from __future__ import annotations

from pathlib import Path

import pytest

from internlm_setup.playground.hub import Entry, HubServer, Repository
from servers.asking import ask

pytestmark = pytest.mark.loopback
TEXT = b"0123456789"


def serve(folder: Path) -> Repository:
    (folder / "big.bin").write_bytes(TEXT)
    (folder / "empty.txt").write_bytes(b"")
    return Repository({"huggingface": "org/name"}, folder)


def content_url(hub: HubServer, path: str = "big.bin") -> str:
    return ask(f"{hub.url}/org/name/resolve/main/{path}").headers["location"]


@pytest.mark.parametrize(
    ("asked", "status", "body", "said"),
    [
        ("bytes=0-", 206, TEXT, "bytes 0-9/10"),
        ("bytes=3-4", 206, b"34", "bytes 3-4/10"),
        ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=-99", 206, TEXT, "bytes 0-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=-0", 416, b"", "bytes */10"),
        ("bytes=4-3", 416, b"", "bytes */10"),
        ("bytes=-", 200, TEXT, None),
        ("bytes=0-1,3-4", 200, TEXT, None),
        ("lines=0-1", 200, TEXT, None),
    ],
)
def test_ranges(tmp_path: Path, asked: str, status: int, body: bytes, said: str | None) -> None:
    """One range is honoured, an impossible one refused, anything else gets the whole file."""
    with HubServer([serve(tmp_path)]) as hub:
        answer = ask(content_url(hub), headers={"Range": asked})
        assert (answer.status, answer.body) == (status, body)
        assert answer.headers.get("content-range") == said


def test_if_range(tmp_path: Path) -> None:
    """A range of another version is the whole file."""
    with HubServer([serve(tmp_path)]) as hub:
        url = content_url(hub)
        etag = ask(url, "HEAD").headers["etag"]
        part = {"Range": "bytes=2-3"}
        assert ask(url, headers={**part, "If-Range": etag}).status == 206
        assert ask(url, headers={**part, "If-Range": '"other"'}).status == 200


def test_empty_file(tmp_path: Path) -> None:
    """No bytes are 200 with length 0; no range of them exists."""
    with HubServer([serve(tmp_path)]) as hub:
        url = f"{hub.url}/org/name/resolve/main/empty.txt"
        assert (ask(url).status, ask(url).headers["content-length"]) == (200, "0")
        assert ask(url, headers={"Range": "bytes=0-"}).status == 416


def test_signatures(tmp_path: Path) -> None:
    """An address without a signature, with another file's, or taken back, is 403."""
    with HubServer([serve(tmp_path)]) as hub:
        url = content_url(hub)
        assert ask(url).body == TEXT
        where, query = url.split("?")
        assert ask(where).status == 403
        assert ask(where.replace("big.bin", "other.bin") + "?" + query).status == 403
        hub.expire_links()
        assert ask(url).status == 403
        assert ask(content_url(hub)).body == TEXT


def test_addresses_expire(tmp_path: Path) -> None:
    """An address whose time is over is 403 and says so."""
    with HubServer([serve(tmp_path)], link_lifetime_s=-1) as hub:
        answer = ask(content_url(hub))
        assert answer.status == 403
        assert b"expired" in answer.body


@pytest.mark.parametrize("secret", [{"Authorization": "Bearer t"}, {"Cookie": "m_session_id=t"}])
def test_the_cdn_refuses_secrets(tmp_path: Path, secret: dict[str, str]) -> None:
    """A token or cookie at the CDN is an error, and is on record."""
    with HubServer([serve(tmp_path)]) as hub:
        url = content_url(hub)
        assert ask(url, headers=secret).status == 400
        assert hub.log.wait_for(lambda r: r.origin == "cdn").carries_secret
        assert ask(hub.cdn_url + "/nothing").status == 404


def test_a_listed_file_without_bytes_is_404(tmp_path: Path) -> None:
    """A made-up entry can be listed and redirected to, but not read."""
    ghost = Entry("ghost.bin", 5, "0" * 64, "1" * 40, lfs=True)
    real = Entry("big.bin", 10, "0" * 64, "1" * 40, lfs=True)
    escape = Entry("../secret.bin", 10, "0" * 64, "1" * 40, lfs=True)
    (tmp_path / "secret.bin").write_bytes(b"secret")
    folder = tmp_path / "served"
    folder.mkdir()
    files = serve(folder)
    repository = Repository(files.ids, folder, entries=(ghost, real, escape))
    with HubServer([repository]) as hub:
        assert ask(content_url(hub, "ghost.bin")).status == 404
        assert ask(content_url(hub, "big.bin")).body == TEXT
        assert ask(content_url(hub, "%2E%2E/secret.bin")).status == 404
