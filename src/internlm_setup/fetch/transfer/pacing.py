"""How often one hub may be asked, found out from its refusals: nearly all that it allows is used, and hardly more.

Hubs limit requests in windows, in buckets or by sliding counts, and most do not say which. What all have in common: who
asks too often gets answers at just the rate that is allowed. So that rate is counted between two refusals. From then on
questions keep a distance; it shrinks until it is nearly the one that was refused, and is tried again ever more seldom.
"""

from __future__ import annotations

FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 15.0  # after a refusal that did not say how long
LEAST_ANSWERS, LEAST_PERIOD_S = 10, 0.5  # what a rate is counted from
IDLE_S = 1.0  # a pause of ours, which tells nothing about the hub's limit
SOON_S = 3.0  # a refusal so soon after the last one: the rate is still far too high, or too uneven
LESS, MUCH_LESS = 0.03, 0.3  # what a rate loses by one refusal, and by several soon after each other
FIRST_GROWTH = 1.5  # a second, until a rate is refused
GROW_EVERY_S, STEP, LARGEST_STEP = 1.0, 0.02, 0.5
BELOW = 0.985  # of the rate that was refused: where growth stops for a while
FIRST_HOLD_S, LONGEST_HOLD_S = 8.0, 64.0  # for how long
SAME = 0.1  # two limits that differ by no more are one, found twice
CATCH_UP_S = 0.1  # of questions that could have gone out and did not, because whoever waits wakes late


class Gate:
    """Says when the next question may go out. Pure: the time comes in, in seconds that never go back.

    Attributes:
        rate_per_s: Questions a second; None while nothing speaks for a limit.
        refusals: How often we were refused in a row, all refusals of one moment counted once.
    """

    def __init__(self) -> None:
        self.rate_per_s: float | None = None
        self.refusals = 0
        self._opens_s = self._next_s = self._grown_s = 0.0
        self._closed_s = self._heard_s = float("-inf")
        self._since_s: float | None = None
        self._answers = 0
        self._refused_per_s = float("inf")
        self._less, self._step, self._hold_s, self._catch_up_s = LESS, STEP, FIRST_HOLD_S, CATCH_UP_S

    def opens_in_s(self, now_s: float) -> float:
        """Return how long to wait before the next question; 0 when it may go now."""
        return max(0.0, self._opens_s - now_s, self._next_s - now_s)

    def take(self, now_s: float) -> None:
        """Note a question that goes out now."""
        if self.rate_per_s is None:
            return
        if (
            now_s - self._grown_s >= GROW_EVERY_S and now_s - self._next_s < self._catch_up_s
        ):  # else nobody waits for it
            self._grow(self.rate_per_s, now_s)
        self._next_s = max(self._next_s, now_s - self._catch_up_s) + 1 / self.rate_per_s

    def _grow(self, rate_per_s: float, now_s: float) -> None:
        """Come closer to what was refused, and after a while try more than that."""
        self._grown_s = now_s
        if self._refused_per_s == float("inf"):
            self.rate_per_s = rate_per_s * FIRST_GROWTH
        elif rate_per_s * (1 + STEP) <= self._refused_per_s * BELOW:
            self.rate_per_s = rate_per_s * (1 + STEP)
        elif now_s - self._closed_s >= self._hold_s:
            self.rate_per_s = rate_per_s * (1 + self._step)
            self._step = min(2 * self._step, LARGEST_STEP)

    def answered(self, now_s: float) -> None:
        """Note a good answer."""
        if now_s - max(self._heard_s, self._opens_s) > IDLE_S:
            self._since_s = None
        self.refusals, self._heard_s = 0, now_s
        self._answers += 1

    def refused(self, asked_s: float, now_s: float, wait_s: float | None) -> None:
        """Note a refusal.

        Args:
            asked_s: When the question went out. Those that were out when the gate closed belong to the same refusal.
            now_s: When it came back.
            wait_s: How long we were asked to wait; None when that was not said.
        """
        if asked_s <= self._closed_s:
            self._opens_s = max(self._opens_s, now_s + (wait_s or 0.0))
            return
        self.refusals += 1
        if self.rate_per_s is None:
            self._learn(now_s)
        else:
            self._shrink(self.rate_per_s, now_s)
        if wait_s is None:
            wait_s = min(FIRST_WAIT_S * 2 ** (self.refusals - 1), LONGEST_WAIT_S)
        self._closed_s, self._opens_s = now_s, max(self._opens_s, now_s + wait_s)
        self._grown_s = self._opens_s

    def _learn(self, now_s: float) -> None:
        """Count what was answered since the last refusal: that is about what is allowed."""
        if self._since_s is not None:
            period_s = now_s - self._since_s
            if self._answers < LEAST_ANSWERS or period_s < LEAST_PERIOD_S:
                return
            self.rate_per_s = self._answers / period_s  # or more, since much of that time was spent waiting
        self._since_s, self._answers = now_s, 0

    def _shrink(self, rate_per_s: float, now_s: float) -> None:
        if self._refused_per_s == float("inf"):
            self.rate_per_s, self._refused_per_s = rate_per_s / FIRST_GROWTH, rate_per_s
            return
        soon = now_s - self._opens_s < SOON_S
        self._less = min(2 * self._less, MUCH_LESS) if soon else LESS
        self._catch_up_s = self._catch_up_s / 2 if soon else self._catch_up_s
        same = abs(rate_per_s - self._refused_per_s) <= SAME * self._refused_per_s
        self._hold_s = min(2 * self._hold_s, LONGEST_HOLD_S) if same else FIRST_HOLD_S
        self._refused_per_s, self._step = rate_per_s, STEP
        self.rate_per_s = rate_per_s * (1 - self._less)
