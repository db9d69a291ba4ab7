"""The real time."""

from __future__ import annotations

import threading
import time

from internlm_setup.core.clock import SystemClock


def test_real_time() -> None:
    """It goes with the system's clocks, and a wait ends at once when it is cancelled."""
    clock, cancelled = SystemClock(), threading.Event()
    assert time.time() <= clock.now() <= time.time()
    assert time.monotonic() <= clock.monotonic() <= time.monotonic()
    assert clock.wait(0.0, cancelled) is False
    cancelled.set()
    assert clock.wait(3600.0, cancelled) is True
