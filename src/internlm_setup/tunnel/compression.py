"""When to compress: while the line is slow and what goes through it shrinks. Nothing here touches a session.

On a line of 2 MB/s text comes through nearly four times as fast; above some 8 MB/s compressing itself is the bound, and
costs the server ten times the work. A line shows its rate only while something fills it, so it is judged by looks.
Before the first of them a far server is taken for one behind a slow line (`core.ssh.transport`).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

from internlm_setup.tunnel.model import Traffic

AT_ONCE_S, SOON_S, SELDOM_S = 0.1, 0.25, 1.0
_YOUNG_S = 60.0  # a session is mostly used as soon as it is there, so a young one is looked at more often
SLOW_BYTES_PER_S = 8e6
_BUSY_BYTES_PER_S = 64e3
_STEADY = 1.3  # a rate that grows faster than this is still finding its way up
_WORTH_IT = 0.8
_POINTLESS = 0.9
_TRIAL_BYTES_PER_S = 1.5 * SLOW_BYTES_PER_S  # so much cannot be told from a fast line that compressing holds up
_JUDGED_S = 2.0
_ENOUGH_BYTES = 1 << 19  # of a packet that is half here nothing is known to be saved
_FAST_FOR_S = 600.0
_REST_S, _LONGEST_REST_S = 30.0, 1800.0
_LEAST_BYTES, SAMPLE_BYTES = 1 << 10, 1 << 15


@dataclass(slots=True)
class _Rest:
    """How long not to try something again: twice as long each time."""

    until_s: float = 0.0
    next_s: float = _REST_S

    def begin(self, now_s: float) -> None:
        self.until_s = now_s + self.next_s
        self.next_s = min(2 * self.next_s, _LONGEST_REST_S)


class Compression:
    """Whether one session should compress.

    Attributes:
        on: Whether it does.
        guessed: Whether it does because the server is far away, before enough went through to judge by.
        pause_s: When to look again.
    """

    def __init__(self, now_s: float, traffic: Traffic, *, on: bool) -> None:
        """Start with what went through so far, and with what was guessed."""
        self.on = self.guessed = on
        self.pause_s = AT_ONCE_S if on else SOON_S
        self._seldom_from_s = now_s + _YOUNG_S
        self._at_s, self._traffic = now_s, traffic
        self._rate = 0.0
        self._fast_until_s = 0.0
        self._pointless, self._trial = _Rest(), _Rest()

    def look(self, now_s: float, traffic: Traffic, ratio: Callable[[], float]) -> bool:
        """Return whether to compress from now on.

        Args:
            now_s: By the monotonic clock.
            traffic: What went through so far.
            ratio: Tries how small recent data becomes, as a part of its size; asked only when it matters.
        """
        lasted_s = now_s - self._at_s
        if lasted_s < (AT_ONCE_S / 2 if self.guessed else _JUDGED_S if self.on else SOON_S / 2):
            return self.on
        before = self._traffic
        moved = (traffic.received_bytes - before.received_bytes, traffic.sent_bytes - before.sent_bytes)
        wire_bytes, plain_bytes = sum(moved), sum(moved) + traffic.saved_bytes - before.saved_bytes
        shrinks = wire_bytes <= _POINTLESS * plain_bytes
        is_busy = max(moved) >= _BUSY_BYTES_PER_S * lasted_s
        if self.guessed and is_busy and lasted_s < _JUDGED_S and (shrinks or plain_bytes < _ENOUGH_BYTES):
            return True  # the rate shows when what waited along the way has come, the ratio after some packets
        self._traffic, self._at_s = traffic, now_s
        rate, grew_from = max(moved) / lasted_s, self._rate
        self._rate = rate
        soon_s = AT_ONCE_S if self.guessed else SOON_S
        self.pause_s = soon_s if rate >= _BUSY_BYTES_PER_S or now_s < self._seldom_from_s else SELDOM_S
        if rate < _BUSY_BYTES_PER_S:
            return self.on
        if self.on:
            return self._stay_on(now_s, plain_bytes / lasted_s, shrinks=shrinks)
        if rate >= SLOW_BYTES_PER_S:
            self._fast_until_s = now_s + _FAST_FOR_S
        steady = grew_from >= _BUSY_BYTES_PER_S and rate <= _STEADY * grew_from
        rested = now_s >= max(self._fast_until_s, self._pointless.until_s)
        return steady and rested and ratio() < _WORTH_IT

    def switched(self, now_s: float, traffic: Traffic, *, on: bool) -> None:
        """It is on or off by now; what came before says nothing any more."""
        self.on, self.guessed = on, False
        self._at_s, self._traffic, self._rate = now_s, traffic, 0.0

    def _stay_on(self, now_s: float, rate: float, *, shrinks: bool) -> bool:
        if not shrinks:
            self._pointless.begin(now_s)
            return False
        if rate >= _TRIAL_BYTES_PER_S and now_s >= self._trial.until_s:
            self._trial.begin(now_s)  # without compression the line shows how fast it is
            return False
        self.guessed = False
        return True


def ratio_of(data: bytes) -> float:
    """Return how small data becomes, as a part of its size; 1 where there is too little to tell."""
    if len(data) < _LEAST_BYTES:
        return 1.0
    return len(zlib.compress(data[:SAMPLE_BYTES])) / len(data[:SAMPLE_BYTES])
