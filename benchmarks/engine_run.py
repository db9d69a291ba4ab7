"""Our engine with another HTTP library under it: one file from one address, verified. Run by `http_libraries.py`.

Each library is used as well as threads that ask for one block at a time can use it: that is what the engine is.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from internlm_setup.core.clock import SystemClock
from internlm_setup.core.http import Network
from internlm_setup.fetch.model import Location
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.transfer.answer import Wanted
from internlm_setup.fetch.transfer.http import Fetcher
from internlm_setup.fetch.transfer.options import Options
from internlm_setup.fetch.transfer.plan import Content, Source
from internlm_setup.fetch.transfer.pool import transfer
from internlm_setup.fetch.transfer.rate import RateLimit
from internlm_setup.fetch.transfer.store import Store

BLOCK_BYTES = 1 << 20
Block = bytes | bytearray


class Stream:
    """What the engine wants of an open answer."""

    etag = None

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def __enter__(self) -> Stream:  # noqa: PYI034  # Self needs Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._answer.close()

    def read(self, most_bytes: int | None, cancelled: threading.Event) -> Block:
        """Return the next block."""
        del most_bytes, cancelled
        block: Block = self._answer.block()
        return block


class Other(Fetcher):
    """A fetcher over another library; its answers have `block` and `close`."""

    def __init__(self, network: Network, connections: int) -> None:
        super().__init__(network)
        self.connections = connections

    def open(self, location: Location, wanted: Wanted, learned: Callable[[Location], None]) -> Any:
        """Ask for a span."""
        last = "" if wanted.end is None else wanted.end - 1
        answer = self.ask(location.url, f"{wanted.start}-{last}")
        learned(location)
        return Stream(answer)

    def ask(self, url: str, span: str) -> Any:
        """Ask for a span of an address."""
        raise NotImplementedError


class Httpx2(Other):
    """httpx2, the library under huggingface_hub 2."""

    def __init__(self, network: Network, connections: int) -> None:
        super().__init__(network, connections)
        import httpx2

        self._client = httpx2.Client(limits=httpx2.Limits(max_connections=connections))

    def ask(self, url: str, span: str) -> Any:
        """See `Other.ask`."""
        request = self._client.build_request("GET", url, headers={"Range": f"bytes={span}"})
        answer: Any = self._client.send(request, stream=True)
        blocks = answer.iter_raw()
        answer.block = lambda: next(blocks, b"")
        return answer


class Aiohttp(Other):
    """aiohttp: an event loop in each thread."""

    _own = threading.local()

    def ask(self, url: str, span: str) -> Any:
        """See `Other.ask`."""
        import aiohttp

        if not hasattr(self._own, "loop"):
            self._own.loop = asyncio.new_event_loop()

            async def begin() -> Any:
                return aiohttp.ClientSession(read_bufsize=BLOCK_BYTES)

            self._own.session = self._own.loop.run_until_complete(begin())
        loop, session = self._own.loop, self._own.session
        answer: Any = loop.run_until_complete(session.get(url, headers={"Range": f"bytes={span}"}))
        answer.block = lambda: loop.run_until_complete(answer.content.readany())
        return answer


class Pycurl(Other):
    """pycurl: libcurl's easy handle in each thread, driven block by block."""

    _own = threading.local()

    def ask(self, url: str, span: str) -> Any:
        """See `Other.ask`."""
        import pycurl

        if not hasattr(self._own, "curl"):
            self._own.curl, self._own.multi = pycurl.Curl(), pycurl.CurlMulti()
        return _CurlAnswer(pycurl, self._own.curl, self._own.multi, url, span)


class _CurlAnswer:
    def __init__(self, pycurl: Any, curl: Any, multi: Any, url: str, span: str) -> None:
        self._curl, self._multi, self._again = curl, multi, pycurl.E_CALL_MULTI_PERFORM
        self._blocks: list[bytes] = []
        self._running = 1
        curl.setopt(pycurl.URL, url)
        curl.setopt(pycurl.RANGE, span)
        curl.setopt(pycurl.BUFFERSIZE, 512 << 10)
        curl.setopt(pycurl.WRITEFUNCTION, self._blocks.append)
        multi.add_handle(curl)

    def block(self) -> bytes:
        while self._running and not self._blocks:
            code = self._again
            while code == self._again:
                code, self._running = self._multi.perform()
            if self._running and not self._blocks:
                self._multi.select(1.0)
        joined = b"".join(self._blocks)
        self._blocks.clear()
        return joined

    def close(self) -> None:
        self._multi.remove_handle(self._curl)


LIBRARIES: dict[str, Callable[[Network, int], Fetcher]] = {
    "urllib3": lambda network, _jobs: Fetcher(network),
    "httpx2": Httpx2,
    "aiohttp": Aiohttp,
    "pycurl": Pycurl,
}


def main(library: str, url: str, size_bytes: str, sha256: str, target: str, jobs: str) -> None:
    """Fetch one file; an exception is the only way to fail."""
    parts, path = urlsplit(url), Path(target)
    where = Location(url, f"{parts.scheme}://{parts.netloc}")
    content = Content(sha256, int(size_bytes), sha256, None, (path.name,), (Source("one", lambda: where),))
    clock = SystemClock()
    options = Options(int(jobs), RateLimit(None, clock), clock, events.ignore, lambda _entry: None)
    fetcher = LIBRARIES[library](Network("benchmark/1", {}, (), ()), int(jobs))
    store = Store(path.parent)
    with store.locked():
        ((outcome,), _) = transfer([content], store, fetcher, options)
    if outcome.error is not None:
        raise outcome.error


if __name__ == "__main__":
    main(*sys.argv[1:])
