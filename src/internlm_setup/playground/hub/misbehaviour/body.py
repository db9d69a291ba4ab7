"""Faults of a body: wrong bytes, a wrong length, a wrong end, a wrong pace."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace

from internlm_setup.playground.hub.message import Ending, Reply, Span
from internlm_setup.playground.hub.misbehaviour.fault import Scene, deliver, span_of

_NEVER_SENT_BYTES = 4096


def _cut_at(reply: Reply, scene: Scene) -> int | None:
    """Return how much of the body still leaves, or None when there is no body to cut."""
    if span_of(scene.call, reply) is None and reply.stage != "listing":
        return None
    at = scene.fault.at_byte if scene.fault.at_byte is not None else reply.length // 2
    return at if at < reply.length else None


def cut(ending: Ending) -> Callable[[Reply, Scene], Reply | None]:
    """End the body before its length, in one of the ways that a connection ends."""

    def change(reply: Reply, scene: Scene) -> Reply | None:
        at = _cut_at(reply, scene)
        return None if at is None else deliver(reply, stop_after=at, ending=ending)

    return change


def short_length(reply: Reply, scene: Scene) -> Reply | None:
    """Announce less than there is, and send that."""
    at = _cut_at(reply, scene)
    if at is None:
        return None
    return deliver(reply.with_headers({"Content-Length": str(at)}), stop_after=at)


def long_length(reply: Reply, scene: Scene) -> Reply | None:
    """Announce more than there is, and hang up after what there is."""
    if _cut_at(reply, scene) is None:
        return None
    announced = {"Content-Length": str(reply.length + _NEVER_SENT_BYTES)}
    return deliver(reply.with_headers(announced), ending="close")


def flip(reply: Reply, scene: Scene) -> Reply | None:
    """Change one bit."""
    span = span_of(scene.call, reply)
    if span is None:
        return None
    at = scene.fault.at_byte if scene.fault.at_byte is not None else span.size_bytes // 2
    return deliver(reply, flip_at=at) if span.start <= at < span.end else None


def drip(reply: Reply, scene: Scene) -> Reply | None:
    """Send slowly."""
    if span_of(scene.call, reply) is None and reply.stage != "listing":
        return None
    return deliver(reply, bytes_per_s=scene.fault.bytes_per_s)


def endless(reply: Reply, scene: Scene) -> Reply | None:
    """Send what there is and go on with zeros."""
    if span_of(scene.call, reply) is None and reply.stage != "listing":
        return None
    return deliver(reply, chunked=True, ending="endless")


def chunked(reply: Reply, scene: Scene) -> Reply | None:
    """Leave the length away."""
    return None if scene.call.method == "HEAD" else deliver(reply, chunked=True)


def encoded(reply: Reply, scene: Scene) -> Reply | None:
    """Compress the body, whatever the client said that it takes."""
    span = span_of(scene.call, reply)
    if span is None:
        return None
    return replace(reply, content=gzip.compress(_bytes_of(span), 1)).with_headers({"Content-Encoding": "gzip"})


def _bytes_of(span: Span) -> bytes:
    with span.file.open("rb") as file:
        file.seek(span.start)
        return file.read(span.end - span.start)
