"""Draw who sent what when, from the file that `fetch --trace FILE` wrote: `trace_picture.py TRACE PICTURE.svg`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import plots
import traces
from traces import Span

LEFT, RIGHT, TOP, LANE, GAP = 130, 20, 40, 12, 16
SMALL_BYTES = 64 << 10


def main(words: Sequence[str] | None = None) -> int:
    """Read the trace and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trace", type=Path, help="what `internlm-setup fetch --trace FILE` wrote")
    parser.add_argument("picture", type=Path, help="the SVG to write")
    parser.add_argument("--title", default="One file, piece by piece", help="(%(default)s)")
    options = parser.parse_args(words)
    spans = traces.read(options.trace)
    if not spans:
        print(f"{options.trace}: nothing in it", file=sys.stderr)
        return 1
    options.picture.write_text(draw(options.title, spans), encoding="utf-8")
    print(f"{len(spans)} spans; the last source was waited for {traces.tail_s(spans):.2f} s", file=sys.stderr)
    return 0


def draw(title: str, spans: Sequence[Span]) -> str:
    """Draw a block of lanes for each source: a lane is a connection, a bar one request, from its asking to its end.

    The darker a bar, the later in the file its bytes belong; one that brought next to nothing is only an outline.
    """
    end_s = max(span.end_s for span in spans)
    scale = (plots.WIDTH - LEFT - RIGHT) / end_s
    far = max(span.at + span.size_bytes for span in spans) or 1
    parts, y = [], float(TOP)
    for number, (source, its) in enumerate(traces.by_source(spans).items()):
        colour = plots.COLOURS[number % len(plots.COLOURS)]
        came = sum(span.size_bytes for span in its)
        placed = lanes(its)
        parts.append(plots.text(12, y + 11, source) + plots.text(12, y + 26, f"{came / 1e6:.0f} MB"))
        for lane, span in placed:
            left, width = LEFT + span.start_s * scale, max((span.end_s - span.start_s) * scale - 0.5, 0.5)
            fill = "none" if span.size_bytes < SMALL_BYTES else colour
            look = f'fill="{fill}" fill-opacity="{0.35 + 0.65 * span.at / far:.2f}" stroke="{colour}"'
            parts.append(
                f'<rect x="{left:.1f}" y="{y + lane * LANE:.1f}" width="{width:.1f}" height="{LANE - 3}" {look}/>'
            )
        y += max(LANE * (1 + max(lane for lane, _ in placed)), 30) + GAP
    parts += [plots.text(LEFT + at_s * scale, y + 4, f"{at_s:g}", anchor="middle") for at_s in plots.steps(end_s)]
    parts.append(plots.text((LEFT + plots.WIDTH - RIGHT) / 2, y + 22, "seconds", anchor="middle"))
    return plots.frame(title, y + 32, parts)


def lanes(spans: Sequence[Span]) -> list[tuple[int, Span]]:
    """Give each span the first lane that is free when it begins."""
    free_at_s: list[float] = []
    placed = []
    for span in spans:
        lane = next((number for number, end_s in enumerate(free_at_s) if end_s <= span.start_s), len(free_at_s))
        free_at_s[lane : lane + 1] = [span.end_s]
        placed.append((lane, span))
    return placed


if __name__ == "__main__":
    sys.exit(main())
