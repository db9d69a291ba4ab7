"""What is wrong with the mirrors of this machine, and all that can be repaired of it as one change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from internlm_setup.mirrors import checks
from internlm_setup.mirrors.checks import Finding, Sight
from internlm_setup.mirrors.model import Change
from internlm_setup.mirrors.world import World

_MOST_ROUNDS = 20  # each repairs something in every file; a file has far fewer kinds of trouble


@dataclass(frozen=True, slots=True)
class Found:
    """What one check found."""

    check: str
    finding: Finding


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found, what repairs it, and what is left then.

    Attributes:
        found: Before anything is repaired.
        changes: The repairs, one a file; nothing is written yet.
        left: What they do not repair.
    """

    found: tuple[Found, ...]
    changes: tuple[Change, ...]
    left: tuple[Found, ...]


def diagnose(world: World, *, online: bool) -> Diagnosis:
    """Run every check, and again on what the repairs make of the files, until none of these is left.

    Args:
        world: The run's.
        online: Whether mirrors are asked for the channels that conda is led to.
    """
    sight = Sight(world, online=online)
    first = left = _examine(sight)
    for _ in range(_MOST_ROUNDS):
        repairs = {found.finding.change.path: found.finding.change for found in left if found.finding.change}
        if not repairs:
            break
        for change in repairs.values():
            sight.repair(change)
        left = _examine(sight)
    return Diagnosis(tuple(first), tuple(sight.changes), tuple(left))


def _examine(sight: Sight) -> Sequence[Found]:
    return [Found(check.id, finding) for check in checks.known().values() for finding in check.look(sight)]
