"""Who sent what, and who lied."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from internlm_setup.fetch.transfer.growth import Growth
from internlm_setup.fetch.transfer.sources import Supplier
from internlm_setup.fetch.transfer.spans import Spans
from internlm_setup.fetch.transfer.trial import UNIT_BYTES, Account, Sender, Trial, Unit

SIZE = 5 * UNIT_BYTES + 1000
RIGHT = random.Random(1).randbytes(SIZE)


def suppliers(count: int = 2) -> list[Supplier]:
    return [Supplier(f"s{n}", Growth(1, 1)) for n in range(count)]


def with_flips(data: bytes, places: Iterable[int]) -> bytes:
    wrong = bytearray(data)
    for at in places:
        wrong[at] ^= 1
    return bytes(wrong)


class Court:
    """A trial of bytes on the disk, and sources that each say what they always say."""

    def __init__(self, path: Path, sent: dict[Sender, list[tuple[int, int]]], says: dict[Sender, bytes]) -> None:
        here = bytearray(SIZE)
        for sender, spans in sent.items():
            for start, end in spans:
                here[start:end] = says[sender][start:end]
        path.write_bytes(here)
        self.path, self.says, self.asked_bytes = path, says, 0
        self.trial = Trial(sent)

    def write(self, at: int, data: bytes) -> None:
        with self.path.open("r+b") as file:
            file.seek(at)
            file.write(data)

    def is_right(self) -> bool:
        return self.path.read_bytes() == RIGHT

    def hold(self) -> tuple[bool, Sender]:
        """Compare and decide until it is right, or nothing is left to compare."""
        while True:
            for asked in [s for s in self.says if s is not None]:
                while (unit := self.trial.take(asked)) is not None:
                    said = self.says[asked][unit.start : unit.end]
                    self.trial.compare(unit, asked, said, self.path)
                    self.asked_bytes += len(said)
                    self.trial.give_back(unit, compared=True)
            if self.trial.is_due:
                right, liar = self.trial.decide(self.write, self.is_right)
                if right or self.trial.is_over:
                    return right, liar


def test_little_is_kept_of_what_differs(tmp_path: Path) -> None:
    """A wrong byte here and there must not fill the memory with whole units."""
    one, two = suppliers()
    path = tmp_path / "whole"
    path.write_bytes(with_flips(RIGHT, [UNIT_BYTES + 100, UNIT_BYTES + 9000]))
    unit = Unit(UNIT_BYTES, 2 * UNIT_BYTES, one)
    Trial.compare(unit, two, RIGHT[UNIT_BYTES : 2 * UNIT_BYTES], path)
    assert unit.versions[two] == RIGHT[unit.start : unit.end]
    assert (unit.start, unit.end) == (UNIT_BYTES, UNIT_BYTES + (12 << 10))


def test_the_account() -> None:
    """Bytes are his who brought them first; what is thrown away is nobody's."""
    one, two = suppliers()
    account = Account()
    account.note(one, 0, 10)
    account.note(two, 5, 30)
    assert account.by_sender(40) == {one: [(0, 10)], two: [(10, 30)], None: [(30, 40)]}
    assert account.senders() == ["s1", "s0"]
    assert (account.only_sender(2, 8), account.only_sender(5, 15)) == (one, None)
    account.forget(0, 10)
    account.note(two, 0, 10)
    assert (account.senders(), account.only_sender(0, 30)) == (["s1"], two)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, SIZE - 1), min_size=1, max_size=3),
    st.lists(st.integers(0, SIZE), max_size=8),
    st.booleans(),
)
def test_a_liar_is_found(
    tmp_path_factory: pytest.TempPathFactory, lies: list[int], cuts: list[int], first: bool
) -> None:
    """However a content was shared out, and wherever the lies are, also where the liar is asked about others."""
    one, two = suppliers()
    liar, honest = (one, two) if first else (two, one)
    edges = sorted({0, SIZE, *cuts})
    sent: dict[Sender, list[tuple[int, int]]] = {one: [], two: []}
    for number, (start, end) in enumerate(pairwise(edges)):
        sent[(one, two)[number % 2]].append((start, end))
    says: dict[Sender, bytes] = {honest: RIGHT, liar: with_flips(RIGHT, lies)}
    court = Court(tmp_path_factory.mktemp("court") / "file", sent, says)
    told = any(start <= at < end for start, end in sent[liar] for at in lies) and says[liar] != RIGHT
    if told:
        assert court.hold() == (True, liar)
        assert court.is_right()
        assert [w.name for *_, w in court.trial.replaced(liar)].count(liar.name) == 0


def test_bytes_of_an_earlier_run(tmp_path: Path) -> None:
    """Nobody is accused of what was there before."""
    one, two = suppliers()
    court = Court(tmp_path / "file", {None: [(0, SIZE)]}, {None: with_flips(RIGHT, [7]), one: RIGHT, two: RIGHT})
    assert court.hold() == (True, None)


def test_all_agree_on_wrong_bytes(tmp_path: Path) -> None:
    """Then nobody can be accused, and each byte was asked for once."""
    one, two = suppliers()
    wrong = with_flips(RIGHT, [7])
    court = Court(tmp_path / "file", {one: [(0, SIZE)], two: []}, {one: wrong, two: wrong})
    assert court.hold() == (False, None)
    assert court.asked_bytes == SIZE


def test_it_stops_where_it_is_right(tmp_path: Path) -> None:
    """What lies behind the lie is not asked for."""
    one, two = suppliers()
    court = Court(tmp_path / "file", {one: [(0, SIZE)], two: []}, {one: with_flips(RIGHT, [7]), two: RIGHT})
    assert court.hold() == (True, one)
    assert court.asked_bytes == UNIT_BYTES


def test_known_liars_are_looked_at_first(tmp_path: Path) -> None:
    """Who lied about another file is the first to be doubted."""
    one, two = suppliers()
    two.liar = True
    half = SIZE // 2
    trial = Trial({one: [(0, half)], two: [(half, SIZE)], None: []})
    units = []
    while (unit := trial.take(one)) is not None:
        units.append(unit)
        trial.give_back(unit, compared=True)
    assert list(Spans((u.start, u.end) for u in units)) == [(half, SIZE)]


def test_nobody_is_asked_about_himself() -> None:
    """And what only its sender could be asked about is left out."""
    one, two = suppliers()
    trial = Trial({one: [(0, 10)], two: [], None: []})
    assert trial.take(one) is None
    trial.only([one])
    assert (trial.take(two), trial.is_over) == (None, True)


def test_a_unit_that_did_not_come_is_asked_for_again() -> None:
    """A connection that broke proves nothing."""
    one, two = suppliers()
    trial = Trial({one: [(0, 10)], two: [], None: []})
    unit = trial.take(two)
    assert isinstance(unit, Unit)
    assert not trial.is_due
    trial.give_back(unit, compared=False)
    assert trial.take(two) is unit
