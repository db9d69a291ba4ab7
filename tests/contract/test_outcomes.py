"""The table of outcomes leaves no fault out, and speaks of errors that exist."""

from __future__ import annotations

import runpy
from pathlib import Path

from internlm_setup.playground.hub import KINDS
from outcomes import CASES, HUBS, UNVERIFIED, at

ROOT = Path(__file__).parents[2]


def test_every_kind_of_fault_has_a_row() -> None:
    """A new kind in the playground needs its outcome written down, which makes it a test."""
    assert {case.fault.kind for case in CASES} == set(KINDS)
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))


def test_outcomes_are_the_errors_own() -> None:
    """An exit code in the table is that of the error's class; 75 may speak for several."""
    classes = runpy.run_path(str(ROOT / "docs" / "generate.py"))["error_classes"]()
    exits = {error.code: int(error.exit_code) for error in classes}
    ends = {at(e, hub) for case in CASES for e in (case.briefly, case.always, case.later) for hub in HUBS}
    for end in ends - {None, UNVERIFIED}:
        assert end is not None
        own = {exits[code] for code in end.codes}
        assert end.exit_code in (own or {0})
        assert len(own) <= 1 or end.exit_code == 75


def test_a_case_knows_what_it_is_about() -> None:
    """At every hub, some row ends in each way that a run can end."""
    for hub in HUBS:
        found = {end.exit_code for case in CASES if (end := at(case.always, hub)) is not None}
        assert found >= {0, 65, 69, 75, 76, 77}
