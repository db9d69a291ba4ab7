"""Plots for the results, as SVG without any library.

Figures are medians as dots, least to greatest as lines, goals as marks, on a logarithmic axis; curves go over time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
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
COLOURS = (OURS, "#1d4ed8", "#7e22ce", "#0f766e", "#a16207", OTHERS)
CURVES_HEIGHT = 300
Point = tuple[float, float]


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
    parts = []
    for tick in _ticks(low, high):
        parts.append(line(x(tick), TOP, x(tick), height - BOTTOM, INK if tick == base else GRID))
        parts.append(text(x(tick), height - BOTTOM + 16, f"{tick:g}", anchor="middle"))
    parts.append(text(LEFT + wide / 2, height - 10, axis, anchor="middle"))
    y = float(TOP)
    for group in groups:
        parts += _group(group, y, x)
        y += HEAD + GAP + ROW * len(group.dots)
    return frame(title, height, parts)


def curves(
    title: str, axes: tuple[str, str], lines: Mapping[str, Sequence[Point]], marks: Sequence[tuple[float, str]] = ()
) -> str:
    """Return a plot with a line for each name, against one scale.

    Args:
        title: What it shows.
        axes: What is told to the right and upwards, with units.
        lines: Points from left to right, none of them below 0.
        marks: Moments to point out: where, and in which words.
    """
    points = [point for its in lines.values() for point in its] or [(0.0, 0.0)]
    left, bottom, right = 60, TOP + CURVES_HEIGHT, WIDTH - 20
    longest, highest = max(x for x, _ in points) or 1.0, max(y for _, y in points) or 1.0
    x_scale, y_scale = (right - left) / longest, CURVES_HEIGHT / highest
    parts = [text(left + x * x_scale, bottom + 16, f"{x:g}", anchor="middle") for x in steps(longest)]
    for y in steps(highest):
        parts.append(line(left, bottom - y * y_scale, right, bottom - y * y_scale, GRID))
        parts.append(text(left - 6, bottom - y * y_scale + 4, f"{y:g}", anchor="end"))
    for number, (name, its) in enumerate(lines.items()):
        colour, at = COLOURS[number % len(COLOURS)], bottom + 52 + 18 * number
        path = " ".join(f"{left + x * x_scale:.1f},{bottom - y * y_scale:.1f}" for x, y in its)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts += [line(left, at - 4, left + 14, at - 4, colour), text(left + 20, at, name)]
    for x, words in marks:
        parts.append(line(left + x * x_scale, TOP, left + x * x_scale, bottom, GOAL, "4 3"))
        parts.append(text(left + x * x_scale + 4, TOP + 12, words, fill=GOAL))
    parts += [text((left + right) / 2, bottom + 34, axes[0], anchor="middle"), text(left, TOP - 6, axes[1])]
    return frame(title, bottom + 44 + 18 * len(lines), parts)


def frame(title: str, height: float, parts: Sequence[str]) -> str:
    """Put shapes under a title on white, as one SVG."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" font-family="sans-serif">'
    paper = f'<rect width="{WIDTH}" height="{height:.0f}" fill="white"/>'
    return "\n".join([head, paper, text(12, 24, title, style=BOLD), *parts, "</svg>", ""])


def publish(name: str, plot: str, title: str, *, write: bool) -> str:
    """Write a plot where that was asked for, and return the words that show it; nothing otherwise."""
    if not write:
        return ""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.svg").write_text(plot, encoding="utf-8")
    return f"![{title}]({FOLDER.name}/{name}.svg)"


def _group(group: Group, y: float, x: Callable[[float], float]) -> Iterator[str]:
    yield text(12, y + 15, group.name, style=BOLD)
    end = y + HEAD + ROW * len(group.dots)
    if group.goal is not None:
        yield line(x(group.goal), y + HEAD - 4, x(group.goal), end - 4, GOAL, "4 3")
        yield text(x(group.goal), y + 14, group.goal_shown, anchor="middle", fill=GOAL)
    for number, dot in enumerate(group.dots):
        middle, colour = y + HEAD + ROW * (number + 0.5) - 4, OURS if dot.ours else OTHERS
        yield text(24, middle + 4, dot.name, fill=colour)
        yield text(WIDTH - RIGHT + 12, middle + 4, dot.shown, fill=colour)
        if not math.isinf(dot.spread.median):
            yield line(x(dot.spread.low), middle, x(dot.spread.high), middle, colour)
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


def steps(most: float) -> list[float]:
    """Return three to six round numbers from 0 to at most `most`, which is above 0."""
    size = 10 ** math.floor(math.log10(most))
    step = next(size * part for part in (0.2, 0.5, 1, 2) if most / (size * part) <= 6)
    return [round(step * number, 10) for number in range(int(most / step + 1e-9) + 1)]


def text(x: float, y: float, words: str, *, anchor: str = "start", style: str = "", fill: str = INK) -> str:
    """Return words at a place."""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} font-size="12" fill="{fill}" {style}>{escape(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, colour: str, dashes: str = "") -> str:
    """Return a line from one place to another."""
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="1.5"{dashed}/>'
    )
