"""What `fetch --trace FILE` wrote: which span of which file came from which source, and when."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Span:
    """What one request brought: `size_bytes` from `at` on; times count from the transfer's beginning."""

    path: str
    at: int
    source: str
    start_s: float
    end_s: float
    size_bytes: int


def read(file: Path) -> list[Span]:
    """Return the spans of a trace in the order of their beginnings; none when the file is not there."""
    if not file.exists():
        return []
    told = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    spans = [
        Span(one.get("path", ""), one["piece"], one["source"], one["start"], one["end"], one["bytes"]) for one in told
    ]
    return sorted(spans, key=lambda span: span.start_s)


def by_source(spans: Sequence[Span]) -> dict[str, list[Span]]:
    """Sort spans by who sent them, the first one first."""
    found: dict[str, list[Span]] = {}
    for span in spans:
        found.setdefault(span.source, []).append(span)
    return found


def tail_s(spans: Sequence[Span]) -> float:
    """Return how long the others still had to bring when the first source had nothing more to do."""
    ends = [max(span.end_s for span in its) for its in by_source(spans).values()]
    return max(ends) - min(ends) if ends else 0.0
