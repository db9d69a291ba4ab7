"""One speed limit for all connections together."""

from __future__ import annotations

import threading

from internlm_setup.core.clock import Clock


class RateLimit:
    """Lets `take` callers through at a rate; unlimited when the rate is None."""

    def __init__(self, rate_bytes_per_s: float | None, clock: Clock) -> None:
        self._rate = rate_bytes_per_s
        self._clock = clock
        self._lock = threading.Lock()
        self._free_at = 0.0

    @property
    def is_on(self) -> bool:
        """Whether there is a limit."""
        return self._rate is not None

    def take(self, count_bytes: int, cancelled: threading.Event) -> None:
        """Wait until `count_bytes` more may have passed, or until `cancelled`."""
        if self._rate is None:
            return
        with self._lock:
            now = self._clock.monotonic()
            self._free_at = max(self._free_at, now - 0.1) + count_bytes / self._rate
            wait_s = self._free_at - now
        if wait_s > 0:
            self._clock.wait(wait_s, cancelled)
