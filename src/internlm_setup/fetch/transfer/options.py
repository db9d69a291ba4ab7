"""What a transfer is given beside its contents, and what it gives back for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from internlm_setup.core.clock import Clock
from internlm_setup.core.errors import SetupError
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.transfer.manifest import Entry
from internlm_setup.fetch.transfer.plan import Content
from internlm_setup.fetch.transfer.rate import RateLimit
from internlm_setup.fetch.transfer.trace import Tracer


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one content: its entries, or the error."""

    content: Content
    entries: tuple[Entry, ...]
    error: SetupError | None
    kept_bytes: int


@dataclass(frozen=True, slots=True)
class Options:
    """How a transfer runs.

    `jobs` is connections in all, `most_jobs` what they may grow to where that helps; `finished` gets each entry as soon
    as it is in place; `trace` each piece when it is over.
    """

    jobs: int
    limit: RateLimit
    clock: Clock
    tell: events.Listener
    finished: Callable[[Entry], None]
    most_jobs: int = 0
    trace: Tracer | None = None
