"""The right model lies on this disk under another name: is it found, and verified as fast as the cores can hash?

The files take no room: zeros with a number at the end. They are hashed like any others. The measure is `openssl` on
all cores at once, a file for each.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import comparison
import models
import peers
import plots
import results
import rounds
import session
import several
from nginx_conf import Where
from origin import Origin
from peers import Tool
from rounds import Run, Spread
from session import Session

GB = 1_000_000_000
LEAST_SHARE = 0.9
HASHING = "openssl on all cores"


@dataclass(frozen=True, slots=True)
class Story:
    """One run: its cost, the bytes of files that the hub sent, and how the files came to be where they are."""

    run: Run
    fetched_bytes: int
    how: str


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = session.parser(__doc__)
    parser.add_argument("--files", type=int, default=15, help="(%(default)s)")
    parser.add_argument("--size-mb", type=int, default=2000, help="size of each (%(default)s)")
    parser.add_argument("--limit-s", type=float, default=180, help="cut a run off after this time (%(default)s)")
    parser.set_defaults(on=peers.CACHE)  # holes of files in memory may be filled by whoever reads them
    return session.parse(parser, words, files=4, size_mb=250, limit_s=30, rounds=1)


def main(words: Sequence[str] | None = None) -> int:
    """Let each tool find the folder, and hash it without any tool."""
    options = parse(words)
    if lacking := peers.absent("nginx", "openssl"):
        return session.skip("already_here", lacking)
    with session.opened("already_here", options) as here:
        found = here.folder / "downloaded-by-hand"
        model = models.sparse_files(found, options.files, options.size_mb * 1_000_000)
        with Origin(model, here.folder / "nginx", Where.loopback()) as origin:
            tools = here.chosen(contestants(here, found))
            known = {tool.name: tool for tool in tools}
            stories = rounds.take_turns(
                list(known), options.rounds, lambda name: story(here, origin, known[name], found)
            )
        title = f"{options.files} files of {options.size_mb} MB are already here, under another name"
        speeds = {tool.name: speed(model.size_bytes, stories[tool.name]) for tool in tools}
        svg = plots.draw(title, "GB/s", [comparison.group(tools, speeds)])
        picture = plots.publish("already_here", svg, title, write=options.write)
        shown = table(tools, stories, model.size_bytes)
        here.publish(title, shown, picture, verdict(here, tools, stories))
    return 0


def contestants(here: Session, found: Path) -> list[Tool]:
    """Return ours, told where to look; the official clients, told that the folder is theirs; and the hashing alone."""
    tools = [
        hashing(found),
        *(in_place(tool, found) for tool in (peers.modelscope(parallel=False), peers.huggingface())),
    ]
    if several.can(here.ours, "--reuse"):
        asked = [peers.ours(here.ours, hub, "--reuse", str(found)) for hub in several.HUBS]
        return [*(replace(tool, name=tool.name.replace(str(found), "DIR")) for tool in asked), *tools]
    session.tell("skipped: internlm-setup: it has no --reuse")
    return tools


def hashing(found: Path) -> Tool:
    """Return `openssl` on every core: how fast this machine can hash."""
    find = f'find "$1" -type f -print0 | xargs -0 -n1 -P{os.cpu_count()} openssl dgst -sha256'

    def command(origin: Origin, folder: Path) -> list[str]:
        del origin, folder
        return ["sh", "-c", find, "sh", str(found)]

    return Tool(HASHING, command, peers.NO_CHECK, peer=False, keeps=False, needs="openssl")


def in_place(tool: Tool, found: Path) -> Tool:
    """Return a tool that is told to download to where the files are."""

    def command(origin: Origin, folder: Path) -> list[str]:
        del folder
        return tool.command(origin, found)

    return replace(tool, name=f"{tool.name}, told to put it there", command=command, keeps=False)


def story(here: Session, origin: Origin, tool: Tool, found: Path) -> Story:
    """Run a tool, and see what the hub sent and what is there then."""
    to = here.folder / "to"
    session.empty(to)
    origin.requests()
    for path in found.iterdir():
        with path.open("rb") as file:  # nobody finds the files in memory because somebody before him read them
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    with here.running(tool, origin, to) as started:
        cut = not started.wait_at_most(here.options.limit_s)
        started.kill()
        run = started.wait()
    sent = [request for request in origin.requests() if request.target.endswith(".safetensors")]
    fetched = sum(request.body_bytes for request in sent if request.status in {200, 206})
    how = "cut off" if cut else f"exit code {run.exit_code}" if run.exit_code else laid(origin, to, found, tool)
    session.empty(to)
    forget(found)
    session.tell(f"{tool.name}: {run.wall_s:.2f} s, {fetched} bytes fetched, {how}")
    return Story(run, fetched, how)


def forget(found: Path) -> None:
    """Remove what a tool left in the folder about what it has seen."""
    for path in found.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.suffix != ".safetensors":
            path.unlink()


def laid(origin: Origin, to: Path, found: Path, tool: Tool) -> str:
    """Tell how the files came to be in the folder: linked, or copied and right; else what is wrong."""
    if not tool.keeps:
        return "left where they were"
    if all((to / entry.path).is_file() for entry in origin.model.entries) and all(
        (to / entry.path).samefile(found / entry.path) for entry in origin.model.entries
    ):
        return "linked"
    return session.difference(origin.model, to) or "copied"


def speed(size_bytes: int, its: Sequence[Story]) -> Spread:
    """Return gigabytes a second, by the seconds of the whole process."""
    return Spread.of([size_bytes / one.run.wall_s / GB for one in its])


def table(tools: Sequence[Tool], stories: dict[str, list[Story]], size_bytes: int) -> str:
    """Draw a row for each tool."""
    rows = []
    for tool in tools:
        its = stories[tool.name]
        row = [tool.name, str(speed(size_bytes, its)), share(stories, tool.name), str(Spread.of(walls(its)))]
        row += [f"{Spread.of([one.run.cpu_s for one in its]).median:.1f}"]
        row += [str(max(one.fetched_bytes for one in its)), "; ".join(sorted({one.how for one in its}))]
        rows.append(row)
    heads = ["Tool", "GB/s", f"÷ {HASHING}", "Seconds", "CPU s", "Bytes from the network", "Files"]
    return results.table(heads, rows)


def walls(its: Sequence[Story]) -> list[float]:
    """Return the seconds of some runs."""
    return [one.run.wall_s for one in its]


def share(stories: dict[str, list[Story]], name: str) -> str:
    """Tell a tool's speed as a share of the hashing alone."""
    return str(rounds.ratio(walls(stories[HASHING]), walls(stories[name]))) if HASHING in stories else ""


def verdict(here: Session, tools: Sequence[Tool], stories: dict[str, list[Story]]) -> str:
    """Hold ours against the acceptance figures."""
    wishes, peaks = [], []
    for name in [tool.name for tool in tools if tool.ours]:
        its = stories[name]
        laid_out = sorted({one.how for one in its})
        wishes += [
            results.Wish(
                f"{name}: files", "linked or copied", ", ".join(laid_out), set(laid_out) <= {"linked", "copied"}
            ),
            results.at_most(f"{name}: from the network", 0, max(one.fetched_bytes for one in its), " bytes"),
        ]
        if HASHING in stories:
            found = rounds.ratio(walls(stories[HASHING]), walls(its)).median
            wishes.append(results.at_least(f"{name}: speed ÷ {HASHING}", LEAST_SHARE, found))
        peaks += [one.run.peak_bytes for one in its]
    return here.acceptance([*wishes, *results.memory(peaks)])


if __name__ == "__main__":
    sys.exit(main())
