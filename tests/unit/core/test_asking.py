"""One question in several small requests: where it follows to, what it takes along, and when it stops."""

from __future__ import annotations

import time

import pytest

from internlm_setup.core.asking import MOST_REDIRECTS, Asking, json_object
from internlm_setup.core.http import Answer, Network, origin_of
from internlm_setup.core.reach import Unreachable
from internlm_setup.core.retry import Busy
from servers.rude import Listener, listening

SECRET = {"Authorization": "Bearer secret"}
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


def moved(to: str) -> bytes:
    """A redirect to another address."""
    return b"HTTP/1.1 307 Moved\r\nContent-Length: 0\r\nConnection: close\r\nLocation: %s\r\n\r\n" % to.encode()


def asking(listener: Listener, left_s: float = 60) -> Asking:
    """Ask this listener, with a token for it alone."""
    network = Network.from_env({}, "ours/1")
    return Asking(network, origin_of(listener.url), SECRET, time.monotonic() + left_s)


def test_the_token_goes_to_its_origin() -> None:
    with listening(GOOD) as hub:
        answer = asking(hub).get(f"{hub.url}/list")
    assert (answer.status, json_object(answer)) == (200, {})
    assert b"Authorization: Bearer secret" in hub.received[0]
    assert "secret" not in repr(asking(hub))


def test_a_redirect_to_another_origin_leaves_the_token_behind() -> None:
    with listening(GOOD) as other, listening(moved(f"{other.url}/there?x=1")) as hub:
        assert asking(hub).get(f"{hub.url}/list").status == 200
    assert b"secret" in hub.received[0]
    assert other.received[0].startswith(b"GET /there?x=1 ")
    assert b"secret" not in other.received[0]


def test_another_address_is_never_sent_the_token() -> None:
    """As for a next page, which a listing may put anywhere."""
    with listening(GOOD) as hub, listening(GOOD) as other:
        asking(hub).get(f"{other.url}/page2")
    assert b"secret" not in other.received[0]


def test_a_redirect_to_a_relative_address_stays_at_home() -> None:
    with listening(moved("list/")) as hub:
        assert asking(hub).get(f"{hub.url}/api/list").status == 307
    assert [block.split(b" ")[1] for block in hub.received[:3]] == [
        b"/api/list", b"/api/list/", b"/api/list/list/"
    ]  # fmt: skip
    assert len(hub.received) == MOST_REDIRECTS + 1
    assert all(b"secret" in block for block in hub.received)


@pytest.mark.parametrize("where", ["ftp://hub.test/x", "file:///etc/passwd", "http://hub.test:port/"])
def test_an_address_that_is_none_of_the_webs_is_not_followed(where: str) -> None:
    with listening(moved(where)) as hub, pytest.raises(ValueError, match=r"web's|[Pp]ort"):
        asking(hub).get(hub.url)


def test_a_busy_server_says_so_with_its_wait() -> None:
    busy = b"HTTP/1.1 429 Busy\r\nContent-Length: 0\r\nRetry-After: 7\r\nConnection: close\r\n\r\n"
    with listening(busy) as hub, pytest.raises(Busy) as caught:
        asking(hub).get(hub.url)
    assert (caught.value.status, caught.value.wait_s) == (429, 7.0)


def test_time_is_up() -> None:
    with listening(GOOD) as hub, pytest.raises(Unreachable) as caught:
        asking(hub, left_s=-1).get(hub.url)
    assert (caught.value.cause_id, hub.received) == ("time-out", [])


def test_links_in_two_headers_are_both_there() -> None:
    """A proxy may add one of its own."""
    links = b'HTTP/1.1 200 OK\r\nLink: </2>; rel="next"\r\nLink: </x>; rel="preload"\r\nContent-Length: 0\r\n\r\n'
    with listening(links) as hub:
        answer = asking(hub).get(hub.url)
    assert answer.headers["link"] == '</2>; rel="next", </x>; rel="preload"'


@pytest.mark.parametrize("body", [b"", b"<html>token</html>", b"[]", b"null", b'"text"', b"\xff", b'{"cut'])
def test_what_is_no_json_object(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"^not (a )?JSON( object)?$"):
        json_object(Answer(200, {}, body))
