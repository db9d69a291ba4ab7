"""Bytes over HTTP: one request for one span, redirects followed by hand, every answer judged.

A token goes to its hub's origin only. What may pass by waiting or asking again is `Again`; what will not is a
`SetupError`.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from internlm_setup.core.errors import SetupError
from internlm_setup.core.http import Network, origin_of
from internlm_setup.core.reach import CAUSES, diagnose
from internlm_setup.core.retry import TRY_LATER, asked_wait_s
from internlm_setup.core.text import Text
from internlm_setup.fetch.errors import FileMissing
from internlm_setup.fetch.model import Location
from internlm_setup.fetch.transfer.errors import BadRedirect, FileRefused, SizeMismatch

if TYPE_CHECKING:
    import urllib3

BLOCK_BYTES = 1 << 20
MOST_REDIRECTS = 8
MOST_DRAINED_BYTES = 64 << 10
_NUMBER = re.compile(r"[0-9]{1,18}")
FLOOR_BYTES_PER_S = 1024
FLOOR_WINDOW_S = 20.0


@dataclass
class Again(Exception):
    """This attempt failed; another may not.

    Attributes:
        reason: Why, for people.
        wait_s: How long the server asked us to wait, if it did.
        verdict: What to say if it is the same once more; None for what only many failures make certain.
    """

    reason: Text
    wait_s: float | None = None
    verdict: SetupError | None = None


class NoRanges(Exception):
    """The server ignored the Range header, or refused a good one: this content is to be had as one stream only."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for: `start` to `end` of a file of `size_bytes` (both may be unknown: the whole body)."""

    hub: str
    path: str
    start: int
    end: int | None
    size_bytes: int | None

    @property
    def is_whole(self) -> bool:
        """Whether this is all of the file, so that no Range header is needed."""
        return self.start == 0 and self.end == self.size_bytes


@dataclass
class Stream:
    """An open answer. Iterate over it for blocks; `close` gives the connection back when the body was used up."""

    response: urllib3.BaseHTTPResponse
    host: str
    wanted: Wanted
    length_bytes: int | None
    final: Location
    etag: str | None
    got_bytes: int = field(default=0, init=False)

    def __enter__(self) -> Stream:  # noqa: PYI034  # Self needs Python 3.11
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None and self.got_bytes == self.length_bytes:
            self.response.release_conn()
        else:
            self.response.close()

    def blocks(self, cancelled: threading.Event) -> Iterator[bytes]:
        """Yield blocks as they arrive, at most 1 MiB each, until the asked length.

        Raises:
            Again: The server closed early, stalled, or fell below the floor speed.
        """
        read: Any = getattr(self.response, "read1", None) or self.response._fp.read1  # type: ignore[attr-defined]  # urllib3 1.26
        mark_s, mark_bytes = time.monotonic(), 0
        while not cancelled.is_set():
            left = BLOCK_BYTES if self.length_bytes is None else self.length_bytes - self.got_bytes
            if left <= 0:
                return
            try:
                block = read(min(BLOCK_BYTES, left))
            except Exception as error:
                raise _again(error, self.host) from error
            if not block:
                if self.length_bytes is None:
                    return
                raise Again(_CLOSED_EARLY)
            if cancelled.is_set():
                return
            self.got_bytes += len(block)
            yield block
            now_s = time.monotonic()
            if now_s - mark_s >= FLOOR_WINDOW_S:
                if self.got_bytes - mark_bytes < FLOOR_BYTES_PER_S * FLOOR_WINDOW_S:
                    raise Again(_TOO_SLOW)
                mark_s, mark_bytes = now_s, self.got_bytes


_AT_HOST = Text(en="{host}: {cause}", zh="{host}：{cause}")
_ENCODED = Text(en="the server sent it compressed, unasked", zh="服务器擅自发送了压缩数据")
_CLOSED_EARLY = Text(en="the server closed the connection early", zh="服务器提前关闭了连接")
_TOO_SLOW = Text(en="the server sends next to nothing", zh="服务器几乎没有发送数据")
_OTHER_SIZE = Text(en="the server announced another length than the listed one", zh="服务器声明的长度与列表不符")
_EXPIRED = Text(en="the download link expired", zh="下载链接已过期")
STATUS = Text(en="the server answered {status}", zh="服务器应答 {status}")
_OFF_RANGE = Text(en="the server sent another part than asked for", zh="服务器发送的不是所请求的部分")


def _again(error: Exception, host: str) -> Exception:
    """Turn a library's network exception into `Again` in our words, with the host; anything else stays what it is."""
    import urllib3

    found = diagnose(error) or (("closed", "") if isinstance(error, urllib3.exceptions.HTTPError) else None)
    if found is None:
        return error
    return Again(_AT_HOST.fill(host=host, cause=CAUSES[found[0]]))


class Fetcher:
    """Opens streams, keeping connections. Safe for several threads."""

    def __init__(self, network: Network, connections: int) -> None:
        self._network = network
        self._connections = connections
        self._pools: dict[str, urllib3.PoolManager] = {}
        self._lock = threading.Lock()

    def open(self, location: Location, wanted: Wanted) -> Stream:
        """Ask for a span and judge the answer.

        Raises:
            Again: Worth another attempt.
            NoRanges: The server sends only whole bodies, and a part was asked for.
            SetupError: No use asking again.
        """
        url = location.url
        for _ in range(MOST_REDIRECTS):
            response = self._send(url, location, wanted)
            headers = {k.lower(): v for k, v in response.headers.items()}
            target = headers.get("location")
            if not (300 <= response.status < 400 and response.status != 304 and target):
                return _judge(response, headers, url, location, wanted)
            _leave(response, headers.get("content-length", ""))
            url = _next_hop(url, target, wanted.path)
        raise BadRedirect(urlsplit(location.url).hostname or "", wanted.path, "itself")

    def _send(self, url: str, location: Location, wanted: Wanted) -> urllib3.BaseHTTPResponse:
        headers = {"User-Agent": self._network.user_agent, "Accept-Encoding": "identity"}
        if not wanted.is_whole:
            last = "" if wanted.end is None else str(wanted.end - 1)
            headers["Range"] = f"bytes={wanted.start}-{last}"
        if origin_of(url) == location.origin:
            headers.update(location.headers)
        try:
            return self._pool(url).request(
                "GET",
                url,
                headers=headers,
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
            )
        except Exception as error:
            raise _again(error, urlsplit(url).hostname or "") from error

    def _pool(self, url: str) -> urllib3.PoolManager:
        origin = origin_of(url)
        with self._lock:
            if origin not in self._pools:
                self._pools[origin] = self._network.pool(url, self._connections)
            return self._pools[origin]


def _leave(response: urllib3.BaseHTTPResponse, length: str) -> None:
    """Give a redirect's connection back when its body is short; an endless one must not be waited for."""
    if _NUMBER.fullmatch(length) and int(length) <= MOST_DRAINED_BYTES:
        response.drain_conn()
        response.release_conn()
    else:
        response.close()


def _next_hop(url: str, target: str, path: str) -> str:
    """Resolve a redirect; only http(s), and never from https down to http."""
    try:
        hop = urljoin(url, target)
        scheme = urlsplit(hop).scheme.lower()
        origin_of(hop)
    except ValueError as error:  # a port or an address that is none
        raise BadRedirect(urlsplit(url).hostname or "", path, target[:80]) from error
    if scheme not in {"http", "https"} or (scheme == "http" and url.lower().startswith("https:")):
        raise BadRedirect(urlsplit(url).hostname or "", path, f"{scheme}://{urlsplit(hop).hostname}")
    return hop


def _judge(
    response: urllib3.BaseHTTPResponse,
    headers: Mapping[str, str],
    url: str,
    location: Location,
    wanted: Wanted,
) -> Stream:
    status = response.status
    if status not in {200, 206}:
        response.close()
        raise _refusal(status, headers, origin_of(url) == location.origin, wanted)
    if headers.get("content-encoding", "identity").lower() not in {"", "identity"}:
        response.close()
        raise Again(_ENCODED)
    try:
        length = _length(status, headers, wanted)
    except BaseException:
        response.close()
        raise
    final = replace(location, url=url)
    return Stream(response, urlsplit(url).hostname or "", wanted, length, final, headers.get("etag"))


def _refusal(status: int, headers: Mapping[str, str], at_hub: bool, wanted: Wanted) -> Exception:
    """Say what an error status means: a stale link, a busy server, a missing file, no permission."""
    if status in {401, 403, 404, 410} and not at_hub:
        return Again(_EXPIRED)
    if status in {401, 403}:
        return FileRefused(wanted.hub, wanted.path, status)
    if status in {404, 410}:
        return FileMissing(wanted.hub, wanted.path, status)
    if status == 416:
        total = re.fullmatch(r"bytes \*/([0-9]{1,18})", headers.get("content-range", ""))
        if total and wanted.size_bytes is not None and int(total[1]) != wanted.size_bytes:
            return _another_size(wanted, int(total[1]))
        return Again(STATUS.fill(status=status)) if wanted.is_whole else NoRanges()
    wait_s = asked_wait_s(headers, time.time()) if status in TRY_LATER else None
    return Again(STATUS.fill(status=status), wait_s=wait_s)


def _another_size(wanted: Wanted, found_bytes: int) -> Again:
    """A length other than the listed one: a page in between, a listing that is being renewed, or a lie."""
    verdict = SizeMismatch(wanted.path, wanted.hub, wanted.size_bytes or 0, found_bytes)
    return Again(_OTHER_SIZE, verdict=verdict)


def _length(status: int, headers: Mapping[str, str], wanted: Wanted) -> int | None:
    """Return how many bytes to read from a good answer.

    A 206, or a 200 that carries a matching Content-Range (as ModelScope sends), is a part; a bare 200 is the whole.
    """
    size = wanted.size_bytes
    part = re.fullmatch(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", headers.get("content-range", "").strip())
    declared = headers.get("content-length", "")
    if part is None:
        if status == 206:
            raise Again(_OFF_RANGE)
        if not wanted.is_whole:
            raise NoRanges
        known = _NUMBER.fullmatch(declared)
        if known and size is not None and int(declared) != size:
            raise _another_size(wanted, int(declared))
        return size if size is not None else (int(declared) if known else None)
    first, last, total = int(part[1]), int(part[2]), part[3]
    if size is not None and total != "*" and int(total) != size:
        raise _another_size(wanted, int(total))
    if first != wanted.start or (wanted.end is not None and last >= wanted.end):
        raise Again(_OFF_RANGE)
    end = wanted.end if wanted.end is not None else last + 1
    return end - first
