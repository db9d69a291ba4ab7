"""Which HTTP library is to be under the engine: how fast is each, and what does a gigabyte cost?

The engine is the same, with its journal and its hashes; only who reads the socket differs (`engine_run.py`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import comparison
import models
import peers
import results
import session
from nginx_conf import Where
from origin import Origin
from peers import Tool
from rounds import Run, Spread
from session import Session

MIB = 1 << 20
LIBRARIES = ("urllib3", "httpx2", "aiohttp", "pycurl")
CHILD = Path(__file__).with_name("engine_run.py")


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = session.parser(__doc__)
    parser.add_argument("--size-mib", type=int, default=2048, help="size of the file (%(default)s)")
    parser.add_argument("--jobs", type=int, default=8, help="connections (%(default)s)")
    return session.parse(parser, words, size_mib=128, rounds=1)


def main(words: Sequence[str] | None = None) -> int:
    """Let the libraries take turns."""
    options = parse(words)
    if lacking := peers.absent("nginx"):
        return session.skip("http_libraries", lacking)
    with session.opened("http_libraries", options) as here:
        model = models.weights(here.folder / "model", options.size_mib * MIB)
        with Origin(model, here.folder / "nginx", Where.loopback()) as origin:
            tools, runs, failures = comparison.take_turns(here, origin, here.chosen(contestants(here)))
        rows = [
            [tool.name, *(str(Spread.of(found)) for found in (comparison.walls(its), cpu_s_per_gb(its, options)))]
            for tool in tools
            for its in (runs[tool.name],)
        ]
        title = f"HTTP libraries under the engine: {options.size_mib} MiB over {options.jobs} connections"
        here.publish(title, results.table(("Library", "Seconds", "CPU s per GB"), rows), failures)
    return 0


def contestants(here: Session) -> list[Tool]:
    """Return a tool for each library, all in one environment with the package that is measured."""
    python = peers.install_libraries(LIBRARIES)

    def tool(library: str) -> Tool:
        def command(origin: Origin, folder: Path) -> list[str]:
            (entry,) = origin.model.entries
            given = [origin.file_url(entry.path), str(entry.size_bytes), entry.sha256, str(folder / entry.path)]
            return [str(python), str(CHILD), library, *given, str(here.options.jobs)]

        return Tool(library, command, "sha256")

    return [tool(library) for library in LIBRARIES]


def cpu_s_per_gb(runs: Sequence[Run], options: argparse.Namespace) -> list[float]:
    """Return processor seconds for each 10^9 bytes, start-up included."""
    return [run.cpu_s / (options.size_mib * MIB / 1e9) for run in runs]


if __name__ == "__main__":
    sys.exit(main())
