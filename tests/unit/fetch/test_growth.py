"""More connections, where they help."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from internlm_setup.fetch.transfer.growth import LOOK_EVERY_S, Growth

MB = 1_000_000


def after(rate_of: Callable[[int], float], looks: int = 20, jobs: int = 8, most: int = 32) -> int:
    """Return how many connections there are after some looks at a line that gives so much to so many."""
    growth, came, now_s = Growth(jobs, most), 1, 0.0
    growth.look(came, now_s)
    for _ in range(looks):
        now_s += LOOK_EVERY_S
        came += int(rate_of(growth.jobs) * LOOK_EVERY_S)
        growth.look(came, now_s)
    return growth.jobs


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (lambda jobs: jobs * 0.25 * MB, 32),  # far and lossy: each connection has its own speed
        (lambda jobs: min(jobs * 0.25, 5) * MB, 32),  # and 32 still bring more than 16 did
        (lambda jobs: min(jobs * 0.25, 4.5) * MB, 32),  # which is known only once they were tried
        (lambda _: 1 * MB, 8),  # narrow: the first doubling changed nothing, so it is taken back
        (lambda jobs: jobs * 3 * MB, 8),  # fast enough
        (lambda _: 0.0, 8),  # silent: more questions would not help
    ],
)
def test_lines(line: Callable[[int], float], expected: int) -> None:
    """The number doubles while connections are slow and more of them bring more."""
    assert after(line) == expected


def test_a_number_that_was_chosen_stays() -> None:
    """Who says 8 gets 8, and who says 3 gets 3."""
    assert after(lambda jobs: jobs * 0.25 * MB, jobs=3, most=3) == 3


def test_the_most_need_not_be_a_power() -> None:
    """The last step is a smaller one."""
    assert after(lambda jobs: jobs * 0.25 * MB, jobs=8, most=20) == 20


def test_nothing_is_decided_early() -> None:
    """Until the first byte, and until connections have settled, nobody knows how fast a line is."""
    growth = Growth(8, 32)
    looks = [(0, 0.0), (0, 60.0), (1, 61.0), (9, 62.0), (99, 63.0), (150, 64.0)]
    assert [growth.look(came, now_s) for came, now_s in looks] == [0] * 6
    assert growth.look(200, 65.0) == 8


@pytest.mark.parametrize(
    "haste", [(0.5, *[0.2] * 6), (0.8, 0.5, 0.3, 0.25, *[0.15] * 6), (0.8, 0.6, 0.4, 0.3, 0.25, *[0.15] * 9)]
)
def test_the_first_moments_do_not_count(haste: tuple[float, ...]) -> None:
    """Connections are fast until they lose their first packet; what more of them bring is held against what stays."""
    growth, now_s, came = Growth(8, 32), 0.0, 1
    growth.look(came, now_s)
    for each in haste:
        now_s += LOOK_EVERY_S
        came += int(growth.jobs * each * MB * LOOK_EVERY_S)
        growth.look(came, now_s)
    assert growth.jobs == 32
