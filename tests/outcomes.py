"""What a fetch comes to when a server misbehaves: one row a fault.

The tests run every row at every hub, and `docs/generate.py` draws the reference page from the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from internlm_setup.playground.hub.message import Origin, Stage
from internlm_setup.playground.hub.misbehaviour import Fault, FaultKind

HUBS = ("huggingface", "modelscope", "openxlab")
LARGE = "weights.bin"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ends: exit code, and the codes of its errors."""

    exit_code: int
    codes: frozenset[str] = frozenset()


ARRIVES = Outcome(0)
UNVERIFIED = Outcome(0, frozenset({"unverified"}))
STOPPED = Outcome(75, frozenset({"fetch.stopped"}))
FAILED = Outcome(69, frozenset({"fetch.failed"}))
UNREACHABLE = Outcome(69, frozenset({"fetch.hub-unreachable"}))
BUSY = Outcome(69, frozenset({"fetch.hub-busy"}))
OTHER_HASH = Outcome(65, frozenset({"fetch.hash-mismatch"}))
OTHER_SIZE = Outcome(65, frozenset({"fetch.size-mismatch"}))
SOME_STOPPED = Outcome(75, frozenset({"fetch.stopped", "fetch.size-mismatch"}))
CHANGED = Outcome(76, frozenset({"fetch.file-changed"}))
BAD_ANSWER = Outcome(76, frozenset({"fetch.bad-answer"}))
BAD_REDIRECT = Outcome(76, frozenset({"fetch.bad-redirect"}))
MISSING = Outcome(66, frozenset({"fetch.file-missing"}))
REFUSED = Outcome(77, frozenset({"fetch.file-refused"}))
NO_ACCESS = Outcome(77, frozenset({"fetch.token-refused"}))

ByHub = Outcome | None | tuple[Outcome | None, Outcome | None, Outcome | None]
"""One for all hubs, or each one's in the order of `HUBS`; None where a hub cannot do this."""


@dataclass(frozen=True, slots=True)
class Case:
    """A fault, and what it comes to.

    Attributes:
        fault: What goes wrong; hub, times and skip are the test's.
        briefly: The end when it happens `times` times, in the large file.
        always: The end when it happens to everything, from the first byte on.
        later: The end when it happens to the large file for ever, after a first piece of it has come.
        times: How often `briefly` is.
    """

    fault: Fault
    briefly: ByHub
    always: ByHub
    later: ByHub = None
    times: int = 2

    @property
    def of_listing(self) -> bool:
        """Whether it is about the list of files."""
        return self.fault.where == LISTING or (self.over_tls and self.fault.origins == HUB)

    @property
    def over_tls(self) -> bool:
        """Whether the servers must speak https for it."""
        return self.fault.kind.startswith("tls-")

    @property
    def name(self) -> str:
        """What it is called, where it is about."""
        fault = self.fault
        more = {"rate-limit": f"-{fault.asking}", "server-error": f"-{fault.status}"}.get(fault.kind, "")
        return f"{'listing' if self.of_listing else 'file'}-{fault.kind}{more}"

    def for_ever(self, hub: str) -> Fault:
        """Return the fault of `always`."""
        return replace(self.fault, hub=self._hub(hub))

    def for_a_while(self, hub: str) -> Fault:
        """Return the fault of `briefly`."""
        return replace(self.fault, hub=self._hub(hub), files=self._files, times=self.times, skip=self._first(hub))

    def for_ever_later(self, hub: str) -> Fault:
        """Return the fault of `later`."""
        return replace(self.fault, hub=self._hub(hub), files=LARGE, skip=1 + self._first(hub))

    def _hub(self, hub: str) -> str:
        return "*" if self.fault.kind in {"tls-refused", "tls-cut"} else hub

    @property
    def _files(self) -> str:
        whole = self.of_listing or self.fault.kind in {"stale-link", "tls-refused", "tls-cut"}
        return "*" if whole else LARGE

    def _first(self, hub: str) -> int:
        """How many replies come before those that are meant: OpenXLab's questions for sizes."""
        spoils_sizes = hub == "openxlab" and self._files == LARGE and self.fault.at_byte is None
        return int(spoils_sizes and self.fault.kind not in _OF_LONGER_BODIES)


_OF_LONGER_BODIES = {"range-shifted", "flip"}  # a file's first byte alone cannot be spoilt so
LISTING: frozenset[Stage] = frozenset({"listing"})
FILE: frozenset[Stage] = frozenset({"file"})
BYTES: frozenset[Stage] = frozenset({"file", "content"})
HUB: frozenset[Origin] = frozenset({"hub"})
CDN: frozenset[Origin] = frozenset({"cdn"})
FEW_BYTES = 1000


def _listing() -> Iterator[Case]:
    for asking in ("seconds", "date", "ratelimit", "nothing"):
        yield Case(Fault("rate-limit", where=LISTING, asking=asking), ARRIVES, BUSY)
    for status in (500, 502, 503, 504):
        yield Case(Fault("server-error", where=LISTING, status=status), ARRIVES, BUSY)
    yield Case(Fault("server-error", where=LISTING, status=403), NO_ACCESS, NO_ACCESS)
    broken: tuple[FaultKind, ...] = ("hang-up", "no-http", "big-headers", "truncate", "drop", "long-length")
    for kind in broken:
        yield Case(Fault(kind, where=LISTING), ARRIVES, UNREACHABLE)
    slow: tuple[FaultKind, ...] = ("silence", "stall", "slow-headers", "continues")
    for kind in slow:
        yield Case(Fault(kind, where=LISTING), UNREACHABLE, UNREACHABLE)
    yield Case(Fault("drip", where=LISTING, bytes_per_s=20), UNREACHABLE, UNREACHABLE)
    yield Case(Fault("garbage", where=LISTING), BAD_ANSWER, BAD_ANSWER)
    yield Case(Fault("endless", where=LISTING), BAD_ANSWER, BAD_ANSWER)
    yield Case(Fault("redirect-loop", where=LISTING), (ARRIVES, ARRIVES, BAD_ANSWER), BAD_ANSWER)
    yield Case(Fault("link-elsewhere", where=LISTING), (ARRIVES, None, None), (ARRIVES, None, None), times=1)
    yield Case(Fault("tls-refused", origins=HUB), UNREACHABLE, UNREACHABLE)
    yield Case(Fault("tls-cut", origins=HUB), ARRIVES, UNREACHABLE, times=1)


def _bytes() -> Iterator[Case]:
    harmless: tuple[FaultKind, ...] = ("range-200", "ignore-range", "chunked", "range-416", "endless")
    for kind in harmless:
        yield Case(Fault(kind, where=BYTES), ARRIVES, ARRIVES, ARRIVES)
    yield Case(Fault("elsewhere"), (ARRIVES, ARRIVES, None), (ARRIVES, ARRIVES, None))  # a hub is asked but once
    cut: tuple[FaultKind, ...] = ("truncate", "drop", "stall", "tls-noise")
    for kind in cut:
        yield Case(Fault(kind, where=BYTES, at_byte=FEW_BYTES), ARRIVES, STOPPED, STOPPED)
    yield Case(Fault("short-length", where=BYTES, at_byte=FEW_BYTES), ARRIVES, SOME_STOPPED, STOPPED)
    yield Case(Fault("long-length", where=BYTES), ARRIVES, OTHER_SIZE, ARRIVES)
    yield Case(Fault("range-shifted", where=BYTES), ARRIVES, STOPPED, STOPPED)
    yield Case(Fault("range-total", where=BYTES), ARRIVES, OTHER_SIZE, OTHER_SIZE, times=1)
    yield Case(Fault("flip"), (ARRIVES, ARRIVES, UNVERIFIED), (OTHER_HASH, OTHER_HASH, UNVERIFIED), times=1)
    yield Case(Fault("etag", where=BYTES), (ARRIVES, ARRIVES, CHANGED), ARRIVES, (ARRIVES, ARRIVES, CHANGED), times=1)
    yield Case(Fault("encoded", where=BYTES), ARRIVES, FAILED, STOPPED)
    yield Case(Fault("expired"), ARRIVES, (STOPPED, STOPPED, FAILED), STOPPED)
    yield Case(Fault("stale-link"), ARRIVES, (STOPPED, STOPPED, FAILED), times=1)
    for asking in ("seconds", "date", "ratelimit", "nothing"):
        yield Case(Fault("rate-limit", where=BYTES, asking=asking), ARRIVES, (FAILED, FAILED, BUSY), STOPPED)
    for status in (500, 502, 503, 504):
        yield Case(Fault("server-error", where=BYTES, status=status), ARRIVES, (FAILED, FAILED, BUSY), STOPPED)
    yield Case(Fault("server-error", where=FILE, status=404), *((MISSING, MISSING, None),) * 2)
    yield Case(Fault("server-error", where=FILE, status=403), *((REFUSED, REFUSED, None),) * 2)
    yield Case(Fault("garbage", where=BYTES), ARRIVES, (OTHER_SIZE, OTHER_SIZE, BAD_ANSWER), OTHER_SIZE, times=1)
    yield Case(Fault("redirect-loop", where=BYTES), ARRIVES, BAD_REDIRECT, BAD_REDIRECT)
    silent: tuple[FaultKind, ...] = ("silence", "hang-up", "no-http", "big-headers", "slow-headers", "continues")
    for kind in silent:
        yield Case(Fault(kind, where=BYTES), ARRIVES, (FAILED, FAILED, UNREACHABLE), STOPPED)
    for kind in ("tls-refused", "tls-cut"):
        yield Case(Fault(kind, origins=CDN), ARRIVES, (STOPPED, STOPPED, UNREACHABLE), times=1)
    yield Case(DRIP, ARRIVES, STOPPED, STOPPED, times=1)


DRIP = Fault("drip", where=BYTES, bytes_per_s=500)
CASES = (*_listing(), *_bytes())


def at(ends: ByHub, hub: str) -> Outcome | None:
    """Return one hub's outcome."""
    return ends[HUBS.index(hub)] if isinstance(ends, tuple) else ends
