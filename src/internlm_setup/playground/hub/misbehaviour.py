"""Everything a server can do wrong, as values and one table.

`KINDS` has a row for each: a name, the replies it can strike, and a function from the right reply
to the wrong one. A new kind of misbehaviour is one function and one row. `faults.py` decides when
one strikes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Literal
from urllib.parse import urlsplit

from internlm_setup.playground.hub.message import Call, Ending, Reply, Span, Stage, text_reply

FaultKind = Literal[
    "flip",
    "truncate",
    "drop",
    "stall",
    "drip",
    "endless",
    "chunked",
    "short-length",
    "ignore-range",
    "range-200",
    "range-416",
    "etag",
    "expired",
    "rate-limit",
    "server-error",
    "silence",
    "garbage",
    "elsewhere",
    "link-elsewhere",
]


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to misbehave.

    Attributes:
        kind: A row of `KINDS`.
        files: Glob on the file's path in the repository; listings have the path `""`, which only
            `*` fits.
        hub: Hub id, or `*`.
        where: Replies it strikes; None means those its kind is about.
        times: How often, or None for always. A reply that it cannot change (no range, too short) is
            not counted.
        skip: How many replies that fit are left alone first.
        at_byte: Where: offset in the file for `flip` (default: its middle), else bytes of the body
            that still leave (default: half).
        seconds: What `rate-limit` asks the client to wait.
        bytes_per_s: The speed of `drip`.
        status: The status of `server-error`.
        with_retry_after: Whether `rate-limit` sends `Retry-After`, or only Hugging Face's
            `RateLimit`.
    """

    kind: FaultKind
    files: str = "*"
    hub: str = "*"
    where: frozenset[Stage] | None = None
    times: int | None = None
    skip: int = 0
    at_byte: int | None = None
    seconds: float = 1.0
    bytes_per_s: float = 1000.0
    status: int = 503
    with_retry_after: bool = True


@dataclass(frozen=True, slots=True)
class Scene:
    """What a fault sees beside the reply."""

    call: Call
    fault: Fault
    other_url: str


def _body(call: Call, reply: Reply) -> Span | None:
    return reply.content if call.method == "GET" and isinstance(reply.content, Span) else None


def _deliver(reply: Reply, **changes: object) -> Reply:
    return replace(reply, delivery=replace(reply.delivery, **changes))  # type: ignore[arg-type]


def _cut_at(reply: Reply, scene: Scene) -> int | None:
    """Return how much of the body still leaves, or None when there is no body to cut."""
    if _body(scene.call, reply) is None and reply.stage != "listing":
        return None
    at = scene.fault.at_byte if scene.fault.at_byte is not None else reply.length // 2
    return at if at < reply.length else None


def _cut(ending: Ending) -> Callable[[Reply, Scene], Reply | None]:
    def change(reply: Reply, scene: Scene) -> Reply | None:
        at = _cut_at(reply, scene)
        return None if at is None else _deliver(reply, stop_after=at, ending=ending)

    return change


def _short_length(reply: Reply, scene: Scene) -> Reply | None:
    at = _cut_at(reply, scene)
    if at is None:
        return None
    return _deliver(reply.with_headers({"Content-Length": str(at)}), stop_after=at)


def _flip(reply: Reply, scene: Scene) -> Reply | None:
    span = _body(scene.call, reply)
    if span is None:
        return None
    at = scene.fault.at_byte if scene.fault.at_byte is not None else span.size_bytes // 2
    return _deliver(reply, flip_at=at) if span.start <= at < span.end else None


def _drip(reply: Reply, scene: Scene) -> Reply | None:
    if _body(scene.call, reply) is None:
        return None
    return _deliver(reply, bytes_per_s=scene.fault.bytes_per_s)


def _endless(reply: Reply, scene: Scene) -> Reply | None:
    if _body(scene.call, reply) is None:
        return None
    return _deliver(reply, chunked=True, ending="endless")


def _chunked(reply: Reply, scene: Scene) -> Reply | None:
    return None if scene.call.method == "HEAD" else _deliver(reply, chunked=True)


def _ignore_range(reply: Reply, scene: Scene) -> Reply | None:
    span = _body(scene.call, reply)
    if span is None or reply.status != HTTPStatus.PARTIAL_CONTENT:
        return None
    headers = {k: v for k, v in reply.headers.items() if k not in {"Content-Range", "Accept-Ranges"}}
    whole = replace(span, start=0, end=span.size_bytes)
    return replace(reply, status=200, headers=headers, content=whole)


def _range_200(reply: Reply, _: Scene) -> Reply | None:
    return replace(reply, status=200) if reply.status == HTTPStatus.PARTIAL_CONTENT else None


def _range_416(reply: Reply, scene: Scene) -> Reply | None:
    span = _body(scene.call, reply)
    if span is None or "range" not in scene.call.headers:
        return None
    return Reply(416, {**reply.headers, "Content-Range": f"bytes */{span.size_bytes}"})


def _etag(reply: Reply, scene: Scene) -> Reply | None:
    tags = {k: v[:-2] + '-changed"' for k, v in reply.headers.items() if k.lower().endswith("etag")}
    if not tags:
        return None
    changed = reply.with_headers(tags)
    whole = _ignore_range(changed, scene) if "if-range" in scene.call.headers else None
    return whole or changed


def _expired(_: Reply, __: Scene) -> Reply | None:
    body = "<Error><Code>AccessDenied</Code><Message>Request has expired.</Message></Error>"
    return text_reply(body, 403, {"Content-Type": "application/xml"})


def _rate_limit(reply: Reply, scene: Scene) -> Reply | None:
    wait = f"{scene.fault.seconds:g}"
    headers = {"Retry-After": wait} if scene.fault.with_retry_after else {}
    if reply.hub == "huggingface":
        headers["RateLimit"] = f'"api";r=0;t={wait}'
        headers["RateLimit-Policy"] = '"fixed window";"api";q=500;w=300'
    return text_reply("We had to rate limit you.", 429, headers)


def _server_error(_: Reply, scene: Scene) -> Reply | None:
    return text_reply("upstream connect error", scene.fault.status)


def _silence(reply: Reply, _: Scene) -> Reply | None:
    return _deliver(reply, silent=True)


def _garbage(_: Reply, __: Scene) -> Reply | None:
    page = "<html><body>Please log in to the network.</body></html>"
    return text_reply(page, 200, {"Content-Type": "text/html"})


def _elsewhere(reply: Reply, scene: Scene) -> Reply | None:
    parts = urlsplit(reply.headers.get("Location", scene.call.target))
    where = parts._replace(scheme="", netloc="").geturl()
    return text_reply("", 302, {**_kept(reply), "Location": scene.other_url + where})


def _kept(reply: Reply) -> Mapping[str, str]:
    """Headers that describe the file and belong on a redirect too."""
    return {k: v for k, v in reply.headers.items() if k.startswith("X-") or k == "ETag"}


def _link_elsewhere(reply: Reply, scene: Scene) -> Reply | None:
    link = reply.headers.get("Link")
    if link is None:
        return None
    url, _, relation = link.lstrip("<").partition(">")
    where = urlsplit(url)._replace(scheme="", netloc="").geturl()
    return reply.with_headers({"Link": f"<{scene.other_url}{where}>{relation}"})


@dataclass(frozen=True, slots=True)
class Kind:
    """A row of the table: what a fault does, and to which replies unless told otherwise.

    `change` returns None for a reply it cannot spoil in this way.
    """

    does: str
    change: Callable[[Reply, Scene], Reply | None]
    where: frozenset[Stage]


_LISTING: frozenset[Stage] = frozenset({"listing"})
_FILE: frozenset[Stage] = frozenset({"file"})
_CONTENT: frozenset[Stage] = frozenset({"content"})
_BYTES = _FILE | _CONTENT

KINDS: Mapping[FaultKind, Kind] = {
    "flip": Kind("one bit of the file is wrong", _flip, _BYTES),
    "truncate": Kind("closes before the announced length", _cut("close"), _BYTES),
    "drop": Kind("resets the connection in the body", _cut("reset"), _BYTES),
    "stall": Kind("stops sending without closing", _cut("stall"), _BYTES),
    "drip": Kind("sends slower than a floor", _drip, _BYTES),
    "endless": Kind("no length, and the body never ends", _endless, _BYTES),
    "chunked": Kind("no length", _chunked, _BYTES),
    "short-length": Kind("announces and sends less than there is", _short_length, _BYTES),
    "ignore-range": Kind("a bare 200 with the whole file", _ignore_range, _BYTES),
    "range-200": Kind("200 with Content-Range", _range_200, _BYTES),
    "range-416": Kind("416 for a range that exists", _range_416, _BYTES),
    "etag": Kind("another ETag", _etag, _BYTES),
    "expired": Kind("403 on a signed address", _expired, _CONTENT),
    "rate-limit": Kind("429", _rate_limit, _LISTING | _FILE),
    "server-error": Kind("a 5xx", _server_error, _LISTING | _BYTES),
    "silence": Kind("never answers", _silence, _LISTING | _BYTES),
    "garbage": Kind("200 with a log-in page", _garbage, _LISTING | _BYTES),
    "elsewhere": Kind("redirects to another origin", _elsewhere, _FILE),
    "link-elsewhere": Kind("the next page is at another origin", _link_elsewhere, _LISTING),
}
