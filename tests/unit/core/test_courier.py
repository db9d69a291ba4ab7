"""Carrying an SDK's requests: no secret abroad, no circle, no patience without end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from fakes import OFFLINE
from internlm_setup.core.courier import MOST_REDIRECTS, Courier, EndlessRedirects
from internlm_setup.core.http import Answer, Network
from internlm_setup.core.reach import Unreachable
from internlm_setup.core.retry import Busy

HOME = "https://hub.test:443"
SECRET = {"Authorization": "Bearer t", "Cookie": "m=t"}


@dataclass(frozen=True)
class Recorded(Network):
    """A network that answers with these statuses and notes the headers."""

    statuses: list[int] = field(default_factory=list)
    sent: list[Mapping[str, str]] = field(default_factory=list)

    def request(self, *_words: str, headers: Mapping[str, str] | None = None, **_: object) -> Answer:
        """See `Network.request`."""
        self.sent.append(headers or {})
        return Answer(self.statuses.pop(0), {"retry-after": "7"}, b"body")


def network(*statuses: int) -> Recorded:
    return Recorded(OFFLINE.user_agent, {}, (), (), list(statuses))


def test_secrets_stay_at_home() -> None:
    way = network(200, 200)
    courier = Courier(way, HOME)
    for url in ("https://hub.test/a", "https://hub.test:444/a"):
        assert courier.carry("GET", url, {**SECRET, "X-Own": "1", "Accept-Encoding": "br"}, None).body == b"body"
    assert way.sent == [{**SECRET, "X-Own": "1"}, {"X-Own": "1"}]


def test_a_circle_ends() -> None:
    """Sixteen redirects in a row are followed; any other answer starts the count anew."""
    row = [302] * MOST_REDIRECTS
    courier = Courier(network(*row, 200, *row, 302), HOME)
    for _ in range(2 * MOST_REDIRECTS + 1):
        courier.carry("GET", HOME, {}, None)
    with pytest.raises(EndlessRedirects, match=r"hub\.test redirects"):
        courier.carry("GET", HOME, {}, None)


def test_a_busy_server_says_how_long() -> None:
    with pytest.raises(Busy) as caught:
        Courier(network(429), HOME).carry("GET", HOME, {}, None)
    assert (caught.value.status, caught.value.wait_s) == (429, 7.0)


def test_time_is_up() -> None:
    with pytest.raises(Unreachable) as caught:
        Courier(network(), HOME, give_up_s=0.0).carry("GET", HOME, {}, None)
    assert (caught.value.host, caught.value.cause_id) == ("hub.test", "time-out")
