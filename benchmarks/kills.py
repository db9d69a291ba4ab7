"""Killed with `kill -9` at random moments and run again each time: how many bytes come twice?

The link carries 25 MB/s. The moments are the same for every tool: drawn once, spread evenly over the time that the file
needs, counted in each run from the first bytes of the file on. Bytes are counted where the client's network card takes
them in, without the heads of packets: what came and was lost with the process counts, what never came does not.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import models
import networks
import peers
import results
import session
from networks import Network
from origin import Origin
from peers import Tool
from rounds import Started
from session import Session

MB = 1_000_000
MIB = 1 << 20
RATE_BYTES_PER_S = 25 * MB
FIRST_BYTES = 256 << 10  # more than listings and greetings: the file itself has begun
LOOK_EVERY_S = 0.002
NOTHING_CAME_S = 30.0
ALLOWED_SHARE, ALLOWED_BYTES_A_KILL = 0.05, MIB


@dataclass(frozen=True, slots=True)
class Story:
    """What came of one tool: the bytes that came, the kills that struck a running process, each run's peak."""

    received_bytes: int
    struck: int
    wall_s: float
    peak_bytes: int
    wrong: str


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = session.parser(__doc__, rounds=1)
    parser.add_argument("--size-mb", type=int, default=500, help="size of the file (%(default)s)")
    parser.add_argument("--kills", type=int, default=20, help="how often (%(default)s)")
    parser.add_argument("--seed", type=int, default=models.SEED, help="other moments (%(default)s)")
    return session.parse(parser, words, size_mb=50, kills=3)


def main(words: Sequence[str] | None = None) -> int:
    """Kill each tool in turn, and count."""
    options = parse(words)
    if lacking := peers.absent("nginx", "unshare", "ip") or networks.missing():
        return session.skip("kills", lacking)
    with session.opened("kills", options) as here, networks.wire(RATE_BYTES_PER_S) as network:
        model = models.weights(here.folder / "model", options.size_mb * MB)
        waits = moments(model.size_bytes, options.kills, options.seed)
        tools = here.chosen(contestants(here))
        with Origin(model, here.folder / "nginx", network.where) as origin:
            stories = {
                tool.name: [story(here, origin, network, tool, waits) for _ in range(options.rounds)] for tool in tools
            }
        title = f"{options.size_mb} MB over 25 MB/s, killed {options.kills} times"
        here.publish(title, table(tools, stories, model.size_bytes), verdict(here, tools, stories))
    return 0


def contestants(here: Session) -> list[Tool]:
    """Return ours from both hubs, and the official clients; aria2c for scale."""
    return [
        *peers.usual(here.ours),
        peers.modelscope(parallel=True),
        peers.aria2c("--auto-save-interval=1"),
    ]


def moments(size_bytes: int, kills: int, seed: int) -> list[float]:
    """Draw how many seconds to wait in each run: the gaps between moments spread over the time that the file needs."""
    dice = random.Random(seed)
    drawn = sorted(dice.uniform(0, size_bytes / RATE_BYTES_PER_S) for _ in range(kills))
    return [later - earlier for earlier, later in zip([0.0, *drawn], drawn, strict=False)]


def story(here: Session, origin: Origin, network: Network, tool: Tool, waits: Sequence[float]) -> Story:
    """Start, kill, start again, and at last let it finish; then check the file."""
    to = here.folder / "to"
    session.empty(to)
    before, begun_s = network.client.received(networks.CLIENT_END), time.monotonic()
    struck, runs = 0, []
    for wait_s in [*waits, None]:
        with here.running(tool, origin, to, network.client.enter) as started:
            struck += wait_s is not None and strike(started, network, wait_s)
            runs.append(started.wait())
    wall_s = time.monotonic() - begun_s
    received = network.client.received(networks.CLIENT_END).payload_since(before)
    last = runs[-1]
    wrong = f"exit code {last.exit_code}" if last.exit_code else session.difference(origin.model, to)
    session.empty(to)
    extra = (received - origin.model.size_bytes) / MB
    session.tell(f"{tool.name}: {extra:.1f} MB too many, {f'FAILED: {wrong}, {last.said}' if wrong else 'verified'}")
    return Story(received, struck, wall_s, max(run.peak_bytes for run in runs), wrong or "")


def strike(started: Started, network: Network, wait_s: float) -> bool:
    """Kill a process so long after its file began to come; return whether it was still running then."""
    before, begun_s = network.client.received(networks.CLIENT_END), time.monotonic()
    while network.client.received(networks.CLIENT_END).payload_since(before) < FIRST_BYTES:
        if started.is_over():
            return False
        if time.monotonic() - begun_s > NOTHING_CAME_S:
            break
        time.sleep(LOOK_EVERY_S)
    time.sleep(wait_s)
    running = not started.is_over()
    started.kill()
    return running


def table(tools: Sequence[Tool], stories: dict[str, list[Story]], size_bytes: int) -> str:
    """Draw a row for each story."""
    heads = ["Tool", "Bytes too many", "of need", "a kill", "Kills that struck", "Seconds in all", "Peak MB", "sha256"]
    rows = []
    for tool in tools:
        for one in stories[tool.name]:
            extra = one.received_bytes - size_bytes
            each = f"{extra / max(one.struck, 1) / MIB:.2f} MiB"
            share = f"{extra / size_bytes:.1%}"
            end = one.wrong or "right"
            cost = [str(one.struck), f"{one.wall_s:.0f}", f"{one.peak_bytes / 1e6:.0f}", end]
            rows.append([tool.name, f"{extra / MB:.1f} MB", share, each, *cost])
    return results.table(heads, rows)


def verdict(here: Session, tools: Sequence[Tool], stories: dict[str, list[Story]]) -> str:
    """Hold ours against the acceptance figure."""
    wishes, peaks, size_bytes = [], [], here.options.size_mb * MB
    for tool in (tool for tool in tools if tool.ours):
        for one in stories[tool.name]:
            allowed = ALLOWED_SHARE * size_bytes + ALLOWED_BYTES_A_KILL * one.struck
            extra = (one.received_bytes - size_bytes) / MB
            bytes_wish = results.at_most(f"{tool.name}: bytes beyond need", round(allowed / MB, 1), extra, " MB")
            wishes.append(replace(bytes_wish, met=bytes_wish.met and not one.wrong))
            wishes.append(results.Wish(f"{tool.name}: verified", "right", one.wrong or "right", not one.wrong))
            peaks.append(one.peak_bytes)
    return here.acceptance([*wishes, *results.memory(peaks)])


if __name__ == "__main__":
    sys.exit(main())
