"""What was found, in words: tables, what was wanted and what came of it, and `RESULTS.md`."""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).parent / "RESULTS.md"
MEMORY_LIMIT_MB = 150
_HEAD = """\
# Results

Written by the programs beside this page, run with `--write`; not edited by hand.
What is measured and how is told in [Benchmarks](../docs/explanation/benchmarks.md).
Ratios compare runs of the same round: the median, with the least and the greatest in brackets.
Where seconds are compared, below 1 means that internlm-setup needed less.
Where rates are compared, above 1 means that it got more.
"""


@dataclass(frozen=True, slots=True)
class Wish:
    """An acceptance figure, and what was found."""

    what: str
    wanted: str
    found: str
    met: bool


def at_most(what: str, limit: float, found: float, unit: str = "") -> Wish:
    """Want a number not above a limit."""
    return Wish(what, f"≤ {limit:g}{unit}", f"{found:.3g}{unit}", found <= limit)


def at_least(what: str, limit: float, found: float, unit: str = "") -> Wish:
    """Want a number not below a limit."""
    return Wish(what, f"≥ {limit:g}{unit}", f"{found:.3g}{unit}", found >= limit)


def finishes(what: str, failure: str) -> Wish:
    """Want every run to end with the right bytes."""
    return Wish(f"{what}: ends", "right", failure or "right", not failure)


def memory(peaks: Sequence[int]) -> list[Wish]:
    """Want the largest of our peaks to be small; nothing when there are none."""
    return [at_most("our peak memory", MEMORY_LIMIT_MB, max(peaks) / 1e6, " MB")] if peaks else []


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Draw a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def wishes(found: Sequence[Wish]) -> str:
    """Draw the acceptance figures."""
    rows = [(wish.what, wish.wanted, wish.found, "yes" if wish.met else "**no**") for wish in found]
    return table(("Acceptance", "Wanted", "Found", "Met"), rows)


def machine() -> str:
    """Describe this machine in one line."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[0]
    facts = [
        dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        f"{_processor()}, {os.cpu_count()} cores",
        f"{memory_gib:.0f} GiB",
        f"{platform.system()} {platform.release()}",
        f"Python {platform.python_version()}",
        f"default congestion control {_read('/proc/sys/net/ipv4/tcp_congestion_control')}",
        f"load {load:.1f} at the end",
    ]
    return ", ".join(facts)


def _processor() -> str:
    found = re.search(r"model name\s*: (.+)", _read("/proc/cpuinfo"))
    return found[1] if found else platform.machine()


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return "unknown"


def publish(name: str, text: str, *, write: bool) -> None:
    """Print a program's section and, when asked to, put it in place of its last one in `RESULTS.md`."""
    print(text)
    if write:
        page = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else _HEAD
        RESULTS.write_text(with_section(page, name, text), encoding="utf-8")


def with_section(page: str, name: str, text: str) -> str:
    """Return a page with one section replaced, or added at its end."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    section = f"{begin}\n\n{text.strip()}\n\n{end}\n"
    old = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}\n", re.DOTALL)
    if old.search(page):
        return old.sub(lambda _: section, page)
    return f"{page.rstrip()}\n\n{section}"
