"""OpenSSH's patterns: `*`, `?`, lists with commas, and `!` for what must not match."""

from __future__ import annotations

import re
from collections.abc import Iterable


def fits(words: str, pattern: str) -> bool:
    """Say whether the whole of `words` fits one pattern; nothing but `*` and `?` is special."""
    special = {"*": ".*", "?": "."}
    return re.fullmatch("".join(special.get(c) or re.escape(c) for c in pattern), words, re.DOTALL) is not None


def fits_any(words: str, patterns: Iterable[str]) -> bool:
    """Say whether one pattern fits and none that begins with `!` does."""
    found = False
    for pattern in patterns:
        if pattern.startswith("!"):
            if fits(words, pattern[1:]):
                return False
        else:
            found = found or fits(words, pattern)
    return found


def fits_list(words: str, patterns: str, *, lower: bool = False) -> bool:
    """Say whether words fit a list with commas; host names are compared without case."""
    if lower:
        words, patterns = words.lower(), patterns.lower()
    return fits_any(words, patterns.split(","))
