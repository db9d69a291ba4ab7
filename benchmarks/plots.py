"""Plots for the results, as SVG: medians as dots, least to greatest as lines, goals as marks, on a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from rounds import Spread

FOLDER = Path(__file__).parent / "plots"
LEFT, RIGHT, WIDTH = 260, 180, 900
ROW, HEAD, GAP, TOP, BOTTOM = 20, 22, 10, 44, 44
OURS, OTHERS, GOAL, GRID, INK = "#c2410c", "#64748b", "#15803d", "#e2e8f0", "#1e293b"
BOLD = 'font-weight="bold"'
STEPS = (1, 2, 5)


@dataclass(frozen=True, slots=True)
class Dot:
    """One row: somebody's figure, and how it is written."""

    name: str
    spread: Spread
    shown: str
    ours: bool


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that belong together, with the goal for ours."""

    name: str
    dots: Sequence[Dot]
    goal: float | None = None
    goal_shown: str = ""


def draw(title: str, axis: str, groups: Sequence[Group], base: float | None = None) -> str:
    """Return the plot: a row for each dot, of which an endless figure has none, and a line at `base`."""
    numbers = [n for group in groups for dot in group.dots for n in (dot.spread.low, dot.spread.high)]
    numbers += [group.goal for group in groups if group.goal]
    low, high = _bounds([number for number in numbers if 0 < number < math.inf])
    wide = WIDTH - LEFT - RIGHT

    def x(number: float) -> float:
        share = (math.log10(min(max(number, low), high)) - math.log10(low)) / (math.log10(high) - math.log10(low))
        return round(LEFT + wide * share, 1)

    height = TOP + BOTTOM + sum(HEAD + GAP + ROW * len(group.dots) for group in groups)
    parts = [f'<rect width="{WIDTH}" height="{height}" fill="white"/>', _text(12, 24, title, style=BOLD)]
    for tick in _ticks(low, high):
        parts.append(_line(x(tick), TOP, x(tick), height - BOTTOM, INK if tick == base else GRID))
        parts.append(_text(x(tick), height - BOTTOM + 16, f"{tick:g}", anchor="middle"))
    parts.append(_text(LEFT + wide / 2, height - 10, axis, anchor="middle"))
    y = float(TOP)
    for group in groups:
        parts += _group(group, y, x)
        y += HEAD + GAP + ROW * len(group.dots)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">'
    return "\n".join([head, *parts, "</svg>", ""])


def publish(name: str, plot: str, title: str, *, write: bool) -> str:
    """Write a plot where that was asked for, and return the words that show it; nothing otherwise."""
    if not write:
        return ""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.svg").write_text(plot, encoding="utf-8")
    return f"![{title}]({FOLDER.name}/{name}.svg)"


def _group(group: Group, y: float, x: Callable[[float], float]) -> Iterator[str]:
    yield _text(12, y + 15, group.name, style=BOLD)
    end = y + HEAD + ROW * len(group.dots)
    if group.goal is not None:
        yield _line(x(group.goal), y + HEAD - 4, x(group.goal), end - 4, GOAL, "4 3")
        yield _text(x(group.goal), y + 14, group.goal_shown, anchor="middle", fill=GOAL)
    for number, dot in enumerate(group.dots):
        middle, colour = y + HEAD + ROW * (number + 0.5) - 4, OURS if dot.ours else OTHERS
        yield _text(24, middle + 4, dot.name, fill=colour)
        yield _text(WIDTH - RIGHT + 12, middle + 4, dot.shown, fill=colour)
        if not math.isinf(dot.spread.median):
            yield _line(x(dot.spread.low), middle, x(dot.spread.high), middle, colour)
            yield f'<circle cx="{x(dot.spread.median)}" cy="{middle}" r="4.5" fill="{colour}"/>'


def _bounds(numbers: Sequence[float]) -> tuple[float, float]:
    """Return the steps of the axis that the numbers lie between."""
    least, greatest = min(numbers, default=1.0), max(numbers, default=1.0)
    steps = [digit * 10.0**power for power in range(-7, 10) for digit in STEPS]
    low = max((step for step in steps if step < least), default=steps[0])
    return low, min((step for step in steps if step > greatest), default=steps[-1])


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers within the axis: each step of it, or where those are many each power of ten."""
    digits = STEPS if high / low <= 2000 else (1,)
    ticks = [digit * 10.0**power for power in range(-7, 10) for digit in digits]
    return [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]


def _text(x: float, y: float, words: str, *, anchor: str = "start", style: str = "", fill: str = INK) -> str:
    return f'<text x="{x}" y="{y}" font-size="12" text-anchor="{anchor}" fill="{fill}" {style}>{escape(words)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, dashes: str = "") -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}" stroke-width="1.5"{dashed}/>'
