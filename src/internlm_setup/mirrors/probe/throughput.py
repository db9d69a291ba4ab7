"""How fast a site sends, measured on a few MiB of a file that it named itself."""

from __future__ import annotations

import time
from collections.abc import Callable

from internlm_setup.core.http import Network
from internlm_setup.core.parallel import within
from internlm_setup.core.reach import Unreachable
from internlm_setup.mirrors.probe.ask import CONNECT_PATIENCE_S, LONGEST_WAY, moved_to

MOST_BYTES = 4 << 20
LONGEST_S = 3.0
WARM_UP_BYTES = 256 << 10  # while the connection finds its speed
_BLOCK_BYTES = 64 << 10


def rate(url: str, network: Network) -> float | None:
    """Return the bytes per second of one download, or None where it fails.

    At most `MOST_BYTES`, and at most about `LONGEST_S` seconds of them. Where more than the warm-up comes, the warm-up
    does not count.
    """
    try:
        return within(LONGEST_S + 2 * CONNECT_PATIENCE_S, lambda: _rate(url, network))
    except (TimeoutError, Unreachable):
        return None


def _rate(url: str, network: Network) -> float | None:
    span = {"Range": f"bytes=0-{MOST_BYTES - 1}"}
    for _ in range(LONGEST_WAY):
        with network.opened("GET", url, headers=span, patience_s=CONNECT_PATIENCE_S) as answer:
            if answer.status in {200, 206}:
                return _timed(answer.read)
            further = moved_to(url, answer)
        if not further:
            return None
        url = further
    return None


def _timed(read: Callable[[int], bytes]) -> float | None:
    began_s = warm_s = now_s = time.monotonic()
    total = warm = 0
    while total < MOST_BYTES and now_s - began_s < LONGEST_S and (block := read(_BLOCK_BYTES)):
        total += len(block)
        now_s = time.monotonic()
        if total <= WARM_UP_BYTES:
            warm, warm_s = total, now_s
    if total > warm:
        return (total - warm) / max(now_s - warm_s, 1e-6)
    return total / max(now_s - began_s, 1e-6) if total else None
