"""Which bytes are here and which are not, compared with plain sets of offsets."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from internlm_setup.fetch.transfer.spans import Span, Spans

LENGTH = 60
offsets = st.integers(0, LENGTH)
spans = st.lists(st.tuples(offsets, offsets), max_size=12)


def covered(some: list[Span] | Spans) -> set[int]:
    """Return the offsets themselves."""
    return {n for start, end in some for n in range(start, end)}


@given(spans)
def test_holds_what_was_added(added: list[Span]) -> None:
    """In any order and with any overlap, exactly the added bytes are in the set."""
    found = Spans(added)
    assert covered(found) == covered(added)
    assert found.size_bytes == len(covered(added))


@given(spans)
def test_sorted_and_apart(added: list[Span]) -> None:
    """Spans come in order and never touch: two that meet are one."""
    found = list(Spans(added))
    assert all(start < end for start, end in found)
    assert all(one[1] < other[0] for one, other in pairwise(found))


@given(spans, offsets, offsets)
def test_holes_are_what_is_missing(added: list[Span], start: int, end: int) -> None:
    """Between any two offsets, the holes cover exactly the bytes that are not in the set, in order."""
    holes = Spans(added).holes(start, end)
    assert covered(holes) == set(range(start, end)) - covered(added)
    assert sum(b - a for a, b in holes) == len(covered(holes))
    assert holes == sorted(holes)


@given(spans, offsets, offsets)
def test_cut_out(added: list[Span], start: int, end: int) -> None:
    """What is cut out is gone, and nothing else is."""
    found = Spans(added)
    found.cut(start, end)
    assert covered(found) == covered(added) - set(range(start, end))
    assert all(a < b for a, b in found)


@given(spans)
def test_filling_the_holes_leaves_none(added: list[Span]) -> None:
    """A set with its holes filled is one span."""
    found = Spans(added)
    for start, end in found.holes(0, LENGTH):
        found.add(start, end)
    assert list(found) == [(0, LENGTH)]
    assert found.holes(0, LENGTH) == []


@given(spans)
def test_prefix(added: list[Span]) -> None:
    """The prefix ends at the first missing byte."""
    missing = set(range(LENGTH + 1)) - covered(added)
    assert Spans(added).prefix_bytes == min(missing)


def test_looking_while_adding() -> None:
    """A loop over the set sees it as it was when the loop began."""
    found = Spans([(0, 1), (5, 6)])
    seen = []
    for start, end in found:
        found.add(start, end + 1)
        seen.append((start, end))
    assert seen == [(0, 1), (5, 6)]
    assert repr(found) == "Spans([(0, 2), (5, 7)])"
