"""When more connections help: on a far or lossy line, where each one is slow however wide the line is."""

from __future__ import annotations

LOOK_EVERY_S = 2.0
SLOW_BYTES_PER_S = 1 << 20
WORTH_IT = 1.2
WORTH_KEEPING = 1.05
FELL = 0.7
STEADY = 0.95


class Growth:
    """Watches the rate of all connections to one source and doubles their number while that pays.

    A line that is merely narrow is found out by the first doubling: the rate stays, and the number goes back. A rate
    that falls is not that of a full line: it was the haste of connections that had lost no packet yet, and counts no
    more.
    """

    def __init__(self, jobs: int, most_jobs: int) -> None:
        self.jobs = jobs
        self._most_jobs = most_jobs
        self._mark: tuple[float, int] | None = None
        self._before, self._before_bytes_per_s = jobs, 0.0
        self._last_bytes_per_s = float("inf")
        self._settled = False

    def look(self, received_bytes: int, now_s: float) -> int:
        """Say how many more connections to open now; fewer than none when the last ones brought nothing.

        Args:
            received_bytes: In all so far.
            now_s: Seconds on a clock that never goes back.
        """
        if self._mark is None:
            self._mark = (now_s, received_bytes) if received_bytes else None
            return 0
        begun_s, before_bytes = self._mark
        over = self.jobs >= self._most_jobs and self._before == self.jobs
        if over or now_s - begun_s < LOOK_EVERY_S:
            return 0
        self._mark = (now_s, received_bytes)
        if not self._settled:
            self._settled = True
            return 0
        return self._judge((received_bytes - before_bytes) / (now_s - begun_s))

    def _judge(self, rate: float) -> int:
        before, steady = self._before_bytes_per_s, rate >= self._last_bytes_per_s * STEADY
        self._last_bytes_per_s = rate
        if not 0 < rate < self.jobs * SLOW_BYTES_PER_S:
            return 0
        if not before * FELL <= rate < before * WORTH_IT:
            more = min(self.jobs, self._most_jobs - self.jobs)
            self._before, self._before_bytes_per_s = self.jobs, rate
        elif self._before < self.jobs and rate < before * WORTH_KEEPING and steady:
            more = self._before - self.jobs
            self._most_jobs = self._before
        else:
            return 0
        self.jobs += more
        self._last_bytes_per_s, self._settled = float("inf"), False
        return more
