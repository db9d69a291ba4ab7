"""A package index and an npm registry on loopback, each with one tiny package; and what was asked of them."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PACKAGE, MODULE = "tiny-from-mirror", "tiny_from_mirror"
_WHEEL = f"{MODULE}-1.0-py3-none-any.whl"


@dataclass(slots=True)
class Index:
    """What answers: `url` for pip and the like, `npm` for npm; `asked` is the paths in order."""

    url: str
    npm: str
    asked: list[str] = field(default_factory=list)


@contextmanager
def serving() -> Iterator[Index]:
    """Serve the packages until the block ends."""
    index = Index("", "")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            index.asked.append(self.path)
            found = _page(self.path, index)
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", found[0] if found else "text/plain")
            body = found[1] if found else b""
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else body)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    address = f"http://127.0.0.1:{server.server_address[1]}"
    index.url, index.npm = f"{address}/pypi/simple", f"{address}/npm"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _page(path: str, index: Index) -> tuple[str, bytes] | None:
    pages = {
        f"/pypi/simple/{PACKAGE}/": ("text/html", f'<!DOCTYPE html><a href="../../{_WHEEL}">{_WHEEL}</a>'.encode()),
        f"/pypi/{_WHEEL}": ("application/octet-stream", _wheel()),
        f"/npm/{PACKAGE}": ("application/json", json.dumps(_document(index)).encode()),
        f"/npm/{PACKAGE}.tgz": ("application/octet-stream", _tarball()),
    }
    return pages.get(path)


def _wheel() -> bytes:
    data, info = io.BytesIO(), f"{MODULE}-1.0.dist-info"
    files = {
        f"{MODULE}.py": "FROM = 'mirror'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(data, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(zipfile.ZipInfo(name), text)
    return data.getvalue()


def _tarball() -> bytes:
    data = io.BytesIO()
    text = json.dumps({"name": PACKAGE, "version": "1.0.0"}).encode()
    with tarfile.open(fileobj=data, mode="w") as tar:
        member = tarfile.TarInfo("package/package.json")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    return data.getvalue()


def _document(index: Index) -> dict[str, object]:
    digest = base64.b64encode(hashlib.sha512(_tarball()).digest()).decode()
    dist = {"tarball": f"{index.npm}/{PACKAGE}.tgz", "integrity": f"sha512-{digest}"}
    version = {"name": PACKAGE, "version": "1.0.0", "dist": dist}
    return {"name": PACKAGE, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
