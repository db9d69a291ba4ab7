"""A switchboard of what a server does wrong, by file and by count, changed while it runs."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from fnmatch import fnmatchcase

from internlm_setup.playground.hub.message import Call, Greeting, Origin, Reply
from internlm_setup.playground.hub.misbehaviour import KINDS, Fault, Scene


class Pace:
    """A line that lets `bytes_per_s` through for all who share it; nothing is saved for a burst."""

    def __init__(self, bytes_per_s: float) -> None:
        self.bytes_per_s = bytes_per_s
        self._lock = threading.Lock()
        self._free_at_s = 0.0

    def delay_s(self, sent_bytes: int) -> float:
        """Book bytes that leave now, and return how long to wait before the next ones."""
        with self._lock:
            now_s = time.monotonic()
            self._free_at_s = max(now_s, self._free_at_s) + sent_bytes / self.bytes_per_s
            return self._free_at_s - now_s


@dataclass(slots=True)
class _Armed:
    fault: Fault
    skipped: int = 0
    struck: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """Speeds of all bodies together and of each connection; None is as fast as it goes."""

    total_bytes_per_s: float | None = None
    connection_bytes_per_s: float | None = None


class Faults:
    """The faults that are switched on; safe to change while requests are being answered."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[_Armed] = []
        self.other_url = ""
        self.limits = Limits()
        self.total_pace: Pace | None = None

    def add(self, fault: Fault) -> Fault:
        """Switch a fault on; several work together in the order they were added."""
        with self._lock:
            self._armed.append(_Armed(fault))
        return fault

    def remove(self, fault: Fault) -> None:
        """Switch a fault off."""
        with self._lock:
            self._armed = [armed for armed in self._armed if armed.fault is not fault]

    def clear(self) -> None:
        """Switch every fault off, the speed limits too."""
        with self._lock:
            self._armed = []
        self.throttle()

    def struck(self, fault: Fault) -> int:
        """Return how many replies a fault has spoilt."""
        with self._lock:
            return sum(armed.struck for armed in self._armed if armed.fault is fault)

    def throttle(self, total_bytes_per_s: float | None = None, connection_bytes_per_s: float | None = None) -> None:
        """Limit the speed of bodies, in all and per connection; without arguments, no limit."""
        self.limits = Limits(total_bytes_per_s, connection_bytes_per_s)
        self.total_pace = Pace(total_bytes_per_s) if total_bytes_per_s else None

    def spoil(self, call: Call, reply: Reply) -> Reply:
        """Return what goes out instead of the right reply."""
        if not self._armed or call.origin == "other":
            return reply
        with self._lock:
            for armed in self._armed:
                reply = self._strike(armed, call, reply)
        return reply

    def greeting(self, origin: Origin) -> Greeting:
        """Return how the next TLS handshake at this server goes."""
        hello = Call(origin, "", "", (), {}, {})
        return self.spoil(hello, Reply(stage="greeting")).delivery.greeting

    def _strike(self, armed: _Armed, call: Call, reply: Reply) -> Reply:
        fault = armed.fault
        if not _fits(fault, call, reply) or (fault.times is not None and armed.struck >= fault.times):
            return reply
        spoilt = KINDS[fault.kind].change(reply, Scene(call, fault, self.other_url))
        if spoilt is None:
            return reply
        if armed.skipped < fault.skip:
            armed.skipped += 1
            return reply
        armed.struck += 1
        return spoilt.about(reply.hub, reply.stage, reply.path)


def _fits(fault: Fault, call: Call, reply: Reply) -> bool:
    where = fault.where if fault.where is not None else KINDS[fault.kind].where
    here = fault.origins is None or call.origin in fault.origins
    return here and reply.stage in where and fault.hub in {"*", reply.hub} and fnmatchcase(reply.path, fault.files)
