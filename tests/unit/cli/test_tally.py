"""What events add up to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internlm_setup.cli.help import width_of
from internlm_setup.cli.tally import Tally, duration, shorten
from internlm_setup.core.text import human_size
from internlm_setup.fetch.transfer import events as ev

MIB = 1024 * 1024


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def planned(clock: Hand, total: int = 24 * MIB, present: int = 0) -> Tally:
    tally = Tally(clock)
    tally.add(ev.Planned("org/model", "hub", 2, total, present))
    return tally


def test_line_before_the_plan() -> None:
    """There is something to show from the first moment, and who is asked."""
    tally = Tally(Hand())
    assert tally.line("en") == "starting"
    tally.add(ev.Asking("one", "one.test"))
    tally.add(ev.Asking("two", "two.test"))
    assert tally.line("zh") == "正在询问 one (one.test), two (two.test)"


def test_line_with_rate_and_time() -> None:
    """The line has bytes, rate and time left."""
    clock = Hand()
    tally = planned(clock, present=2 * MIB)
    tally.add(ev.FileStarted("a", 24 * MIB, 2 * MIB))
    for _ in range(10):
        clock.seconds += 1
        tally.add(ev.Advanced("a", MIB))
    assert tally.line("en") == "12.0 MiB of 24.0 MiB · 1.0 MiB/s · 0:00:12 left"
    assert tally.active["a"].done_bytes == 12 * MIB


def test_a_stall_shows() -> None:
    """When nothing comes for longer than the window the rate falls to zero."""
    clock = Hand()
    tally = planned(clock)
    clock.seconds += 1
    tally.add(ev.Advanced("a", 4 * MIB))
    clock.seconds += 60
    assert tally.line("en") == "4.0 MiB of 24.0 MiB · 0 B/s"


def test_pieces_that_come_again() -> None:
    """Going back lowers what is here, never below zero, and is no negative rate."""
    clock = Hand()
    tally = planned(clock)
    tally.add(ev.Advanced("a", MIB))
    tally.add(ev.Advanced("a", -3 * MIB))
    assert tally.done_bytes == 0
    assert tally.rate_bytes_per_s >= 0


def test_a_file_from_start_to_end() -> None:
    """A file is shown while it is fetched and checked, then it is counted."""
    tally = planned(Hand())
    tally.add(ev.FileStarted("a", 5, 0))
    tally.add(ev.Verifying("a"))
    assert tally.active["a"].verifying
    tally.add(ev.FileFinished("a", 5, "sha256"))
    assert (tally.finished, tally.active) == (1, {})


@given(st.lists(st.tuples(st.floats(0, 0.01), st.integers(-9, 99)), max_size=300))
def test_samples_stay_few(steps: list[tuple[float, int]]) -> None:
    """Many small events cost no memory, and the total stays inside the plan."""
    clock = Hand()
    tally = planned(clock, total=1000)
    for wait, count in steps:
        clock.seconds += wait
        tally.add(ev.Advanced("a", count))
        assert 0 <= tally.done_bytes <= 1000
    assert len(tally._samples) <= 20


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (1023 * 1024, "1.0 MiB"),
        (5 << 40, "5.0 TiB"),
    ],
)
def test_size(count: int, expected: str) -> None:
    """Sizes are short and binary."""
    assert human_size(count) == expected


def test_duration() -> None:
    """Times have hours, minutes and seconds."""
    assert duration(3 * 3600 + 62) == "3:01:02"


@given(st.text(), st.integers(3, 60))
def test_shorten_fits(name: str, width: int) -> None:
    """Any name takes exactly its columns, Chinese ones too."""
    assert width_of(shorten(name, width)) == width


def test_shorten_keeps_both_ends() -> None:
    """The middle is what goes, and control characters never reach the terminal."""
    assert shorten("模型/很长的名字.safetensors", 20) == "模型/很….safetensors"
    assert shorten("a\x1b[2Jb", 8) == "a?[2Jb  "
