"""Bytes over HTTP: one request for one span, redirects followed by hand, every answer judged.

A token goes to its hub's origin only.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from internlm_setup.core.connections import ANSWER_PATIENCE_S
from internlm_setup.core.http import Network, origin_of
from internlm_setup.core.reach import CAUSES, diagnose
from internlm_setup.core.text import Text
from internlm_setup.fetch.model import Location
from internlm_setup.fetch.transfer.answer import Again, Wanted, body_bytes, is_short, next_hop
from internlm_setup.fetch.transfer.errors import BadRedirect

if TYPE_CHECKING:
    import urllib3

BLOCK_BYTES = 1 << 20
LEAST_ROOM_BYTES = 64 << 10
GATHER_BYTES, GATHER_S = 256 << 10, 0.01
MOST_REDIRECTS = 8
FLOOR_BYTES_PER_S = 1024
FLOOR_PATIENCE = 2  # times the patience for an answer: 20 s


@dataclass(eq=False)
class Stream:
    """An open answer. Leaving it gives the connection back when the body was used up."""

    response: urllib3.BaseHTTPResponse
    host: str
    wanted: Wanted
    length_bytes: int | None
    etag: str | None
    floor_window_s: float
    got_bytes: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._floor = _Floor(self.floor_window_s)
        self._failure: Again | None = None
        self._room_bytes = LEAST_ROOM_BYTES

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

    def read(self, most_bytes: int | None, cancelled: threading.Event) -> bytes:
        """Return what has arrived, at most 1 MiB of it; nothing at the end of the body, or when cancelled.

        Raises:
            Again: The server closed early, stalled, or fell below the floor speed.
        """
        if self._failure is not None:
            raise self._failure
        self._floor.check(self.got_bytes)
        limits = (BLOCK_BYTES, most_bytes, None if self.length_bytes is None else self.length_bytes - self.got_bytes)
        most = min(limit for limit in limits if limit is not None)
        block = self._gather(most, cancelled) if most > 0 else b""
        if cancelled.is_set():
            return b""
        if not block and most > 0 and self.length_bytes is not None:
            raise Again(_CLOSED_EARLY)
        self.got_bytes += len(block)
        return block

    def _gather(self, most_bytes: int, cancelled: threading.Event) -> bytes:
        """Put what arrives within a moment together: TLS hands out 16 KiB at a time.

        The room for each read follows what comes: too much of it is dear, since it is taken from the system anew.
        """
        blocks: list[bytes] = []
        left_bytes, enough_s = most_bytes, time.monotonic() + GATHER_S
        while left_bytes > most_bytes - GATHER_BYTES and left_bytes > 0:
            try:
                block = self._read(min(self._room_bytes, left_bytes), cancelled)
            except Again as error:
                if not blocks:
                    raise
                self._failure = error  # told next time, so that what came is kept
                break
            blocks.append(block)
            left_bytes -= len(block)
            if not block or time.monotonic() >= enough_s:
                break
            if len(block) == self._room_bytes:
                self._room_bytes = min(2 * self._room_bytes, BLOCK_BYTES)
            elif len(block) < self._room_bytes // 4:
                self._room_bytes = max(self._room_bytes // 2, LEAST_ROOM_BYTES)
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)

    def _read(self, most_bytes: int, cancelled: threading.Event) -> bytes:
        """Return what is there, at least one byte; nothing at the end of the body."""
        read: Any = getattr(self.response, "read1", None) or self.response._fp.read1  # type: ignore[attr-defined]  # urllib3 1.26
        try:
            return bytes(read(most_bytes))
        except Exception as error:
            if cancelled.is_set():  # we hung up ourselves
                return b""
            raise _again(error, self.host) from error


class _Floor:
    """The least speed that counts as alive."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._mark_s, self._mark_bytes = time.monotonic(), 0

    def check(self, got_bytes: int) -> None:
        """Raise `Again` when too little came in the last window."""
        now_s = time.monotonic()
        if now_s - self._mark_s < self._window_s:
            return
        if got_bytes - self._mark_bytes < FLOOR_BYTES_PER_S * self._window_s:
            raise Again(TOO_SLOW)
        self._mark_s, self._mark_bytes = now_s, got_bytes


_AT_HOST = Text(en="{host}: {cause}", zh="{host}：{cause}")
_CLOSED_EARLY = Text(en="the server closed the connection early", zh="服务器提前关闭了连接")
TOO_SLOW = Text(en="the server sends next to nothing", zh="服务器几乎没有发送数据")


def _again(error: Exception, host: str) -> Exception:
    """Turn a library's network exception into `Again` in our words, with the host; anything else stays what it is."""
    import urllib3

    found = diagnose(error) or (("closed", "") if isinstance(error, urllib3.exceptions.HTTPError) else None)
    if found is None:
        return error
    return Again(_AT_HOST.fill(host=host, cause=CAUSES[found[0]]))


class Fetcher:
    """Opens streams. Safe for several threads."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.floor_window_s = FLOOR_PATIENCE * ANSWER_PATIENCE_S
        self._streams: weakref.WeakSet[Stream] = weakref.WeakSet()
        self._lock = threading.Lock()

    def open(self, location: Location, wanted: Wanted, learned: Callable[[Location], None]) -> Stream:
        """Ask for a span and judge the answer; tell `learned` of a way past the hub as soon as it is known.

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
                final = replace(location, url=url)
                stream = self._judged(response, headers, final, wanted)
                learned(final)
                return stream
            if is_short(headers.get("content-length", "")):
                response.drain_conn()
                response.release_conn()
            else:  # an endless body must not be waited for
                response.close()
            url = next_hop(url, target, wanted.path)
            if origin_of(url) != location.origin:
                learned(replace(location, url=url))
        raise BadRedirect(urlsplit(location.url).hostname or "", wanted.path, "itself")

    def _judged(
        self, response: urllib3.BaseHTTPResponse, headers: Mapping[str, str], final: Location, wanted: Wanted
    ) -> Stream:
        try:
            length = body_bytes(response.status, headers, origin_of(final.url) == final.origin, wanted)
        except BaseException:
            response.close()
            raise
        host, window_s = urlsplit(final.url).hostname or "", self.floor_window_s
        stream = Stream(response, host, wanted, length, headers.get("etag"), window_s)
        with self._lock:
            self._streams.add(stream)
        return stream

    def hang_up(self) -> None:
        """Wake whoever still waits for bytes that nobody wants any more."""
        with self._lock:
            streams = list(self._streams)
        for stream in streams:
            shutdown = getattr(stream.response, "shutdown", None)  # urllib3 2.3
            if shutdown is not None:
                with suppress(OSError, ValueError, RuntimeError):  # it is over already
                    shutdown()

    def _send(self, url: str, location: Location, wanted: Wanted) -> urllib3.BaseHTTPResponse:
        headers = {"User-Agent": self._network.user_agent, "Accept-Encoding": "identity"}
        if not wanted.is_whole:
            last = "" if wanted.end is None else str(wanted.end - 1)
            headers["Range"] = f"bytes={wanted.start}-{last}"
        if origin_of(url) == location.origin:
            headers.update(location.headers)
        try:
            manager = self._network.pool(url)
            self.floor_window_s = FLOOR_PATIENCE * manager.connection_pool_kw["timeout"].read_timeout
            return manager.request(
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
