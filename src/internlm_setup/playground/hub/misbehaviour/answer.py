"""Faults of an answer: a wrong status, a wrong range, another page, another address."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import urlsplit

from internlm_setup.playground.hub.message import Reply, text_reply
from internlm_setup.playground.hub.misbehaviour.fault import Scene, span_of

_EXPIRES = re.compile(r"Expires=\d+")
_LONG_AGO = "Expires=1000000000"


def ignore_range(reply: Reply, scene: Scene) -> Reply | None:
    """Answer 200 with the whole file."""
    span = span_of(scene.call, reply)
    if span is None or reply.status != HTTPStatus.PARTIAL_CONTENT:
        return None
    headers = {k: v for k, v in reply.headers.items() if k not in {"Content-Range", "Accept-Ranges"}}
    whole = replace(span, start=0, end=span.size_bytes)
    return replace(reply, status=200, headers=headers, content=whole)


def range_200(reply: Reply, _: Scene) -> Reply | None:
    """Answer 200 with the range, as ModelScope does."""
    return replace(reply, status=200) if reply.status == HTTPStatus.PARTIAL_CONTENT else None


def range_416(reply: Reply, scene: Scene) -> Reply | None:
    """Refuse a range that exists."""
    span = span_of(scene.call, reply)
    if span is None or "range" not in scene.call.headers:
        return None
    return Reply(416, {**reply.headers, "Content-Range": f"bytes */{span.size_bytes}"})


def range_shifted(reply: Reply, scene: Scene) -> Reply | None:
    """Begin one byte late, and say so."""
    span = span_of(scene.call, reply)
    if span is None or reply.status != HTTPStatus.PARTIAL_CONTENT or span.end - span.start < 2:
        return None
    late = replace(span, start=span.start + 1)
    said = {"Content-Range": f"bytes {late.start}-{late.end - 1}/{span.size_bytes}"}
    return replace(reply, content=late).with_headers(said)


def range_total(reply: Reply, scene: Scene) -> Reply | None:
    """Name another length of the whole file than it has."""
    span = span_of(scene.call, reply)
    if span is None or reply.status != HTTPStatus.PARTIAL_CONTENT:
        return None
    return reply.with_headers({"Content-Range": f"bytes {span.start}-{span.end - 1}/{span.size_bytes + 1}"})


def etag(reply: Reply, scene: Scene) -> Reply | None:
    """Show another tag; a range that insists on the old one gets the whole file."""
    tags = {k: v[:-2] + '-changed"' for k, v in reply.headers.items() if k.lower().endswith("etag")}
    if not tags:
        return None
    changed = reply.with_headers(tags)
    whole = ignore_range(changed, scene) if "if-range" in scene.call.headers else None
    return whole or changed


def expired(_: Reply, __: Scene) -> Reply | None:
    """Refuse a signed address."""
    body = "<Error><Code>AccessDenied</Code><Message>Request has expired.</Message></Error>"
    return text_reply(body, 403, {"Content-Type": "application/xml"})


def rate_limit(reply: Reply, scene: Scene) -> Reply | None:
    """Say 429, and how long to wait."""
    fault = scene.fault
    wait = f"{fault.seconds:g}"
    headers = {}
    if fault.asking == "seconds":
        headers["Retry-After"] = wait
    elif fault.asking == "date":
        headers["Retry-After"] = formatdate(time.time() + fault.seconds, usegmt=True)
    if fault.asking == "ratelimit" or (reply.hub == "huggingface" and fault.asking == "seconds"):
        headers["RateLimit"] = f'"api";r=0;t={wait}'
        headers["RateLimit-Policy"] = '"fixed window";"api";q=500;w=300'
    return text_reply("We had to rate limit you.", 429, headers)


def server_error(_: Reply, scene: Scene) -> Reply | None:
    """Say that the server has failed."""
    return text_reply("upstream connect error", scene.fault.status)


def garbage(_: Reply, __: Scene) -> Reply | None:
    """Answer well, with a page that belongs to the network in between."""
    page = "<html><body>Please log in to the network.</body></html>"
    return text_reply(page, 200, {"Content-Type": "text/html"})


def elsewhere(reply: Reply, scene: Scene) -> Reply | None:
    """Redirect to the third origin, which has the file."""
    parts = urlsplit(reply.headers.get("Location", scene.call.target))
    where = parts._replace(scheme="", netloc="").geturl()
    return text_reply("", 302, {**_kept(reply), "Location": scene.other_url + where})


def redirect_loop(reply: Reply, scene: Scene) -> Reply | None:
    """Redirect to the same address, again and again."""
    return text_reply("", 302, {**_kept(reply), "Location": scene.call.target})


def stale_link(reply: Reply, _: Scene) -> Reply | None:
    """Hand out signed addresses whose time is over, as a cache in between does."""
    location = reply.headers.get("Location", "")
    if _EXPIRES.search(location):
        return reply.with_headers({"Location": _EXPIRES.sub(_LONG_AGO, location)})
    if isinstance(reply.content, bytes) and b"Expires=" in reply.content:
        return replace(reply, content=_EXPIRES.sub(_LONG_AGO, reply.content.decode()).encode())
    return None


def _kept(reply: Reply) -> Mapping[str, str]:
    """Headers that describe the file and belong on a redirect too."""
    return {k: v for k, v in reply.headers.items() if k.startswith("X-") or k == "ETag"}


def link_elsewhere(reply: Reply, scene: Scene) -> Reply | None:
    """Put the next page of a listing at the third origin."""
    link = reply.headers.get("Link")
    if link is None:
        return None
    url, _, relation = link.lstrip("<").partition(">")
    where = urlsplit(url)._replace(scheme="", netloc="").geturl()
    return reply.with_headers({"Link": f"<{scene.other_url}{where}>{relation}"})
