"""One fault as a value: what it does, to whom and how often; and what the functions share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from internlm_setup.playground.hub.message import Call, Origin, Reply, Span, Stage

FaultKind = Literal[
    "flip",
    "truncate",
    "drop",
    "stall",
    "drip",
    "endless",
    "chunked",
    "encoded",
    "short-length",
    "long-length",
    "ignore-range",
    "range-200",
    "range-416",
    "range-shifted",
    "range-total",
    "etag",
    "expired",
    "rate-limit",
    "server-error",
    "garbage",
    "elsewhere",
    "link-elsewhere",
    "stale-link",
    "redirect-loop",
    "silence",
    "hang-up",
    "no-http",
    "big-headers",
    "slow-headers",
    "continues",
    "tls-refused",
    "tls-cut",
    "tls-noise",
]

Asking = Literal["seconds", "date", "ratelimit", "nothing"]
"""How a 429 says how long to wait: `Retry-After` in either form, `RateLimit` alone, or not at all."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to misbehave.

    Attributes:
        kind: A row of `KINDS`.
        files: Glob on the file's path in the repository; listings and handshakes have the path
            `""`, which only `*` fits.
        hub: Hub id, or `*`. A handshake is nobody's yet: only `*` fits it.
        where: Replies it strikes; None means those its kind is about.
        origins: Servers it strikes; None means hub and CDN.
        times: How often, or None for always. A reply that it cannot change (no range, too short) is
            not counted.
        skip: How many replies that fit are left alone first.
        at_byte: Where: offset in the file for `flip` (default: its middle), else bytes of the body
            that still leave (default: half).
        seconds: What `rate-limit` asks the client to wait.
        bytes_per_s: The speed of `drip`.
        status: The status of `server-error`.
        asking: How `rate-limit` says it. Hugging Face sends `RateLimit` beside `Retry-After`.
    """

    kind: FaultKind
    files: str = "*"
    hub: str = "*"
    where: frozenset[Stage] | None = None
    origins: frozenset[Origin] | None = None
    times: int | None = None
    skip: int = 0
    at_byte: int | None = None
    seconds: float = 1.0
    bytes_per_s: float = 1000.0
    status: int = 503
    asking: Asking = "seconds"


@dataclass(frozen=True, slots=True)
class Scene:
    """What a fault sees beside the reply."""

    call: Call
    fault: Fault
    other_url: str


def span_of(call: Call, reply: Reply) -> Span | None:
    """Return the part of a file that a reply carries, or None when it carries none."""
    return reply.content if call.method == "GET" and isinstance(reply.content, Span) else None


def deliver(reply: Reply, **changes: object) -> Reply:
    """Return the reply, leaving in another way."""
    return replace(reply, delivery=replace(reply.delivery, **changes))  # type: ignore[arg-type]
