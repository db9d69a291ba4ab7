"""One of two hubs flips a byte in one piece of a hundred: who gets the right file, at what price, and who is blamed?

The liar's file differs from what it lists in single bytes, spread evenly; asked again it tells the same lie. Its log
tells how many of them it told. Of one large file nothing but the hash of the whole is published; a model mostly comes
in several files, with a hash each, so that is tried too.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

import comparison
import contest
import goodput
import models
import networks
import peers
import plots
import results
import rounds
import session
import several
import star
from contest import Pull, Ring
from models import Model
from origin import Origin, Request
from peers import Tool
from rounds import Spread
from session import Session
from star import MBIT, Star

MB = 1_000_000
MIB = 1 << 20
LIAR = 1
PIECES_A_LIE = 100
MORE_SHARE = 0.10
Flips = Mapping[str, Sequence[int]]
BLAME = ("corrupt", "wrong", "bad ", "lie")


@dataclass(frozen=True, slots=True)
class Story:
    """One run, and how many lies it was told."""

    pull: Pull
    lies: int

    @property
    def blames(self) -> str:
        """The line that names the liar, or nothing."""
        lines = [line.strip() for line in self.pull.run.said.splitlines() if several.HUBS[LIAR] in line.lower()]
        return next((line for line in lines if any(word in line.lower() for word in BLAME)), "")


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = session.parser(__doc__)
    parser.add_argument("--size-mb", type=int, default=2000, help="size of the model (%(default)s)")
    parser.add_argument("--files", type=int, nargs="+", default=[1, 8, 20], help="how many it comes in (%(default)s)")
    parser.add_argument("--piece-mib", type=int, default=4, help="what counts as a piece (%(default)s)")
    parser.add_argument("--mbit", type=int, default=600, help="what each hub's link carries (%(default)s)")
    parser.add_argument("--limit-s", type=float, default=120, help="cut a run off after this time (%(default)s)")
    return session.parse(parser, words, size_mb=200, files=[1], piece_mib=1, limit_s=10, rounds=1)


def main(words: Sequence[str] | None = None) -> int:
    """Let one hub lie to every tool."""
    options = parse(words)
    if lacking := peers.absent("nginx", "unshare", "ip") or networks.missing():
        return session.skip("lying_hub", lacking)
    rate = options.mbit * MBIT
    with session.opened("lying_hub", options) as here, star.star(rate, rate) as net:
        for files in options.files:
            name = here.name if files == 1 else f"{here.name}_{files}"
            model = models.weights(here.folder / f"model-{files}", options.size_mb * MB, files)
            compare(replace(here, name=name), net, model)
    return 0


def compare(here: Session, net: Star, model: Model) -> None:
    """Let one hub lie about a model."""
    options, folder = here.options, here.folder / f"lying-{len(model.entries)}"
    flips = flipped(model, options.piece_mib * MIB)
    lying = lie(model, folder, flips)
    with (
        Origin(model, here.folder / "honest-nginx", net.where(0)) as honest,
        Origin(lying, here.folder / "lying-nginx", net.where(1)) as liar,
    ):
        ring = Ring(net, (honest, liar), options.limit_s)
        tools = here.chosen(contestants(here, ring))
        known = {tool.name: tool for tool in tools}
        stories = rounds.take_turns(list(known), options.rounds, lambda name: listen(here, ring, known[name], flips))
    parts, lies = len(model.entries), sum(map(len, flips.values()))
    title = f"{options.size_mb} MB in {parts} file{'s'[: parts - 1]} from two hubs, one of which changed {lies} bytes"
    group = comparison.group(tools, more_by_tool(tools, stories, model.size_bytes), 100 * MORE_SHARE)
    svg = plots.draw(title, "bytes beyond the model's size, in %", [group])
    picture = plots.publish(here.name, svg, title, write=options.write)
    said = f"One byte in {PIECES_A_LIE} pieces of {options.piece_mib} MiB."
    shown = table(tools, stories, model.size_bytes)
    here.publish(title, said, shown, picture, verdict(here, tools, stories, model.size_bytes))
    for used in (model.folder, folder, *here.folder.glob("*-nginx")):
        shutil.rmtree(used)


def flipped(model: Model, piece_bytes: int) -> Flips:
    """Draw a byte from each hundred pieces of a model, as if its files were one."""
    dice, stretch, size_bytes = random.Random(models.SEED), PIECES_A_LIE * piece_bytes, model.size_bytes
    drawn = [dice.randrange(at, min(at + stretch, size_bytes)) for at in range(0, size_bytes, stretch)]
    begins = accumulate((entry.size_bytes for entry in model.entries), initial=0)
    return {
        entry.path: [at - begin for at in drawn if begin <= at < begin + entry.size_bytes]
        for entry, begin in zip(model.entries, begins, strict=False)
    }


def lie(model: Model, folder: Path, flips: Flips) -> Model:
    """Copy a model, changed in these bytes, under its old hashes."""
    shutil.copytree(model.folder, folder)
    for path, places in flips.items():
        with (folder / path).open("r+b") as file:
            for at in places:
                file.seek(at)
                right = file.read(1)
                file.seek(at)
                file.write(bytes([right[0] ^ 0x20]))
    return replace(model, folder=folder)


def contestants(here: Session, ring: Ring) -> list[Tool]:
    """Return ours and aria2c, which take from both, and the official clients, which ask the liar alone."""
    alone = [peers.modelscope(parallel=True), peers.huggingface()]
    by_hand = [several.aria2c(ring.origins)] if len(ring.origins[LIAR].model.entries) == 1 else []  # it names one file
    return [
        several.ours(here.ours, ring.origins),
        *by_hand,
        *(several.at(replace(tool, name=f"{tool.name}, from the liar alone"), ring.origins[LIAR]) for tool in alone),
    ]


def listen(here: Session, ring: Ring, tool: Tool, flips: Flips) -> Story:
    """Run a tool, and count the lies that the liar sent it."""
    ring.origins[LIAR].requests()
    pull = contest.measure(here, ring, tool)
    return Story(pull, sum(told(request, flips) for request in ring.origins[LIAR].requests()))


def told(request: Request, flips: Flips) -> int:
    """Count the changed bytes in what a request was sent."""
    path = next((path for path in flips if request.target.endswith(path)), None)
    if request.status not in {200, 206} or path is None:
        return 0
    start = int(request.span.removeprefix("bytes=").split("-")[0]) if request.status == 206 else 0
    return sum(start <= at < start + request.body_bytes for at in flips[path])


def more_share(one: Story, size_bytes: int) -> float:
    """Return the bytes that came beyond the model's size, as a share of it."""
    return one.pull.came_bytes / size_bytes - 1


def more_by_tool(tools: Sequence[Tool], stories: dict[str, list[Story]], size_bytes: int) -> dict[str, Spread]:
    """Return each tool's bytes beyond the model's size, in per cent."""
    more = {tool.name: [100 * more_share(one, size_bytes) for one in stories[tool.name]] for tool in tools}
    return {name: Spread.of(shares) for name, shares in more.items()}


def table(tools: Sequence[Tool], stories: dict[str, list[Story]], size_bytes: int) -> str:
    """Draw a row for each tool."""
    rows = []
    for tool in tools:
        its = stories[tool.name]
        rows.append([
            tool.name,
            str(Spread.of([one.pull.run.wall_s for one in its])),
            "; ".join(sorted({one.pull.failure or "right" for one in its})),
            str(Spread.of([one.lies for one in its])),
            f"{Spread.of([more_share(one, size_bytes) for one in its]).median:.1%}",
            its[-1].blames,
        ])  # fmt: skip
    return results.table(["Tool", "Seconds", "End", "Lies told", "More bytes", "Names the liar"], rows)


def verdict(here: Session, tools: Sequence[Tool], stories: dict[str, list[Story]], size_bytes: int) -> str:
    """Hold ours against the acceptance figures, in the runs in which it was lied to."""
    wishes = []
    for name in [tool.name for tool in tools if tool.ours]:
        its = [one for one in stories[name] if one.lies]
        named = bool(its) and all(one.blames for one in its)
        most = max((more_share(one, size_bytes) for one in its), default=0.0)
        wishes += [
            results.finishes(name, goodput.failure([one.pull for one in its]) if its else "never lied to"),
            results.Wish(f"{name}: names the liar", "yes", "yes" if named else "no", named),
            results.at_most(f"{name}: more bytes", MORE_SHARE * 100, most * 100, " %"),
        ]
    pulls = {tool.name: [one.pull for one in stories[tool.name]] for tool in tools}
    return here.acceptance([*wishes, *results.memory(goodput.our_peaks(tools, pulls))])


if __name__ == "__main__":
    sys.exit(main())
