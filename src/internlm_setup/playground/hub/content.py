"""Bytes of files: ranges of them, and the CDN that large ones are read from.

The CDN is anonymous: an address is signed for a while, and a token or cookie that reaches it is
refused, so that a client that leaks one is noticed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit

from internlm_setup.playground.hub.library import Library
from internlm_setup.playground.hub.message import Call, Reply, Span, text_reply
from internlm_setup.playground.hub.repository import Entry

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def file_reply(call: Call, entry: Entry, headers: Mapping[str, str]) -> Reply:
    """Return a file's bytes, or the one range of them that was asked for.

    Several ranges at once, and `If-Range` with another ETag, get the whole file, as RFC 9110
    allows.

    Args:
        call: The request; `Range` and `If-Range` are read.
        entry: The file; it must have a `source`.
        headers: Sent with the bytes; `ETag` is compared with `If-Range`.

    Returns:
        200, 206 with `Content-Range`, or 416; 404 when the file is only listed.

    Source:
        RFC 9110 sections 13.1.5 and 14, read 2026-10.
    """
    if entry.source is None:
        return text_reply("Entry not found", 404)
    size = entry.source.stat().st_size
    named = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes", **headers}
    asked = _RANGE.fullmatch(call.headers.get("range", ""))
    if asked is None or asked.groups() == ("", "") or _has_changed(call, headers):
        return Reply(200, named, Span(entry.source, 0, size, size))
    first, last = asked.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(size, int(last) + 1) if first and last else size
    if start >= size or end <= start:
        return Reply(416, {**named, "Content-Range": f"bytes */{size}"})
    named["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return Reply(206, named, Span(entry.source, start, end, size))


def _has_changed(call: Call, headers: Mapping[str, str]) -> bool:
    condition = call.headers.get("if-range")
    return condition is not None and condition != headers.get("ETag")


def answer(call: Call, library: Library) -> Reply:
    """Answer a request at the CDN."""
    match call.segments:
        case (hub, owner, name, *parts) if parts:
            reply = _answer(call, library, hub, f"{owner}/{name}")
            return reply.about(hub, "content", "/".join(parts))
        case _:
            return _refused(404, "NoSuchKey", "The specified key does not exist.")


def _answer(call: Call, library: Library, hub: str, repo_id: str) -> Reply:
    if "authorization" in call.headers or "cookie" in call.headers:
        return _refused(400, "InvalidArgument", "Only one auth mechanism allowed.")
    where = urlsplit(call.target).path
    refusal = library.signer.refusal(where, call.query)
    if refusal is not None:
        return _refused(403, "AccessDenied", refusal)
    shelf = library.shelf(hub, repo_id)
    prefix = f"/{quote(hub)}/{quote(repo_id)}/"
    entry = shelf.find(hub, unquote(where.removeprefix(prefix))) if shelf is not None else None
    if entry is None:
        return _refused(404, "NoSuchKey", "The specified key does not exist.")
    etag = hashlib.md5(entry.sha256.encode(), usedforsecurity=False).hexdigest().upper()
    return file_reply(call, entry, {"ETag": f'"{etag}"', "Server": "PlaygroundCDN"})


def _refused(status: int, code: str, message: str) -> Reply:
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Reply(status, {"Content-Type": "application/xml"}, body.encode())
