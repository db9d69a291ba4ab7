"""One gentle question to a site: redirects are followed and remembered, and what went wrong is said in words."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from internlm_setup.core.http import Answer, Arriving, Network
from internlm_setup.core.parallel import within
from internlm_setup.core.reach import CAUSES, Unreachable
from internlm_setup.core.text import Text

CONNECT_PATIENCE_S = 2.0
MOST_BYTES = 64 << 10
LONGEST_WAY = 5  # requests, redirects included
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_STATUS = {
    403: Text(
        en="it refuses this network (403): sites do so where somebody nearby has downloaded too much",
        zh="它拒绝本网络的访问（403）：同一网段下载过多时镜像站会这样做",
    ),
    404: Text(en="it does not have this (404)", zh="它没有此内容（404）"),
    410: Text(en="it no longer has this (410)", zh="它不再提供此内容（410）"),
    429: Text(en="it is being asked too often (429)", zh="对它的请求过于频繁（429）"),
}
_OTHER_STATUS = Text(en="it answers with HTTP {status}", zh="它返回 HTTP {status}")
_LOOP = Text(en="it sends requests round in circles", zh="它的重定向没有尽头")
_ASTRAY = Text(en="it sends requests to what is no web address", zh="它重定向到无效的地址")


@dataclass(frozen=True, slots=True)
class Query:
    """One request.

    Attributes:
        url: Where to.
        method: `GET` or `HEAD`.
        headers: Beside the usual ones.
        most_bytes: How much of the body is read.
    """

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    most_bytes: int = MOST_BYTES


@dataclass(frozen=True, slots=True)
class Heard:
    """What came back.

    Attributes:
        url: Who answered in the end, after redirects.
        status: 0 where nobody did.
        headers: Names in lower case.
        body: The part that was read.
        first_byte_s: How long the first byte took, connecting and redirects included.
        trouble: Why it is of no use; None for 200 and 206.
    """

    url: str
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    first_byte_s: float = 0.0
    trouble: Text | None = None


def ask(query: Query, network: Network, patience_s: float) -> Heard:
    """Ask once, follow redirects, and give up when the patience is over, whatever it is spent on.

    Raises:
        ConfigError: The proxy or the CA file that the environment names cannot be used.
    """
    try:
        return within(patience_s, lambda: _followed(query, network, patience_s))
    except TimeoutError:
        return Heard(query.url, trouble=CAUSES["time-out"])
    except Unreachable as error:
        return Heard(query.url, trouble=error.cause)


def moved_to(url: str, answer: Answer | Arriving) -> str | None:
    """Return where an answer sends the asker on to, or None where it does not; empty where that is no web address."""
    if answer.status not in _REDIRECTS:
        return None
    further = urljoin(url, answer.headers.get("location", ""))
    parts = urlsplit(further)
    return further if parts.scheme in {"http", "https"} and parts.hostname else ""


def _followed(query: Query, network: Network, patience_s: float) -> Heard:
    began_s, url = time.monotonic(), query.url
    for _ in range(LONGEST_WAY):
        sent_s = time.monotonic()
        answer = network.request(
            query.method,
            url,
            headers=query.headers,
            most_bytes=query.most_bytes,
            patience_s=min(patience_s, CONNECT_PATIENCE_S),
        )
        further = moved_to(url, answer)
        if further is None:
            first_byte_s = sent_s - began_s + answer.first_byte_s
            trouble = None if answer.status in {200, 206} else _words(answer.status)
            return Heard(url, answer.status, answer.headers, answer.body, first_byte_s, trouble)
        if not further:
            return Heard(query.url, answer.status, trouble=_ASTRAY)
        url = further
    return Heard(query.url, 302, trouble=_LOOP)


def _words(status: int) -> Text:
    return _STATUS.get(status) or _OTHER_STATUS.fill(status=status)
