"""The sites' servers: each has an origin of its own, because what matters about a mirror is where it leads."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from types import TracebackType
from urllib.parse import unquote, urlsplit

from internlm_setup.playground.hub.connection import Connection
from internlm_setup.playground.hub.faults import Faults
from internlm_setup.playground.hub.log import RequestLog
from internlm_setup.playground.hub.message import Call, Delivery, Reply, text_reply
from internlm_setup.playground.hub.server import Listener
from internlm_setup.playground.mirror import apt, conda, npm, pypi
from internlm_setup.playground.mirror.site import MirrorSite

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class Mirrors:
    """Mirror sites on loopback, by name. Use as a context manager; the addresses exist from `__enter__` on.

    Whatever a path begins with, what follows decides: `…/simple/NAME/` is the package index,
    `…/{pkgs,cloud}/CHANNEL/SUBDIR/…` conda's, `…/{debian,ubuntu}/dists/…` apt's, the rest npm's.

    Example:
        with Mirrors("near", "far") as mirrors:
            mirrors["far"].latency_s = 0.2
            subprocess.run(["pip", "download", "playground-hello", "-i", mirrors["near"].url + "/simple/"])

    Attributes:
        index: The package index's wheels; more can be added.
        log: What was asked of any site; `hub` is the site's name.
    """

    def __init__(self, *names: str) -> None:
        self.index = pypi.Index()
        self.log = RequestLog()
        self._sites = {name: MirrorSite(name) for name in names}
        self._listeners: list[Listener] = []
        self._closing = threading.Event()

    def __getitem__(self, name: str) -> MirrorSite:
        return self._sites[name]

    def __iter__(self) -> Iterator[MirrorSite]:
        return iter(self._sites.values())

    def start(self) -> None:
        """Begin to listen; `close` ends it."""
        for site in self:
            site.url = f"http://127.0.0.1:{self._listen(site)}"

    def close(self) -> None:
        """End every connection and free the ports."""
        self._closing.set()
        for listener in self._listeners:
            listener.close()

    def __enter__(self) -> Mirrors:  # noqa: PYI034  # Self needs Python 3.11
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _listen(self, site: MirrorSite) -> int:
        def answer(call: Call) -> Reply:
            return self._answer(site, call)

        def serve(client: socket.socket) -> None:
            Connection(client, "other", answer, Faults(), self.log, self._closing).serve()

        self._listeners.append(Listener(serve, lambda client: client))
        return self._listeners[-1].port

    def _answer(self, site: MirrorSite, call: Call) -> Reply:
        self._closing.wait(site.latency_s)
        path = unquote(urlsplit(call.target).path)
        rule = site.rule(path)
        if rule is not None:
            moved = {"Location": rule.to + urlsplit(call.target).path} if rule.to else {}
            reply = text_reply(f"{rule.status}\n", rule.status, moved)
        else:
            reply = _part(call, self._copy(site, path))
        return replace(reply, hub=site.name, path=path, delivery=Delivery(bytes_per_s=site.bytes_per_s))

    def _copy(self, site: MirrorSite, path: str) -> Reply:
        for answer in (self.index.answer, conda.answer, apt.answer, npm.answer):
            reply = answer(site, path)
            if reply is not None:
                return reply
        if path.endswith("/"):
            return text_reply(f"{site.name}, a stand-in for a mirror site\n")
        return text_reply("404 Not Found\n", 404)


def _part(call: Call, reply: Reply) -> Reply:
    """Return the range that was asked for, where one was."""
    asked = _RANGE.fullmatch(call.headers.get("range", ""))
    if reply.status != 200 or asked is None or asked.groups() == ("", ""):
        return reply
    first, last = asked.groups()
    size = reply.length
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if start >= end:
        return text_reply("416\n", 416, {"Content-Range": f"bytes */{size}"})
    part = bytes(reply.content)[start:end] if isinstance(reply.content, bytes) else b""
    whole = {"Content-Range": f"bytes {start}-{end - 1}/{size}"}
    return replace(reply.with_headers(whole), status=206, content=part)
