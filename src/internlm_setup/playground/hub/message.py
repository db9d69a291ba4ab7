"""What travels between a client and the hub: one call, one reply, and how its body leaves.

Values and the reading of a request; nothing here knows a protocol of a hub. `connection.py` sends
what is built here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

Origin = Literal["hub", "cdn", "other"]
Stage = Literal["listing", "file", "content", "other", "greeting"]
"""What a reply is for: a list of files, a file at the hub, its bytes at the CDN, anything else; or a TLS handshake."""

Ending = Literal["keep", "close", "reset", "stall", "endless", "noise"]
Head = Literal["right", "none", "reset", "noise", "big", "drip", "continues"]
Greeting = Literal["right", "alert", "reset"]
_LONGEST_LINE_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it arrived; header names are in lower case, path segments decoded."""

    origin: Origin
    method: str
    target: str
    segments: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def bearer(self) -> str | None:
        """The token of `Authorization: Bearer …`, or None."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" and token.strip() else None

    def json(self) -> dict[str, object]:
        """Return the body as a JSON object; empty when it is none."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True)
class Span:
    """The half-open part `[start, end)` of a file on disk that is `size_bytes` long."""

    file: Path
    start: int
    end: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a body leaves: whole and at full speed, unless a fault says otherwise.

    `flip_at` is an offset in the file; `stop_after` counts bytes of this body.
    """

    flip_at: int | None = None
    stop_after: int | None = None
    ending: Ending = "keep"
    bytes_per_s: float | None = None
    chunked: bool = False
    head: Head = "right"
    greeting: Greeting = "right"


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, with what it is about, so that faults find it without parsing addresses again."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | Span = b""
    hub: str = ""
    stage: Stage = "other"
    path: str = ""
    delivery: Delivery = Delivery()

    @property
    def length(self) -> int:
        """Bytes of the whole body, before any fault."""
        if isinstance(self.content, Span):
            return self.content.end - self.content.start
        return len(self.content)

    def about(self, hub: str, stage: Stage, path: str = "") -> Reply:
        """Return a copy that says what it is about."""
        return replace(self, hub=hub, stage=stage, path=path)

    def with_headers(self, headers: Mapping[str, str]) -> Reply:
        """Return a copy with these headers added or replaced."""
        return replace(self, headers={**self.headers, **headers})


def json_reply(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Return a JSON answer; header names given win over ours."""
    body = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    named = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
    return Reply(status, named, body)


def text_reply(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Return a plain text answer; header names given win over ours."""
    named = {"Content-Type": "text/plain; charset=utf-8", **(headers or {})}
    return Reply(status, named, text.encode())


def read_call(reader: BinaryIO, origin: Origin) -> Call | None:
    """Read one request from a kept-open connection.

    Args:
        reader: The connection's buffered reading end.
        origin: Which of our listeners accepted it.

    Returns:
        The call, or None when the client has closed or did not speak HTTP.
    """
    words = reader.readline(_LONGEST_LINE_BYTES).decode("latin-1").split()
    match words:
        case [method, target, _]:
            pass
        case _:
            return None
    headers: dict[str, str] = {}
    while line := reader.readline(_LONGEST_LINE_BYTES).decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    parts = urlsplit(target if "://" in target else "//x" + target)
    segments = tuple(unquote(part) for part in parts.path.split("/") if part)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    try:
        body = _read_body(reader, headers)
    except ValueError:
        return None
    return Call(origin, method.upper(), target, segments, query, headers, body)


def _read_body(reader: BinaryIO, headers: Mapping[str, str]) -> bytes:
    if "chunked" not in headers.get("transfer-encoding", "").lower():
        return reader.read(int(headers.get("content-length") or 0))
    blocks = []
    while size := int(reader.readline(_LONGEST_LINE_BYTES).split(b";")[0] or b"0", 16):
        blocks.append(reader.read(size))
        reader.readline(_LONGEST_LINE_BYTES)
    while reader.readline(_LONGEST_LINE_BYTES).strip():
        pass
    return b"".join(blocks)
