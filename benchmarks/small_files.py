"""Thousands of small files: how many a second, and how many requests for each?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import comparison
import models
import peers
import results
import session
from nginx_conf import Where
from origin import Origin
from peers import Tool
from rounds import Spread, ratio
from session import Session


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = session.parser(__doc__)
    parser.add_argument("--files", type=int, default=5000, help="how many, of 4 to 64 KiB (%(default)s)")
    return session.parse(parser, words, files=600, rounds=1)


def main(words: Sequence[str] | None = None) -> int:
    """Compare the tools that know a hub."""
    options = parse(words)
    if lacking := peers.absent("nginx"):
        return session.skip("small_files", lacking)
    with session.opened("small_files", options) as here:
        model = models.small_files(here.folder / "model", options.files)
        with Origin(model, here.folder / "nginx", Where.loopback()) as origin:
            tools, runs, failures = comparison.take_turns(here, origin, here.chosen(peers.usual(here.ours)))
        shown = [comparison.table(tools, runs), speeds(tools, runs, options.files), failures]
        here.publish(f"{options.files} files of 4 to 64 KiB", *shown, verdict(here, tools, runs))
    return 0


def speeds(tools: Sequence[Tool], runs: comparison.Runs, files: int) -> str:
    """Draw files a second and requests a file; a listing's requests count too."""
    rows = []
    for tool in tools:
        a_second = Spread.of([files / run.wall_s for run in runs[tool.name]])
        a_file = Spread.of([run.requests / files for run in runs[tool.name]])
        rows.append(
            [tool.name, f"{a_second.median:.0f} ({a_second.low:.0f}–{a_second.high:.0f})", f"{a_file.median:.2f}"]
        )
    return results.table(("Tool", "Files a second", "Requests a file"), rows)


def verdict(here: Session, tools: Sequence[Tool], runs: comparison.Runs) -> str:
    """Hold ours against the acceptance figures."""
    wishes, theirs = [], peers.huggingface().name
    for own in [tool.name for tool in tools if tool.ours]:
        if theirs in {tool.name for tool in tools}:
            times = ratio(comparison.walls(runs[theirs]), comparison.walls(runs[own])).median
            wishes.append(results.at_least(f"{own}: files a second ÷ those of hf", 3, times))
        most = max(run.requests for run in runs[own]) / here.options.files
        wishes.append(results.at_most(f"{own}: requests a file", 2.1, most))
    return here.acceptance([*wishes, *results.memory(comparison.our_peaks(tools, runs))])


if __name__ == "__main__":
    sys.exit(main())
