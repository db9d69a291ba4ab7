"""Small pictures of what was measured, as SVG without any library: bars with their spread, and curves over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from rounds import Spread

PLOTS = Path(__file__).parent / "plots"
WIDTH, LEFT, RIGHT, TOP, ROW, CHAR = 760, 290, 90, 40, 26, 6.6
CURVES_HEIGHT = 300
OURS, THEIRS, INK, FAINT, GOAL = "#1565c0", "#9aa5b1", "#24292f", "#d8dee4", "#c62828"
COLOURS = ("#1565c0", "#e07b00", "#2e7d32", "#8e24aa", "#5d4037", "#00838f")
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Bar:
    """One row: a median as long as it is large, with a whisker from the least to the greatest."""

    name: str
    value: Spread
    ours: bool = False


def bars(title: str, unit: str, rows: Sequence[Bar], goal: float | None = None) -> str:
    """Draw a row for each tool; ours are blue, and `goal` is a dashed line across all of them."""
    most = max([bar.value.high for bar in rows] + [goal or 0.0]) or 1.0
    bottom = TOP + ROW * len(rows)
    scale = (WIDTH - LEFT - RIGHT) / most
    parts = [
        _line(LEFT + x * scale, TOP, LEFT + x * scale, bottom, FAINT)
        + text(LEFT + x * scale, bottom + 16, f"{x:g}", anchor="middle")
        for x in steps(most)
    ]
    for number, bar in enumerate(rows):
        y, value = TOP + ROW * number + 4, bar.value
        parts.append(text(LEFT - 8, y + 13, _cut(bar.name, LEFT), anchor="end"))
        parts.append(_box(LEFT, y, value.median * scale, ROW - 8, OURS if bar.ours else THEIRS))
        ends = (LEFT + value.low * scale, LEFT + value.high * scale)
        parts.append(_line(ends[0], y + 9, ends[1], y + 9, INK))
        parts.append(text(ends[1] + 6, y + 13, f"{value.median:.3g}"))
    if goal is not None:
        parts.append(_line(LEFT + goal * scale, TOP - 4, LEFT + goal * scale, bottom, GOAL, dashed=True))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, bottom + 34, unit, anchor="middle"))
    return frame(title, bottom + 44, parts)


def curves(
    title: str, axes: tuple[str, str], lines: Mapping[str, Sequence[Point]], marks: Sequence[tuple[float, str]] = ()
) -> str:
    """Draw a line for each name, against one scale.

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
        parts.append(_line(left, bottom - y * y_scale, right, bottom - y * y_scale, FAINT))
        parts.append(text(left - 6, bottom - y * y_scale + 4, f"{y:g}", anchor="end"))
    for number, (name, its) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{left + x * x_scale:.1f},{bottom - y * y_scale:.1f}" for x, y in its)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        at = bottom + 52 + 18 * number
        parts.append(_box(left, at - 9, 14, 9, colour) + text(left + 20, at, name))
    for x, words in marks:
        parts.append(_line(left + x * x_scale, TOP, left + x * x_scale, bottom, GOAL, dashed=True))
        parts.append(text(left + x * x_scale + 4, TOP + 12, words))
    parts.append(text((left + right) / 2, bottom + 34, axes[0], anchor="middle"))
    parts.append(text(left, TOP - 6, axes[1]))
    return frame(title, bottom + 44 + 18 * len(lines), parts)


def save(name: str, svg: str, alt: str, *, write: bool) -> str:
    """Put a picture beside the results where that was asked for; return the line that shows it there, or nothing."""
    if not write:
        return ""
    PLOTS.mkdir(exist_ok=True)
    (PLOTS / f"{name}.svg").write_text(svg, encoding="utf-8")
    return f"![{alt}](plots/{name}.svg)"


def frame(title: str, height: float, parts: Sequence[str]) -> str:
    """Put shapes under a title on white, as one SVG."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" font-family="sans-serif" '
    head += f'font-size="12" fill="{INK}">'
    return "\n".join([
        head,
        _box(0, 0, WIDTH, height, "white"),
        f'<text x="12" y="20" font-size="14" font-weight="bold">{escape(title)}</text>',
        *parts,
        "</svg>\n",
    ])  # fmt: skip


def steps(most: float) -> list[float]:
    """Return three to six round numbers from 0 to at most `most`, which is above 0."""
    size = 10 ** math.floor(math.log10(most))
    step = next(size * part for part in (0.2, 0.5, 1, 2) if most / (size * part) <= 6)
    return [round(step * number, 10) for number in range(int(most / step + 1e-9) + 1)]


def text(x: float, y: float, words: str, anchor: str = "start") -> str:
    """Return words at a place."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _cut(words: str, room: float) -> str:
    longest = int(room / CHAR) - 2
    return words if len(words) <= longest else words[: longest - 1] + "…"


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height:.1f}" fill="{colour}"/>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, *, dashed: bool = False) -> str:
    dash = ' stroke-dasharray="5 3"' if dashed else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{dash}/>'
