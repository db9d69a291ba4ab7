"""What is known of a source, and which one is asked next."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internlm_setup.core.text import Text
from internlm_setup.fetch.model import Location
from internlm_setup.fetch.transfer.errors import TransferFailed
from internlm_setup.fetch.transfer.plan import Source
from internlm_setup.fetch.transfer.sources import (
    FIRST_PORTION_BYTES,
    FIRST_REST_S,
    LEAST_PORTION_BYTES,
    LONGEST_REST_S,
    MOST_SILENT_S,
    MOST_STRIKES,
    PORTION_S,
    REGAIN_EVERY_S,
    SILENT_S,
    Supplier,
    Suppliers,
    Way,
)

MB = 1_000_000
GONE = TransferFailed("x", "one", Text(en="why", zh="为何"))


def source(name: str) -> Source:
    return Source(name, lambda: Location(f"https://{name}.test/", f"https://{name}.test:443"))


def ways_of(*names: str, jobs: int = 4, most_jobs: int = 0) -> tuple[Suppliers, list[Way]]:
    sources = [source(name) for name in names]
    suppliers = Suppliers(sources, jobs, most_jobs)
    return suppliers, [suppliers.way(one) for one in sources]


def bring(supplier: Supplier, rate_bytes_per_s: float, latency_s: float, now_s: float = 1.0) -> None:
    """Let a source carry one piece well."""
    supplier.begin(now_s)
    supplier.answered(latency_s, now_s)
    supplier.carried(8 << 20, rate_bytes_per_s, now_s)
    supplier.busy -= 1


def ready(suppliers: Suppliers, ways: Sequence[Way], now_s: float = 0.0, size_bytes: int = 4 << 20) -> list[str]:
    return [way.source.name for way in suppliers.ready(ways, now_s, size_bytes)]


def test_a_source_is_known_once_for_all_contents() -> None:
    """Two contents of one source share what is known of it; another endpoint of the same hub is another source."""
    lan = Source("one", source("one").locate, "http://lan")
    suppliers = Suppliers([source("one"), source("one"), lan], 4)
    assert suppliers.way(source("one")).supplier is suppliers.way(source("one")).supplier
    assert [s.name for s in suppliers.all()] == ["one", "one (http://lan)"]


def test_pieces_go_where_they_finish_soonest() -> None:
    """Small ones where the answer comes soon, large ones where the bytes come fast; who is unknown is tried first."""
    suppliers, ways = ways_of("wide", "near", "new")
    bring(ways[0].supplier, 10 * MB, 0.5)
    bring(ways[1].supplier, 1 * MB, 0.01)
    assert ready(suppliers, ways, size_bytes=1000) == ["new", "near", "wide"]
    assert ready(suppliers, ways, size_bytes=32 << 20) == ["new", "wide", "near"]


def test_a_chosen_number_of_connections_is_shared() -> None:
    """Eight for two sources are four for each, and all eight for one of them when the other is dead."""
    suppliers, ways = ways_of("one", "two", jobs=8)
    assert suppliers.jobs == 8
    ways[0].supplier.busy = 4
    assert ready(suppliers, ways) == ["two"]
    ways[1].supplier.demote(0.0, 0.0)
    assert ready(suppliers, ways) == ["one"]
    ways[0].supplier.busy = 8
    assert ready(suppliers, ways) == []


def test_a_number_that_was_not_chosen_is_for_each() -> None:
    """Each source begins with so many, as it would alone; all together never have more than the most."""
    assert [ways_of(*"abcdef"[:n], jobs=8, most_jobs=32)[0].jobs for n in (1, 2, 3, 6)] == [8, 16, 24, 32]
    suppliers, ways = ways_of("one", "two", jobs=8, most_jobs=32)
    ways[0].supplier.busy = 8
    assert ready(suppliers, ways) == ["two"]


def test_who_is_closed_waits_or_lies_is_passed_over() -> None:
    """As long as another one is left."""
    suppliers, ways = ways_of("closed", "resting", "waiting", "liar", "good")
    ways[0].error = GONE
    ways[1].supplier.demote(0.0, 0.0)
    ways[2].not_before_s = 5.0
    ways[3].supplier.liar = True
    assert ready(suppliers, ways) == ["good"]
    assert ready(suppliers, ways[:2]) == ["resting"]
    assert ready(suppliers, [ways[0], ways[3]]) == ["liar"]
    assert ready(suppliers, ways[:1]) == []
    assert ready(suppliers, ways[2:3], now_s=5.0) == ["waiting"]


def test_parts_are_asked_for_where_they_can_be_had() -> None:
    """A source without ranges serves a content only when nobody else does."""
    suppliers, ways = ways_of("whole", "parts")
    ways[0].ranges = False
    assert ready(suppliers, ways) == ["parts"]
    assert ready(suppliers, ways[:1]) == ["whole"]


def test_a_closed_gate_is_for_the_hub_alone() -> None:
    """Who knows where the bytes are, past the hub, need not wait for the hub."""
    suppliers, ways = ways_of("one")
    ways[0].supplier.gate.refused(0.0, 0.0, 60.0)
    assert ready(suppliers, ways) == []
    ways[0].whereabouts.learned(Location("https://cdn.test/", "https://one.test:443"))
    assert ready(suppliers, ways) == ["one"]


@pytest.mark.parametrize(("heard_s", "failures"), [(0.0, 1), (9.5, MOST_STRIKES)])
def test_who_fails_is_demoted(heard_s: float, failures: int) -> None:
    """At once when nothing comes from it; when bytes still come, not for one connection alone."""
    (supplier,) = ways_of("one")[0].all()
    supplier.heard_s = heard_s
    assert [supplier.failed(10.0, 10.0) for _ in range(failures)] == [False] * (failures - 1) + [True]
    assert not supplier.is_good(10.0)


def test_one_probe_brings_it_back() -> None:
    """After its rest one piece is tried, no second one beside it; when that comes, all is well."""
    (supplier,) = ways_of("one")[0].all()
    supplier.demote(0.0, 0.0)
    assert [supplier.is_good(now_s) for now_s in (0.0, FIRST_REST_S)] == [False, True]
    supplier.begin(FIRST_REST_S)
    assert not supplier.is_good(FIRST_REST_S)
    supplier.busy = 0
    supplier.carried(1 << 20, 1 * MB, FIRST_REST_S)
    assert (supplier.is_good(FIRST_REST_S), supplier.resting_until_s) == (True, None)


def test_rests_grow() -> None:
    """A source whose probes fail is tried ever more seldom."""
    (supplier,) = ways_of("one")[0].all()
    now_s, rests = 0.0, []
    supplier.demote(now_s, now_s)
    for _ in range(8):
        assert supplier.resting_until_s is not None
        rests.append(supplier.resting_until_s - now_s)
        now_s = supplier.resting_until_s
        assert not supplier.failed(now_s, now_s), "that is no news"
    assert rests[:3] == [FIRST_REST_S, 2 * FIRST_REST_S, 4 * FIRST_REST_S]
    assert rests[-1] == LONGEST_REST_S


def test_a_piece_from_before_proves_nothing() -> None:
    """What was under way when a source was demoted does not bring it back."""
    (supplier,) = ways_of("one")[0].all()
    supplier.demote(5.0, 5.0)
    supplier.carried(1 << 20, 1 * MB, begun_s=4.0)
    assert supplier.resting_until_s is not None


def test_silence() -> None:
    """A source that is asked and brings nothing is silent; how soon depends on how far it is."""
    (supplier,) = ways_of("one")[0].all()
    assert not supplier.is_silent(100.0)
    supplier.begin(100.0)
    assert [supplier.is_silent(100 + after_s) for after_s in (SILENT_S, MOST_SILENT_S)] == [False, True]
    supplier.answered(0.1, 101.0)
    supplier.received(10, 102.0)
    assert [supplier.is_silent(102 + after_s) for after_s in (SILENT_S, SILENT_S + 0.6)] == [False, True]


def test_fewer_connections_for_who_refuses() -> None:
    """Half as many, and then one more every second, up to what they were."""
    (supplier,) = ways_of("one", jobs=8)[0].all()
    supplier.refused(0.0)
    supplier.refused(0.1)
    assert supplier.connections == 4
    counts = []
    for second in range(1, 7):
        supplier.look(second * REGAIN_EVERY_S)
        counts.append(supplier.connections)
    assert counts == [5, 6, 7, 8, 8, 8]


def test_portions() -> None:
    """Small at first, then some seconds' worth, never tiny; longer ones where an answer takes long."""
    (supplier,) = ways_of("one")[0].all()
    assert supplier.portion_bytes == FIRST_PORTION_BYTES
    bring(supplier, 5 * MB, 0.01)
    assert supplier.portion_bytes == PORTION_S * 5 * MB
    supplier.latency_s = 1.0
    assert supplier.portion_bytes == 30 * 5 * MB
    supplier.rate_bytes_per_s = 1.0
    assert supplier.portion_bytes == LEAST_PORTION_BYTES


_steps = st.lists(st.tuples(st.sampled_from(["begin", "fail", "carry", "silence", "refuse", "look"]), st.floats(0, 5)))


@given(_steps)
def test_whatever_happens_a_source_can_be_asked_again(history: list[tuple[str, float]]) -> None:
    """After any history there is a time, at most the longest rest away, when it is tried again."""
    suppliers, ways = ways_of("one", "two", jobs=8)
    supplier, now_s = ways[0].supplier, 0.0
    for what, after_s in history:
        now_s += after_s
        if what == "begin":
            supplier.begin(now_s)
            supplier.busy = 0
        elif what == "fail":
            supplier.failed(now_s, now_s)
        elif what == "carry":
            supplier.carried(1 << 20, 1 * MB, now_s)
        elif what == "silence":
            supplier.demote(now_s, now_s)
        elif what == "refuse":
            supplier.refused(now_s)
        else:
            supplier.look(now_s)
        assert 1 <= supplier.connections <= 8
    assert "one" in ready(suppliers, ways, now_s + LONGEST_REST_S)
