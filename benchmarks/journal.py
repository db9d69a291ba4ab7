"""How large does the journal of one huge file become, while its pieces come in an order that suits it badly?

Nothing is downloaded: the journal is told what a run would tell it. Pieces are handed out in random order to writers
who take turns at random, and each reports its progress in the steps of the engine.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import models
import results
import session
from internlm_setup.fetch.transfer.carrier import RECORD_BYTES
from internlm_setup.fetch.transfer.journal import Journal
from internlm_setup.fetch.transfer.plan import piece_bytes

GIB = 1 << 30
LIMIT_BYTES = 1_000_000


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = session.parser(__doc__, rounds=1)
    parser.add_argument("--size-gib", type=int, default=64, help="size of the file (%(default)s)")
    parser.add_argument("--writers", type=int, default=16, help="how many at once (%(default)s)")
    options = parser.parse_args(words)
    options.short = False  # it takes seconds as it is
    return options


def main(words: Sequence[str] | None = None) -> int:
    """Fill a journal and watch its size."""
    options = parse(words)
    with session.opened("journal", options) as here:
        size_bytes = options.size_gib * GIB
        records, largest = fill(here.folder / "journal", size_bytes, options.writers)
        wish = results.at_most("largest size of the journal", LIMIT_BYTES / 1e6, largest / 1e6, " MB")
        said = f"{records} records of {RECORD_BYTES >> 10} KiB from {options.writers} writers, pieces in random order."
        here.publish(f"The journal of a file of {options.size_gib} GiB", said, here.acceptance([wish]))
    return 0


def fill(path: Path, size_bytes: int, writers: int) -> tuple[int, int]:
    """Record a whole file; return how many records it took, and the journal's largest size."""
    journal, records, largest = Journal(path, "a large file"), 0, 0
    for start, end in steps(size_bytes, writers):
        journal.record(start, end)
        records += 1
        largest = max(largest, path.stat().st_size)
    journal.close()
    if list(Journal(path, "a large file").spans) != [(0, size_bytes)]:
        raise AssertionError("the journal does not vouch for the whole file")
    return records, largest


def steps(size_bytes: int, writers: int) -> Iterator[tuple[int, int]]:
    """Yield spans as writers would report them."""
    dice, step = random.Random(models.SEED), piece_bytes(size_bytes, writers)
    waiting = list(range(0, size_bytes, step))
    dice.shuffle(waiting)
    busy: list[list[int]] = []
    while waiting or busy:
        while waiting and len(busy) < writers:
            start = waiting.pop()
            busy.append([start, min(start + step, size_bytes)])
        piece = dice.choice(busy)
        start, piece[0] = piece[0], min(piece[0] + RECORD_BYTES, piece[1])
        yield start, piece[0]
        if piece[0] == piece[1]:
            busy.remove(piece)


if __name__ == "__main__":
    sys.exit(main())
