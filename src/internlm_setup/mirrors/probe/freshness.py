"""How far behind the newest copy each site is. Pure.

The upstream index may be out of reach, so the sites are compared with each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from internlm_setup.mirrors.probe.health import Observation
from internlm_setup.mirrors.probe.questions import DAY_S

LIVELY_S = 7 * DAY_S  # whatever the sites copy has changed within that time


@dataclass(frozen=True, slots=True)
class Lag:
    """How far behind: `seconds` is None where that is not known, `behind` whether it is at all, None likewise."""

    seconds: float | None = None
    behind: bool | None = None


def lags(seen: Sequence[Observation], now_s: float) -> dict[str, Lag]:
    """Return each site's lag.

    The number of the last change decides where it is said; how long ago the change was is a date's matter. The newest
    date is at least a week ago, or a single site would be as new as the newest.

    Args:
        seen: The sites, in any order.
        now_s: Seconds since 1970.
    """
    usable = [each.stamp for each in seen if each.trouble is None]
    serial = max((s.serial for s in usable if s.serial is not None), default=None)
    leaders = [s for s in usable if serial is None or s.serial == serial]
    newest_s = max((s.modified_s for s in leaders if s.modified_s is not None), default=None)
    reference_s = max(newest_s or 0.0, now_s - LIVELY_S)

    def lag(each: Observation) -> Lag:
        stamp = each.stamp
        late_s = None if stamp.modified_s is None else max(0.0, reference_s - stamp.modified_s)
        if stamp.serial is not None and len(usable) > 1:
            if stamp.serial == serial:
                return Lag(0.0, behind=False)
            return Lag(late_s or None, behind=True)
        return Lag(late_s, behind=None if late_s is None else late_s > 0)

    return {each.site: lag(each) for each in seen}
