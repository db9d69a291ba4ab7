"""One large file from nginx on loopback, into memory and onto the disk: how fast, with verification on?

On the disk ours is synced before it gets its name, so there every peer is followed by `sync FILE`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import comparison
import models
import peers
import plots
import results
import rounds
import session
from nginx_conf import Where
from origin import Origin
from peers import Tool
from session import Session

MIB = 1 << 20
PEER_SHARE, FLOOR_SHARE = 0.65, 1.25


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = session.parser(__doc__)
    parser.add_argument("--size-mib", type=int, default=2048, help="size of the file (%(default)s)")
    parser.add_argument("--disk", type=Path, default=peers.CACHE / "disk", help="a folder on a disk (%(default)s)")
    parser.add_argument("--where", choices=("memory", "disk", "both"), default="both", help="(%(default)s)")
    return session.parse(parser, words, size_mib=128, rounds=1)


def main(words: Sequence[str] | None = None) -> int:
    """Run both comparisons and the floors."""
    options = parse(words)
    if lacking := peers.absent("nginx"):
        return session.skip("loopback", lacking)
    with session.opened("loopback", options) as here:
        model = models.weights(here.folder / "model", options.size_mib * MIB)
        with Origin(model, here.folder / "nginx", Where.loopback()) as origin:
            parts = []
            if options.where != "disk":
                parts += in_memory(here, origin)
            if options.where != "memory":
                parts += on_disk(here, origin)
        here.publish(f"One file of {options.size_mib} MiB from loopback", *parts)
    return 0


def in_memory(here: Session, origin: Origin) -> list[str]:
    """Compare into a folder in memory."""
    floor = peers.curl().name
    tools, runs, failures = comparison.take_turns(here, origin, here.chosen([*contestants(here), peers.curl()]))
    wishes = comparison.wishes_against(comparison.fastest_peer(tools, runs), PEER_SHARE, tools, runs)
    wishes += comparison.wishes_against(floor, FLOOR_SHARE, tools, runs)
    wishes += results.memory(comparison.our_peaks(tools, runs))
    text = [
        comparison.table(tools, runs, origin.model.size_bytes),
        failures,
        hashing(here, origin),
        here.acceptance(wishes),
    ]
    picture = draw(here, "loopback_memory", tools, runs)
    return ["### Into memory", *text, picture]


def on_disk(here: Session, origin: Origin) -> list[str]:
    """Compare onto the disk, everything synced."""
    chosen = [tool if tool.ours else peers.synced(tool) for tool in here.chosen(contestants(here))]
    tools, runs, failures = comparison.take_turns(here, origin, chosen, to=here.options.disk)
    wishes = comparison.wishes_against(comparison.fastest_peer(tools, runs), PEER_SHARE, tools, runs)
    wishes += results.memory(comparison.our_peaks(tools, runs))
    picture = draw(here, "loopback_disk", tools, runs)
    shown = comparison.table(tools, runs, origin.model.size_bytes)
    return ["### Onto the disk, synced", shown, failures, here.acceptance(wishes), picture]


def draw(here: Session, name: str, tools: Sequence[Tool], runs: comparison.Runs) -> str:
    """Draw each tool's seconds; return the line that shows the picture."""
    spreads = {tool.name: rounds.Spread.of(comparison.walls(runs[tool.name])) for tool in tools}
    title = f"{here.options.size_mib} MiB from loopback"
    svg = plots.draw(title, "seconds", [comparison.group(tools, spreads)])
    return plots.publish(name, svg, title, write=here.options.write)


def contestants(here: Session) -> list[Tool]:
    """Return ours from both hubs, and the peers."""
    return [
        peers.ours(here.ours, "huggingface"),
        peers.ours(here.ours, "modelscope"),
        peers.aria2c(),
        peers.modelscope(parallel=False),
        peers.modelscope(parallel=True),
        peers.huggingface(),
    ]


def hashing(here: Session, origin: Origin) -> str:
    """Time sha256 of the file alone, once with OpenSSL and once with coreutils: the floor of any check on one core."""
    file = str(origin.model.folder / origin.model.entries[0].path)
    said = []
    for name, command in (("openssl", ["openssl", "dgst", "-sha256", file]), ("sha256sum", ["sha256sum", file])):
        if peers.absent(name) is None:
            runs = [rounds.run(command, {}, here.folder / "said") for _ in range(here.options.rounds)]
            said.append(f"`{name}` {rounds.Spread.of(comparison.walls(runs))} s")
    return f"sha256 of the file alone, on one core: {', '.join(said)}."


if __name__ == "__main__":
    sys.exit(main())
