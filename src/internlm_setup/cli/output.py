"""The only way a command says anything: data on stdout, talk on stderr, JSON when asked for.

Three forms: `human`; `json` (stdout holds the envelope alone); `stream` (a line of JSON per event,
the envelope last, on one line too).
"""

from __future__ import annotations

import codecs
import contextlib
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any, TextIO

from internlm_setup.cli.options import Form
from internlm_setup.core.text import Language, Text

SCHEMA = 1
_PLAIN = str.maketrans({"…": "...", "·": "-", "—": "-", "→": "->", "“": '"', "”": '"', "’": "'"})
_CONTROLS = re.compile("[\x7f-\x9f]")
_STYLES = {"error": "1;31", "warning": "1;33", "dim": "2"}


class ReaderGoneError(BrokenPipeError):
    """Whoever read our stdout has closed it; not to be confused with a socket's broken pipe."""


class Output:
    """Where this run's words go. Safe to use from several threads: every call is one write."""

    def __init__(
        self,
        *,
        language: Language,
        form: Form = "human",
        quiet: bool = False,
        verbose: bool = False,
        env: Mapping[str, str] | None = None,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
    ) -> None:
        """Take the streams as they are; None means the process's own."""
        self.language: Language = language
        self.form: Form = form
        self.quiet = quiet
        self.verbose = verbose
        self.env = os.environ if env is None else env
        self.stdout = sys.stdout if stdout is None else stdout
        self.stderr = sys.stderr if stderr is None else stderr
        self._data: dict[str, Any] = {}
        self._above: Callable[[str], None] | None = None

    # Data

    def result(self, data: object, line: str | PurePath | None = None) -> None:
        """Give the command's result.

        Args:
            data: A mapping or a dataclass: the envelope's `data`. A later call adds its keys.
            line: What a person or a pipe gets on stdout, for example a path; None for nothing.
        """
        self._data |= as_json(data, self.language)
        if line is not None and self.form == "human":
            self._write(self.stdout, f"{line}\n")

    def table(self, columns: Sequence[Text], rows: Sequence[Sequence[object]]) -> None:
        """Draw a table on stdout for a person; `result` gives the same facts to a program."""
        if self.form == "human":
            self._write(self.stdout, self._drawn(columns, rows))

    def line(self, words: str) -> None:
        """Write a line of data to stdout for a person; `result` gives the same facts to a program."""
        if self.form == "human":
            self._write(self.stdout, f"{words}\n")

    def redraws(self) -> bool:
        """Whether a table on stdout can be drawn again in place."""
        return self.form == "human" and self.stdout.isatty() and self.env.get("TERM") != "dumb"

    @contextlib.contextmanager
    def redrawn(self, columns: Sequence[Text]) -> Iterator[Callable[[Sequence[Sequence[object]]], None]]:
        """Draw a table on stdout again and again: in place on a terminal, below each other elsewhere."""
        height = 0

        def draw(rows: Sequence[Sequence[object]]) -> None:
            nonlocal height
            drawn = self._drawn(columns, rows) if self.form == "human" else ""
            up = f"\x1b[{height}F\x1b[J" if height else ""
            height = drawn.count("\n") if self.redraws() else 0
            self._write(self.stdout, up + drawn)

        yield draw

    def event(self, data: Mapping[str, object]) -> None:
        """Write one event as a line of JSON, at once; only in the `stream` form."""
        if self.form == "stream":
            self._write(self.stdout, self._dumped(as_json(data, self.language)) + "\n")

    def envelope(self, command: Sequence[str], exit_code: int, errors: Sequence[Mapping[str, object]]) -> None:
        """Write the one JSON object that ends every run with `--json`."""
        if self.form == "human":
            return
        from internlm_setup.core.log import mask

        status = "ok" if not errors else "partial" if self._data else "error"
        whole = {
            "schema": SCHEMA,
            "command": [mask(word) for word in command],
            "status": status,
            "exit_code": int(exit_code),
            "data": self._data,
            "errors": list(errors),
        }
        self._write(self.stdout, self._dumped(whole, indent=None if self.form == "stream" else 2) + "\n")

    # Talk

    def talk(self, words: Text | str) -> None:
        """Tell a person something, unless `-q`."""
        if not self.quiet:
            self._say(self._words(words))

    def detail(self, words: Text | str) -> None:
        """Tell a person something only with `-v`."""
        if self.verbose:
            self.talk(words)

    def warn(self, words: Text | str) -> None:
        """Tell a person of something that may surprise them, unless `-q`."""
        label = self.paint("warning", Text(en="warning:", zh="注意：").of(self.language))
        space = " " if self.language == "en" else ""
        self.talk(f"{label}{space}{self._words(words)}")

    def complain(self, words: str) -> None:
        """Write an error to stderr, also with `-q`."""
        self._say(words)

    def paint(self, style: str, words: str) -> str:
        """Colour words for stderr where that is wanted: a terminal, and no NO_COLOR."""
        return f"\x1b[{_STYLES[style]}m{words}\x1b[0m" if self._coloured() else words

    def ask(self, words: Text, *, hidden: bool = False) -> str | None:
        """Ask a person on the terminal, also with `-q`; None where there is nobody to ask.

        Args:
            words: The question.
            hidden: The answer is not to be seen while it is typed; it comes without its newline.
        """
        if not self.can_ask():
            return None
        if hidden:
            from getpass import getpass

            with contextlib.suppress(EOFError):
                return getpass(self._words(words), self.stderr)
            return ""
        self._write(self.stderr, self._words(words))
        return sys.stdin.readline()

    def can_ask(self) -> bool:
        """Say whether there is somebody to ask."""
        return self.form == "human" and sys.stdin.isatty() and self.stderr.isatty()

    def control(self, sequence: str) -> bool:
        """Send the person's terminal a control sequence, also with `-q`; False where there is none."""
        if self.is_live():
            self._write(self.stderr, sequence)
        return self.is_live()

    # Terminal

    def is_live(self) -> bool:
        """Whether stderr is a terminal that can be drawn on."""
        return self.stderr.isatty() and self.env.get("TERM") != "dumb"

    def route_talk(self, above: Callable[[str], None] | None) -> None:
        """Let a live display print talk above itself; None gives stderr back."""
        self._above = above

    def _coloured(self) -> bool:
        windows = sys.platform == "win32" and "WT_SESSION" not in self.env
        return self.is_live() and not self.env.get("NO_COLOR") and not windows

    def _words(self, words: Text | str) -> str:
        return words if isinstance(words, str) else words.of(self.language)

    def _say(self, line: str) -> None:
        with contextlib.suppress(OSError):  # the terminal or the pipe is gone; nobody hears this
            if self._above is not None:
                self._above(line)
            else:
                self._write(self.stderr, line + "\n")

    def _write(self, stream: TextIO, words: str) -> None:
        try:
            stream.write(words)
            stream.flush()
        except BrokenPipeError as cause:
            raise ReaderGoneError from cause

    def _drawn(self, columns: Sequence[Text], rows: Sequence[Sequence[object]]) -> str:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text as Line

        terminal = self.stdout.isatty()
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(Line(self._words(column)), overflow="fold")
        for row in rows:
            table.add_row(*(Line("" if cell is None else str(cell)) for cell in row))
        drawn = io.StringIO()
        colour = terminal and not self.env.get("NO_COLOR")
        console = Console(
            file=drawn,
            width=None if terminal else 10_000,
            force_terminal=colour,
            no_color=not colour,
            highlight=False,
            legacy_windows=False,
        )
        console.print(table)
        return "".join(line.rstrip() + "\n" for line in drawn.getvalue().splitlines())

    def _dumped(self, data: object, indent: int | None = None) -> str:
        # Escapes that a console's error handler would make are not JSON's, so they are made here.
        encoding = (self.stdout.encoding or "ascii").lower().replace("-", "")
        dumped = json.dumps(data, ensure_ascii=encoding != "utf8", indent=indent)
        return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", dumped)  # JSON allows them, terminals obey them


def as_json(value: object, language: Language) -> Any:
    """Turn values into what JSON has; dataclasses become objects, texts one language."""
    if isinstance(value, Enum):
        value = value.value
    match value:
        case None | bool() | int() | float():
            return value
        case Text():
            return value.of(language)
        case Mapping():
            return {str(k): as_json(v, language) for k, v in value.items()}
        case list() | tuple() | set() | frozenset():
            return [as_json(v, language) for v in value]
        case _ if is_dataclass(value):
            return {f.name: as_json(getattr(value, f.name), language) for f in fields(value)}
        case _:
            return str(value)


def make_unbreakable(*streams: TextIO) -> None:
    """Let the streams take any character: what the console's encoding lacks is escaped."""
    codecs.register_error("internlm-setup", _escape)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="internlm-setup")


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Replace typography by its plain form and everything else by its escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    plain = missing.translate(_PLAIN)
    return plain.encode("ascii", "backslashreplace").decode("ascii"), error.end
