"""Everything is there already and recorded: how long does it take to find that out, besides the listing?

The files are sparse. Each tool first takes them over in a run that does not count; then it is run again and again. When
requests began and ended is read in nginx's log: the listing is the time from the first request to the last answer that
lists files, and everything else is ours to answer for.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import models
import peers
import results
import rounds
import session
from models import Model
from nginx_conf import Where
from origin import Origin, Request
from peers import Tool
from rounds import Run, Spread
from session import Session

MIB = 1 << 20
LIMIT_S = 0.3


@dataclass(frozen=True, slots=True)
class Look:
    """One run that had nothing to do: seconds until its first request, of its listing, and from there to its end."""

    run: Run
    before_s: float
    listing_s: float
    after_s: float
    requests: int
    failure: str

    @property
    def besides_s(self) -> float:
        """All but the listing."""
        return self.before_s + self.after_s


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = session.parser(__doc__)
    parser.add_argument("--files", type=int, default=100, help="(%(default)s)")
    parser.add_argument("--size-mb", type=int, default=150, help="size of each (%(default)s)")
    parser.set_defaults(on=peers.CACHE)  # holes of files in memory may be filled by whoever reads them
    return session.parse(parser, words, files=20, size_mb=20, rounds=1)


def main(words: Sequence[str] | None = None) -> int:
    """Let each tool take the files over, then compare the runs that find nothing to do."""
    options = parse(words)
    if lacking := peers.absent("nginx"):
        return session.skip("nothing_to_do", lacking)
    with session.opened("nothing_to_do", options) as here:
        model = models.sparse_files(here.folder / "model", options.files, options.size_mb * 1_000_000)
        with Origin(model, here.folder / "nginx", Where.loopback()) as origin:
            tools = {tool.name: tool for tool in here.chosen(peers.usual(here.ours))}
            for tool in tools.values():
                take_over(here, origin, model, tool)
            looks = rounds.take_turns(list(tools), options.rounds, lambda name: look(here, origin, tools[name]))
        title = f"Nothing to do: {options.files} files of {options.size_mb} MB are there"
        here.publish(title, table(list(tools.values()), looks), verdict(here, list(tools.values()), looks))
    return 0


def place(here: Session, tool: Tool) -> Path:
    """Return the folder that is this tool's."""
    return here.folder / tool.name.replace(" ", "-").replace("/", "-")


def take_over(here: Session, origin: Origin, model: Model, tool: Tool) -> None:
    """Lay the files where the tool would, and let it record what it records."""
    models.lay_sparse(model, place(here, tool))
    look(here, origin, tool)


def look(here: Session, origin: Origin, tool: Tool) -> Look:
    """Run a tool where all is done."""
    origin.requests()
    begun_s = time.time()
    with here.running(tool, origin, place(here, tool)) as started:
        run = started.wait()
    ended_s = time.time()
    asked = origin.requests()
    listing = [request for request in asked if is_listing(request)]
    if run.exit_code or not listing:
        return Look(run, 0, 0, run.wall_s, len(asked), f"exit code {run.exit_code}: {run.said.strip()}")
    first_s, last_s = listing[0].ended_s - listing[0].took_s, listing[-1].ended_s
    fetched = sum(request.body_bytes for request in asked) > origin.model.size_bytes // 100
    session.tell(f"{tool.name}: {run.wall_s:.2f} s")
    return Look(
        run, first_s - begun_s, last_s - first_s, ended_s - last_s, len(asked), "it fetched again" if fetched else ""
    )  # fmt: skip


def is_listing(request: Request) -> bool:
    """Tell a request that lists files, or asks about the repository, from one about a file."""
    return "/revision/" in request.target or "/tree/" in request.target or "/repo/files" in request.target


def table(tools: Sequence[Tool], looks: dict[str, list[Look]]) -> str:
    """Draw a row for each tool."""
    mine = [tool.name for tool in tools if tool.ours]
    spent = {tool.name: [one.besides_s for one in looks[tool.name]] for tool in tools}
    heads = ["Tool", *(f"{own} ÷ it" for own in mine), "Seconds besides listing"]
    heads += ["until it asks", "listing", "from then on", "CPU s", "Peak MB", "Requests", "Failed"]
    rows = []
    for tool in tools:
        its = looks[tool.name]
        ratios = ["" if tool.ours else str(rounds.ratio(spent[own], spent[tool.name])) for own in mine]
        parts = [[one.before_s for one in its], [one.listing_s for one in its], [one.after_s for one in its]]
        cost = [f"{Spread.of(part).median:.2f}" for part in [*parts, [one.run.cpu_s for one in its]]]
        cost += [f"{max(one.run.peak_bytes for one in its) / 1e6:.0f}", str(its[-1].requests)]
        failure = next((one.failure for one in its if one.failure), "")
        rows.append([tool.name, *ratios, str(Spread.of(spent[tool.name])), *cost, failure])
    return results.table(heads, rows)


def verdict(here: Session, tools: Sequence[Tool], looks: dict[str, list[Look]]) -> str:
    """Hold ours against the acceptance figure."""
    wishes, peaks = [], []
    for name in [tool.name for tool in tools if tool.ours]:
        median = Spread.of([one.besides_s for one in looks[name]]).median
        wishes.append(results.at_most(f"{name}: besides listing", LIMIT_S, median, " s"))
        peaks += [one.run.peak_bytes for one in looks[name]]
    return here.acceptance([*wishes, *results.memory(peaks)])


if __name__ == "__main__":
    sys.exit(main())
