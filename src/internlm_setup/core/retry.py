"""How long to wait before trying again, and how long a server asked us to wait."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 15.0


def backoff_s(attempt: int, *, first_s: float = FIRST_WAIT_S, jitter: float | None = None) -> float:
    """Return the wait before a retry: doubling from `first_s` to 15 s, less up to a half at random.

    Args:
        attempt: 1 for the first retry; there may be any number of them.
        first_s: The longest first wait.
        jitter: 0.0 to 1.0 instead of chance.
    """
    longest = min(LONGEST_WAIT_S, first_s * 2.0 ** min(attempt - 1, 30))
    return float(longest * (1 - (random.random() if jitter is None else jitter) / 2))  # noqa: S311


def asked_wait_s(headers: Mapping[str, str], now: float) -> float | None:
    """Return how long a 429 or 503 asked us to wait, or None when it did not say.

    Args:
        headers: Names in lower case.
        now: Unix seconds, for `Retry-After` with a date.

    Source:
        RFC 9110 section 10.2.3 (`Retry-After`); draft-ietf-httpapi-ratelimit-headers as Hugging Face
        sends it, `RateLimit: "api";r=0;t=42` (`r` left, `t` seconds to the reset), read 2026-10.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    if text:
        try:
            return max(0.0, parsedate_to_datetime(text).timestamp() - now)
        except (TypeError, ValueError):
            return None
    found = re.search(r"r=0\b.*?;\s*t=(\d+)", headers.get("ratelimit", ""))
    return float(found[1]) if found else None


TRY_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})


class Busy(Exception):
    """A server's refusal that may pass: one of `TRY_LATER`. Whoever asked says which hub that was."""

    def __init__(self, status: int, headers: Mapping[str, str], now: float) -> None:
        """Note the status and, from headers in lower case, how long we were asked to wait."""
        super().__init__(status)
        self.status = status
        self.wait_s = asked_wait_s(headers, now)
