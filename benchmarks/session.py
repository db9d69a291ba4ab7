"""What every program here does the same way: options, a place to work, one measured run, one section of results."""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import peers
import results
import rounds
from models import Model
from origin import Origin
from peers import Tool
from results import Wish
from rounds import Run, Started

SKIPPED = 3
TERMINATED = 143


@dataclass(frozen=True, slots=True)
class Session:
    """One program's run.

    Attributes:
        name: Its section in the results.
        options: What was asked for.
        folder: In memory where the system has such a place; removed at the end.
        ours: The installed program that is measured.
    """

    name: str
    options: argparse.Namespace
    folder: Path
    ours: Path

    def chosen(self, tools: Sequence[Tool]) -> list[Tool]:
        """Leave out what was not asked for (`--only`) and what is not there; say so."""
        kept = []
        for tool in tools:
            if self.options.only and not any(word in tool.name for word in self.options.only):
                continue
            if why := peers.lacking(tool):
                tell(f"skipped: {tool.name}: {why}")
            else:
                kept.append(tool)
        return kept

    def measure(self, tool: Tool, origin: Origin, *, to: Path | None = None, enter: Sequence[str] = ()) -> Run:
        """Download everything into an empty folder, check the bytes, and return what it cost.

        Args:
            tool: Who downloads.
            origin: From where.
            to: The folder; in memory unless given. Emptied before, and removed after the run.
            enter: Words that lead into the client's network namespace.
        """
        if to is not None:
            os.sync()  # what others left behind is not to be written in our time
        to = to if to is not None else self.folder / "to"
        empty(to)
        origin.requests()
        with self.running(tool, origin, to, enter) as started:
            done = started.wait()
        asked = origin.requests()
        wrong = difference(origin.model, to) if done.exit_code == 0 else f"exit code {done.exit_code}"
        shutil.rmtree(to)
        tell(f"{tool.name}: {done.wall_s:.2f} s" + (f" FAILED: {wrong}\n{done.said}" if wrong else ""))
        sent_bytes = sum(request.body_bytes for request in asked)
        return replace(done, failure=wrong or "", requests=len(asked), sent_bytes=sent_bytes)

    @contextmanager
    def running(self, tool: Tool, origin: Origin, to: Path, enter: Sequence[str] = ()) -> Iterator[Started]:
        """Start a tool, for the block to wait for."""
        env = {**peers.environment(origin, self.folder / "home"), **tool.env}
        with rounds.running([*enter, *tool.command(origin, to)], env, self.folder / "said") as started:
            yield started

    def acceptance(self, wishes: Sequence[Wish]) -> str:
        """Draw the acceptance figures; nothing in a short run, whose sizes they are not meant for."""
        return "" if self.options.short or not wishes else results.wishes(wishes)

    def publish(self, title: str, *parts: str, versions: str = "") -> None:
        """Print the section, and write it where that was asked for.

        Args:
            title: Its heading.
            parts: What it says; empty ones are left out.
            versions: Of what was compared; those of the tools that download unless given.
        """
        short = " (a short run: the figures say little)" if self.options.short else ""
        machine = f"{results.machine()}; {versions or peers.versions(self.ours)}."
        text = "\n\n".join([f"## {title}{short}", *filter(None, parts), machine])
        results.publish(self.name, text, write=self.options.write)


def parser(doc: str | None, *, rounds: int = 5) -> argparse.ArgumentParser:
    """Return a parser with the options that all programs have; the first line of `doc` is the help."""
    made = argparse.ArgumentParser(description=(doc or "").partition("\n\n")[0])
    made.add_argument("--rounds", type=int, default=rounds, help="runs of each tool (%(default)s)")
    made.add_argument("--ours", type=Path, help="the internlm-setup to measure, instead of this checkout's")
    made.add_argument("--only", action="append", metavar="WORD", help="only tools with this in their name; repeatable")
    made.add_argument("--on", type=Path, help="folder to work in (/dev/shm where there is one)")
    made.add_argument("--short", "--quick", action="store_true", help="small sizes and one round: does it work at all?")
    made.add_argument("--write", action="store_true", help="put the results into RESULTS.md")
    return made


def parse(parser: argparse.ArgumentParser, words: Sequence[str] | None, **short: object) -> argparse.Namespace:
    """Read the options; with `--short` the given ones have other defaults."""
    if parser.parse_args(words).short:
        parser.set_defaults(**short)
    return parser.parse_args(words)


@contextmanager
def opened(name: str, options: argparse.Namespace) -> Iterator[Session]:
    """Install what is measured, and work in a folder that is removed afterwards, also when asked to end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    program = options.ours.absolute() if options.ours else peers.install_ours()
    memory = Path("/dev/shm")
    place = options.on or (memory if os.access(memory, os.W_OK) else None)
    if place is not None:
        place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="internlm-bench-", dir=place) as folder:
        yield Session(name, options, Path(folder), program)


def skip(name: str, why: str) -> int:
    """Say why a program cannot run here; return the exit code for it."""
    tell(f"skipped: {name}: {why}")
    return SKIPPED


def tell(words: str) -> None:
    """Say how far it has come."""
    print(words, file=sys.stderr, flush=True)


def empty(folder: Path) -> None:
    """Make a folder, without whatever was in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def difference(model: Model, folder: Path) -> str | None:
    """Compare a folder with the model, byte by byte as far as sha256 can tell; name the first file that differs."""
    for entry in model.entries:
        file = folder / entry.path
        if not file.is_file() or _sha256(file) != entry.sha256:
            return f"{entry.path} is missing or wrong"
    return None


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened_file:
        while block := opened_file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
