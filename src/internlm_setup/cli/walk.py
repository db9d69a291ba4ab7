"""A walk through the tool: says things, runs the installed command as a person would, notes what went wrong."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from internlm_setup.cli.place import Place, run
from internlm_setup.cli.session import Session
from internlm_setup.core.text import Text


@dataclass
class Walk:
    """Where the tour is.

    Attributes:
        session: Whose tour it is.
        place: The playground that it goes through.
        folder: Where commands are run.
        number: The step's.
        done: What was done so far.
        problems: What of it did not go as it should.
    """

    session: Session
    place: Place
    folder: Path
    number: int = 0
    done: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def say(self, words: Text | str) -> None:
        """Say something to the person."""
        self.session.output.talk(words)

    def title(self, words: Text) -> None:
        """Begin a step."""
        line = f"\n{self.number}. {words.of(self.session.language)}"
        self.session.output.talk(self.session.output.paint("warning", line))

    def show(self, line: str) -> None:
        """Show what is typed."""
        self.session.output.talk(self.session.output.paint("dim", f"$ {line}"))

    def command(self, *words: str, expect: int | None = 0) -> None:
        """Show a command, run it as a person would, and check how it ended, where `expect` says how."""
        shown = "internlm-setup " + " ".join(words)
        self.show(shown)
        code = run(self.line(*words), self.place.env, cwd=self.folder, stdout=self.stdout)
        self.expect(shown, expect is None or code == expect, f"exit {code}, not {expect}")

    @property
    def stdout(self) -> TextIO | None:
        """Where a command's stdout goes: our stderr with `--json`, whose stdout is the envelope's alone."""
        return None if self.session.output.form == "human" else sys.stderr

    def line(self, *words: str) -> list[str]:
        """Return the installed command."""
        program = shutil.which("internlm-setup", path=self.place.env["PATH"])
        start = [program] if program else [sys.executable, "-m", "internlm_setup"]
        quiet = ["--quiet"] if self.session.common.quiet else []
        return [*start, "--lang", self.session.language, *quiet, *words]

    def expect(self, what: str, good: bool, found: str) -> None:
        """Note a step, and a problem when it did not go as it should."""
        self.done.append(what)
        if not good:
            self.problems.append(f"{what}: {found}")
            self.session.output.warn(f"{what}: {found}")
