"""Answer some questions, or all of them, one after the other: `python3 benchmarks/run.py all --write`."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

QUESTIONS = (
    "http_libraries",
    "loopback",
    "small_files",
    "nothing_to_do",
    "journal",
    "kills",
    "capped",
    "faraway",
    "two_hubs",
    "dying_hub",
    "lying_hub",
    "changed_hub",
    "rate_limited",
    "already_here",
    "editors",
    "tunnel_throughput",
    "tunnel_latency",
    "tunnel_distance",
    "tunnel_drops",
    "tunnel_memory",
)


def main(words: Sequence[str] | None = None) -> int:
    """Run what was asked for; options that are not known here go on to every program."""
    parser = argparse.ArgumentParser(description=__doc__)
    known = ["all", *QUESTIONS]
    parser.add_argument("questions", nargs="*", metavar="QUESTION", help=f"{', '.join(known)} (all)", default=["all"])
    options, rest = parser.parse_known_args(words)
    if unknown := [name for name in options.questions if name not in known]:
        parser.error(f"no such question: {', '.join(unknown)}; there are {', '.join(known)}")
    asked = QUESTIONS if "all" in options.questions else options.questions
    codes = {name: importlib.import_module(name).main(rest) for name in asked}
    print("\n".join(f"{name}: {'skipped' if code else 'done'}" for name, code in codes.items()), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
