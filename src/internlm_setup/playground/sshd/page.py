"""The page on the dev machine's port, and what a command there would say of it."""

from __future__ import annotations

from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler

_PATIENCE_S = 60.0
_PAGE = """\
<!doctype html>
<meta charset="utf-8">
<title>playground</title>
<h1>This page came through the tunnel</h1>
<p>It stands in for a service on a dev machine; both are on this computer alone.</p>
<h1>本页经隧道而来</h1>
<p>它是开发机上某个服务的替身，一切都只在本机。</p>
""".encode()


class Page(BaseHTTPRequestHandler):
    """Answers one connection until it ends."""

    protocol_version = "HTTP/1.1"
    timeout = _PATIENCE_S

    def do_GET(self) -> None:
        """Give the page, or 404."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Give the page's head, or 404."""
        self._answer(with_body=False)

    def version_string(self) -> str:
        """Say what answers."""
        return "playground"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, *, with_body: bool) -> None:
        if self.path.partition("?")[0] != "/":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(_PAGE)))
        self.end_headers()
        if with_body:
            self.wfile.write(_PAGE)


def listening(ports: Iterable[int]) -> bytes:
    """Return the lines of `/proc/net/tcp` for ports of 127.0.0.1 that something listens on."""
    rest = "00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1"
    return "".join(f"{n:4d}: 0100007F:{port:04X} {rest}\n" for n, port in enumerate(sorted(ports))).encode()
