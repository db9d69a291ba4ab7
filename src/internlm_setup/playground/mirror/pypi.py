"""A package index (PEP 503) with real, tiny wheels."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import zipfile
from collections.abc import Mapping, Sequence

from internlm_setup.playground.hub.message import Reply, text_reply
from internlm_setup.playground.mirror.site import MirrorSite

_PROJECT = re.compile(r".*/simple/([A-Za-z0-9._-]+)/?")
_ROOT = re.compile(r".*/simple/?")
_FILE = re.compile(r".*/packages/([^/]+\.whl)")
_FILLER_BYTES = 1 << 20


class Index:
    """The projects that every site has: `playground-hello` to install, `pip` and `botocore` for those who measure.

    Their `pip` is older than any, so that nobody is ever upgraded to it.
    """

    def __init__(self) -> None:
        self._files: dict[str, dict[str, bytes]] = {}
        self.add("playground-hello", "1.0", {"playground_hello.py": b'WORDS = "hello from a mirror"\n'})
        self.add("pip", "0.0.1", {"filler": bytes(_FILLER_BYTES)})
        self.add("botocore", "0.0.1", {"filler": b""})

    def add(self, project: str, version: str, files: Mapping[str, bytes]) -> str:
        """Serve one more wheel; return its file name."""
        name = re.sub(r"[-_.]+", "_", project.lower())
        file = f"{name}-{version}-py3-none-any.whl"
        self._files.setdefault(name, {})[file] = _wheel(project, name, version, files)
        return file

    def answer(self, site: MirrorSite, path: str) -> Reply | None:
        """Answer for a page or a wheel; None for other paths."""
        if match := _PROJECT.fullmatch(path):
            files = self._files.get(re.sub(r"[-_.]+", "_", match[1].lower()))
            return text_reply("404 Not Found\n", 404) if files is None else _page(site, _links(files))
        if _ROOT.fullmatch(path):
            return _page(site, [f'<a href="{name}/">{name}</a>' for name in self._files])
        if match := _FILE.fullmatch(path):
            found = {file: data for files in self._files.values() for file, data in files.items()}.get(match[1])
            return None if found is None else Reply(200, {"Last-Modified": site.copied_at}, found)
        return None


def _links(files: Mapping[str, bytes]) -> list[str]:
    def link(file: str, data: bytes) -> str:
        return f'<a href="../../packages/{file}#sha256={hashlib.sha256(data).hexdigest()}">{file}</a>'

    return [link(file, data) for file, data in files.items()]


def _page(site: MirrorSite, links: Sequence[str]) -> Reply:
    lines = "<br/>\n".join(links)
    html = f"<!DOCTYPE html>\n<html><body>\n{lines}\n</body></html>\n<!--SERIAL {site.serial}-->"
    return Reply(200, {"Content-Type": "text/html", "Last-Modified": site.copied_at}, html.encode())


def _wheel(project: str, name: str, version: str, files: Mapping[str, bytes]) -> bytes:
    info = f"{name}-{version}.dist-info"
    whole = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {project}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: playground\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{file},sha256={_digest(data)},{len(data)}" for file, data in whole.items()]
    whole[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""]).encode()
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as wheel:
        for file, data in whole.items():
            wheel.writestr(zipfile.ZipInfo(file), data)
    return made.getvalue()


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
