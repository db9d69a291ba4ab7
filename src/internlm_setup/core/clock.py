"""Time as an argument, so that waiting can be tested without waiting."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """What the code may ask about time."""

    def now(self) -> float:
        """Seconds since 1970 (wall clock; may jump)."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        ...

    def wait(self, seconds: float, cancelled: threading.Event) -> bool:
        """Wait; return True at once when `cancelled` is set."""
        ...


class SystemClock:
    """The real time."""

    def now(self) -> float:
        """See `Clock.now`."""
        return time.time()

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return time.monotonic()

    def wait(self, seconds: float, cancelled: threading.Event) -> bool:
        """See `Clock.wait`."""
        return cancelled.wait(seconds)
