"""What a run knows of each source, whichever contents it is asked for, and which one to ask next.

Pure: times and bytes come in. `now_s` is the clock that waits are counted by, `real_s` the one that speeds are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from internlm_setup.core.errors import SetupError
from internlm_setup.fetch.transfer.growth import Growth
from internlm_setup.fetch.transfer.location import Whereabouts
from internlm_setup.fetch.transfer.pacing import Gate
from internlm_setup.fetch.transfer.piece import running_mean
from internlm_setup.fetch.transfer.plan import Source

MOST_STRIKES = 3
ALIVE_S = 1.0  # whoever brought a byte in this time is there
SILENT_S, SILENT_LATENCIES, MOST_SILENT_S = 2.0, 5, 4.0
FIRST_REST_S, LONGEST_REST_S = 2.0, 60.0
REGAIN_EVERY_S = 1.0
PORTION_S, PORTION_LATENCIES = 4.0, 30
FIRST_PORTION_BYTES, LEAST_PORTION_BYTES, LEAST_TELLING_BYTES = 4 << 20, 1 << 20, 256 << 10


@dataclass(eq=False)
class Supplier:
    """One source as this run has found it. The board's lock guards it.

    Attributes:
        name: The hub, and the endpoint where it has several.
        growth: How many connections help.
        gate: How often it may be asked.
        busy: Connections in use.
        latency_s: How long it takes to begin an answer, on average; 0 until it has.
        rate_bytes_per_s: What one connection brings, on average; 0 until one has.
        received_bytes: What came from it in all.
        heard_s: When a byte last came, or when it was first asked after a pause.
        liar: Whether it sent wrong bytes.
        resting_until_s: When one piece may try it again, while it is demoted; else None.
    """

    name: str
    growth: Growth
    gate: Gate = field(default_factory=Gate)
    busy: int = 0
    latency_s: float = 0.0
    rate_bytes_per_s: float = 0.0
    received_bytes: int = 0
    heard_s: float = 0.0
    liar: bool = False
    resting_until_s: float | None = None
    _strikes: int = 0
    _rest_s: float = 0.0
    _demoted_s: float = 0.0
    _fewer: int | None = None
    _fewer_s: float = 0.0

    @property
    def connections(self) -> int:
        """How many connections it may have."""
        return self.growth.jobs if self._fewer is None else min(self._fewer, self.growth.jobs)

    def is_good(self, now_s: float) -> bool:
        """Say whether it may be asked while others can be; of a demoted one, now and then one piece."""
        rests = self.resting_until_s is not None and (self.busy > 0 or now_s < self.resting_until_s)
        return not (self.liar or rests)

    def begin(self, real_s: float) -> None:
        """Note a piece that goes out."""
        if not self.busy:
            self.heard_s = real_s
        self.busy += 1

    def answered(self, latency_s: float, real_s: float) -> None:
        """Note that an answer begins, so long after it was asked for."""
        self.heard_s = real_s
        self.latency_s = running_mean(self.latency_s, latency_s)

    def received(self, count_bytes: int, real_s: float) -> None:
        """Note bytes that came."""
        self.received_bytes += count_bytes
        self.heard_s = real_s

    def carried(self, count_bytes: int, rate_bytes_per_s: float, begun_s: float) -> None:
        """Note a piece that brought enough to count; one that was begun since the demotion ends that."""
        if count_bytes >= LEAST_TELLING_BYTES:
            self.rate_bytes_per_s = running_mean(self.rate_bytes_per_s, rate_bytes_per_s)
        if self.resting_until_s is None or begun_s > self._demoted_s:
            self.resting_until_s, self._strikes, self._rest_s = None, 0, 0.0

    def failed(self, now_s: float, real_s: float) -> bool:
        """Note a failure; say whether it demotes: nothing else comes, or it was not the only one."""
        self._strikes += 1
        tried = self.resting_until_s is not None and now_s >= self.resting_until_s
        if tried or self._strikes >= MOST_STRIKES or real_s - self.heard_s >= ALIVE_S:
            return self.demote(now_s, real_s)
        return False

    def demote(self, now_s: float, real_s: float, least_s: float = 0.0) -> bool:
        """Leave it alone for a while, twice as long each time; say whether that is news."""
        news = self.resting_until_s is None
        if news or now_s >= (self.resting_until_s or 0.0):
            self._rest_s = min(LONGEST_REST_S, max(FIRST_REST_S, 2 * self._rest_s))
            self.resting_until_s, self._demoted_s = now_s + max(least_s, self._rest_s), real_s
        return news

    def refused(self, real_s: float) -> None:
        """Have fewer connections, since it asked us to come less often; they come back one by one."""
        if self._fewer is None or real_s - self._fewer_s >= REGAIN_EVERY_S:
            self._fewer, self._fewer_s = max(1, self.connections // 2), real_s

    def look(self, real_s: float) -> int:
        """Look how it does, now and then; return how many more connections are worth opening."""
        if self._fewer is not None and real_s - self._fewer_s >= REGAIN_EVERY_S:
            self._fewer, self._fewer_s = self._fewer + 1, real_s
            self._fewer = None if self._fewer >= self.growth.jobs else self._fewer
        more = 0 if self.gate.rate_per_s is not None else self.growth.look(self.received_bytes, real_s)
        return max(0, more)

    def is_silent(self, real_s: float) -> bool:
        """Say whether it is asked for something and brings nothing, for longer than it usually takes."""
        usual_s = SILENT_S + SILENT_LATENCIES * self.latency_s if self.latency_s else MOST_SILENT_S
        return self.busy > 0 and real_s - self.heard_s >= min(usual_s, MOST_SILENT_S)

    def finish_s(self, size_bytes: int) -> float:
        """Return how long it would take for so many bytes; 0 while nobody knows, so that it is tried."""
        return self.latency_s + (size_bytes / self.rate_bytes_per_s if self.rate_bytes_per_s else 0.0)

    @property
    def portion_bytes(self) -> int:
        """How much to ask it for at once where others could have the rest: a few seconds' worth."""
        if not self.rate_bytes_per_s:
            return FIRST_PORTION_BYTES
        seconds = max(PORTION_S, PORTION_LATENCIES * self.latency_s)
        return max(LEAST_PORTION_BYTES, int(self.rate_bytes_per_s * seconds))


@dataclass(eq=False)
class Way:
    """How one content comes from one source.

    Attributes:
        source: Where it is asked for.
        supplier: What is known of that source.
        whereabouts: Where the bytes are there.
        failures: In a row, without a byte that stays.
        not_before_s: When to ask again.
        ranges: Whether parts can be had.
        error: Why it is not asked for this content any more.
    """

    source: Source
    supplier: Supplier
    whereabouts: Whereabouts = field(init=False)
    failures: int = 0
    not_before_s: float = 0.0
    ranges: bool = True
    error: SetupError | None = None

    def __post_init__(self) -> None:
        self.whereabouts = Whereabouts(self.source.locate)

    def waits_s(self, now_s: float) -> float:
        """Return how long until it may be asked; 0 when it may be asked now."""
        gate_s = self.supplier.gate.opens_in_s(now_s)
        return max(0.0, self.not_before_s - now_s, gate_s if gate_s and self.whereabouts.at_hub else 0.0)


class Suppliers:
    """All sources of a run, each once.

    Where the number of connections was chosen, they share it; else each begins with so many, and they share the most.
    """

    def __init__(self, sources: Iterable[Source], jobs: int, most_jobs: int = 0) -> None:
        names = dict.fromkeys(source.name for source in sources)
        self.jobs = jobs if most_jobs <= jobs else min(most_jobs, jobs * max(1, len(names)))
        self.most_jobs = max(jobs, most_jobs)
        self._chosen = most_jobs <= jobs
        most_each = self.most_jobs - jobs * (len(names) - 1)
        self._by_name = {name: Supplier(name, Growth(jobs, most_each)) for name in names}

    def way(self, source: Source) -> Way:
        """Return a way to one content."""
        return Way(source, self._by_name[source.name])

    def all(self) -> tuple[Supplier, ...]:
        """Return them in the order in which they were first named."""
        return tuple(self._by_name.values())

    @property
    def are_one(self) -> bool:
        """Whether there is but one."""
        return len(self._by_name) == 1

    def has_room(self, supplier: Supplier, now_s: float) -> bool:
        """Say whether a source may have one more connection."""
        if supplier.busy >= supplier.connections:
            return False
        if not self._chosen:
            return True
        alive = sum(s.is_good(now_s) or s.busy > 0 for s in self._by_name.values())
        return supplier.busy < -(-self.jobs // max(1, alive))

    def ready(self, ways: Sequence[Way], now_s: float, size_bytes: int) -> list[Way]:
        """Return the ways that so many bytes may be asked for now, the one that would bring them soonest first.

        A source that is dead, lies, or knows no ranges is asked only where there is no other.
        """
        kind = best_kind(ways)
        able = [w for w in kind if w.supplier.is_good(now_s)] or kind
        now = [w for w in able if not w.waits_s(now_s) and self.has_room(w.supplier, now_s)]
        return sorted(now, key=lambda w: w.supplier.finish_s(size_bytes))


def best_kind(ways: Sequence[Way]) -> list[Way]:
    """Return the ways that are not closed: those by which parts can be had, if there are any."""
    still_open = [w for w in ways if w.error is None]
    return [w for w in still_open if w.ranges] or still_open
