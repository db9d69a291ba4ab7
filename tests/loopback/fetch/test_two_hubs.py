"""One content from two hubs: shared out, taken over, compared; and what happens when one of them misbehaves."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from internlm_setup.core.errors import SetupError
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.transfer.errors import HashMismatch
from internlm_setup.fetch.transfer.options import Outcome
from internlm_setup.fetch.transfer.trial import UNIT_BYTES
from internlm_setup.playground.hub import Fault
from servers.machine import QuickClock
from servers.pair import NAMES, Pair, pair

pytestmark = pytest.mark.loopback
MIB = 1 << 20
LARGE, SMALL = "model.safetensors", "config.json"
FILES = {
    LARGE: random.Random(1).randbytes(48 * MIB),
    "more.safetensors": random.Random(2).randbytes(8 * MIB),
    SMALL: b'{"hidden_size": 1}',
    **{f"notes/{n}.txt": f"note {n}".encode() for n in range(20)},
}
SIZE = sum(map(len, FILES.values()))
BOTH = {"huggingface,modelscope", "modelscope,huggingface"}


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Pair]:
    """Two hubs that are slow enough that both are needed, and that something can happen half way."""
    with pair(tmp_path, FILES) as made:
        for server in made.servers:
            server.faults.throttle(16 * MIB)
        yield made


def arrived(two: Pair) -> dict[str, bytes]:
    """The files in place."""
    folder = two.folder / "to"
    return {path: (folder / path).read_bytes() for path in FILES if (folder / path).exists()}


def errors(outcomes: list[Outcome]) -> list[SetupError]:
    return [outcome.error for outcome in outcomes if outcome.error is not None]


def sources(two: Pair) -> dict[str, str]:
    return {entry.path: entry.source for entry in two.entries}


def test_both_send_each_byte_once(two: Pair) -> None:
    """Both hubs send a good part of a large file, and nothing comes twice; the record names both."""
    assert not errors(two.fetch())
    assert arrived(two) == FILES
    assert sources(two)[LARGE] in BOTH
    assert two.received_bytes <= 1.01 * SIZE
    assert min(two.sent_bytes) >= 0.25 * SIZE


def test_a_slow_hub_is_not_waited_for(two: Pair) -> None:
    """A hub ten times as slow sends about its share, and what it is last to send comes from the other."""
    two.servers[1].faults.throttle(1.6 * MIB)
    assert not errors(two.fetch(jobs=8, most_jobs=32))
    assert arrived(two) == FILES
    slow = sum(p.at - p.start for p in two.pieces if p.way.supplier.name == "modelscope")
    assert 0.02 * SIZE <= slow <= 0.25 * SIZE
    assert two.received_bytes <= 1.05 * SIZE


@pytest.mark.parametrize("jobs", [4, 8])
def test_a_hub_that_dies_half_way(two: Pair, jobs: int) -> None:
    """The other one brings the rest, and no more than that; it is said once who is gone."""
    two.at_share = (0.5, two.servers[1].close)
    assert not errors(two.fetch(jobs=jobs))
    assert arrived(two) == FILES
    assert two.received_bytes <= 1.01 * SIZE
    gone = [e.text.en for e in two.of(events.Noted)]
    assert [text.partition(";")[0] for text in gone] == ["modelscope does not send any more"]


@pytest.mark.parametrize("die", [0, 1])
def test_one_connection_and_a_hub_that_dies(two: Pair, die: int) -> None:
    """Whichever hub it was using, it goes on with the other."""
    two.at_share = (0.5, two.servers[die].close)
    assert not errors(two.fetch(jobs=1))
    assert arrived(two) == FILES
    assert two.received_bytes <= 1.01 * SIZE


@pytest.mark.parametrize("jobs", [1, 4])
def test_a_hub_that_falls_silent_half_way(two: Pair, jobs: int) -> None:
    """Its pieces move before any time-out runs out, what it had sent of them is kept, and others work in its place."""
    two.at_share = (0.5, lambda: two.servers[1].faults.throttle(0.001))
    assert not errors(two.fetch(jobs=jobs))
    assert arrived(two) == FILES
    assert two.received_bytes <= 1.01 * SIZE
    said = [e.text.en for e in two.of(events.Noted)]
    moved = [p for p in two.pieces if p.moved]
    assert {p.way.supplier.name for p in moved} <= {"modelscope"}
    assert bool(moved) == any(text.startswith("modelscope does not send") for text in said)
    assert not two.of(events.Retrying)


def test_a_hub_that_comes_back(two: Pair) -> None:
    """A hub that fails for a while is tried again, and used again."""
    refused = two.servers[1].faults.add(Fault("hang-up", LARGE, times=6))
    two.servers[0].faults.throttle(8 * MIB)
    assert not errors(two.fetch(clock=QuickClock()))
    assert arrived(two) == FILES
    assert two.servers[1].faults.struck(refused) == 6
    assert sources(two)[LARGE] in BOTH


@pytest.mark.parametrize("liar", NAMES)
@pytest.mark.parametrize("places", [(5,), (20 * MIB,), (10 * MIB, 40 * MIB + 7)])
def test_a_liar_is_found_and_dropped(two: Pair, liar: str, places: tuple[int, ...]) -> None:
    """Wrong bytes are replaced by the other hub's, the liar is named, and what it did not send is not replaced."""
    server = two.servers[NAMES.index(liar)]
    for at in places:
        server.faults.add(Fault("flip", LARGE, at_byte=at))
    assert not errors(two.fetch())
    assert arrived(two) == FILES
    lied = [p for p in two.pieces if p.unit is None and p.way.supplier.name == liar and p.assembly.content.size_bytes]
    hit = [p for p in lied if p.assembly.content.paths[0] == LARGE and any(p.start <= at < p.at for at in places)]
    assert [e.source for e in two.of(events.SourceDropped)] == ([liar] if hit else [])
    assert two.received_bytes <= 2.01 * SIZE


def test_a_liar_costs_no_more_than_the_comparison(two: Pair) -> None:
    """Where one hub sent all of a file and lied in its first bytes, little of it comes again."""
    two.servers[0].faults.add(Fault("flip", LARGE, at_byte=5))
    two.servers[1].faults.throttle(0.2 * MIB)
    assert not errors(two.fetch(jobs=2))
    assert arrived(two) == FILES
    assert two.received_bytes <= SIZE + 12 * UNIT_BYTES


def test_a_liar_about_a_small_file(two: Pair) -> None:
    """The other hub is asked for it, and the liar for nothing more."""
    for server, name in zip(two.servers, NAMES, strict=True):
        server.faults.add(Fault("flip", SMALL, hub=name))
    two.servers[1].faults.clear()
    assert not errors(two.fetch(jobs=1))
    assert arrived(two) == FILES
    assert [e.source for e in two.of(events.SourceDropped)] == ["huggingface"]
    again = [p.way.supplier.name for p in two.pieces if p.assembly.content.paths[0] == SMALL]
    assert again == ["huggingface", "modelscope"]
    after = two.pieces[[p.assembly.content.paths[0] for p in two.pieces].index(SMALL) + 2 :]
    assert {p.way.supplier.name for p in after} == {"modelscope"}


def test_two_liars(two: Pair) -> None:
    """Where both send the same wrong byte nobody can be believed: the file fails, the others arrive."""
    for server in two.servers:
        server.faults.add(Fault("flip", LARGE, at_byte=5))
    (error,) = errors(two.fetch())
    assert isinstance(error, HashMismatch)
    assert arrived(two) == {path: data for path, data in FILES.items() if path != LARGE}


@pytest.mark.parametrize("seconds", [60, 600])
def test_a_hub_that_refuses_for_a_while(two: Pair, seconds: float) -> None:
    """While one hub says 429 the other one sends, nothing fails, and the first is not asked before its time."""
    fault = two.servers[0].faults.add(Fault("rate-limit", where=frozenset({"file"}), seconds=seconds))
    assert not errors(two.fetch())
    assert arrived(two) == FILES
    assert 1 <= two.servers[0].faults.struck(fault) <= 4  # those that were on their way at once
    assert two.sent_bytes[1] >= 0.5 * SIZE


@pytest.mark.parametrize("status", [403, 404])
def test_a_hub_that_has_not_what_it_lists(two: Pair, status: int) -> None:
    """A refusal by one hub is no failure while another one has it."""
    two.servers[0].faults.add(Fault("server-error", where=frozenset({"file"}), status=status))
    assert not errors(two.fetch())
    assert arrived(two) == FILES
    assert set(sources(two).values()) == {"modelscope"}


def test_a_hub_without_ranges(two: Pair) -> None:
    """Parts come from the other hub; a whole body of the first is not read to no end."""
    fault = two.servers[0].faults.add(Fault("ignore-range", LARGE))
    assert not errors(two.fetch())
    assert arrived(two) == FILES
    assert two.servers[0].faults.struck(fault) <= 4
    assert len([p for p in two.pieces if p.assembly.content.paths[0] == LARGE and p.at > p.start]) > 1
    assert sources(two)[LARGE] == "modelscope"


def test_no_hub_has_ranges(two: Pair) -> None:
    """Then one of them sends the whole in one stream."""
    for server in two.servers:
        server.faults.add(Fault("ignore-range"))
    assert not errors(two.fetch())
    assert arrived(two) == FILES


def test_begun_at_one_finished_at_the_other(two: Pair) -> None:
    """A run that was interrupted half way at one hub is finished at the other, which sends only what is missing."""
    two.stop_at(0.5)
    with pytest.raises(KeyboardInterrupt):
        two.fetch(NAMES[:1])
    first = two.received_bytes or two.sent_bytes[0]
    two.servers[0].close()
    assert not errors(two.fetch(NAMES[1:]))
    assert arrived(two) == FILES
    assert two.received_bytes <= 0.55 * SIZE
    assert first > 0


def test_what_only_one_hub_has(two: Pair) -> None:
    """Files that the second hub lacks come from the first, beside those that both have."""
    contents = two.contents()
    assert {len(content.sources) for content in contents} == {2}
    two.servers[1].faults.add(Fault("server-error", "notes/*", where=frozenset({"file"}), status=404))
    assert not errors(two.fetch())
    assert arrived(two) == FILES
    assert {source for path, source in sources(two).items() if path.startswith("notes/")} == {"huggingface"}
