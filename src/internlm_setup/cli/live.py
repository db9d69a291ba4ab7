"""Progress on a terminal: a row per active file and a total, drawn in place on stderr."""

from __future__ import annotations

import threading

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text as Line

from internlm_setup.cli.output import Output
from internlm_setup.cli.tally import Active, Tally, shorten
from internlm_setup.core.text import Text, human_size

_FRAMES_PER_S = 8
_MOST_FILES = 6
_NARROWEST_NAME, _WIDEST_NAME = 16, 48
_BESIDE_NAME = 44  # columns of the bar, the percentage and the size
_BAR = 16
_CHECKING = Text(en="checking", zh="正在校验")
_MORE = Text(en="and {count} more", zh="另有 {count} 个")


class LiveView:
    """Draws a tally until it is stopped; talk is printed above it."""

    def __init__(self, tally: Tally, output: Output, lock: threading.Lock) -> None:
        """Prepare; `lock` guards the tally."""
        self._tally, self._output, self._lock = tally, output, lock
        self._console = Console(
            file=output.stderr,
            force_terminal=True,
            no_color=bool(output.env.get("NO_COLOR")),
            highlight=False,
        )
        unicode = (output.stderr.encoding or "").lower().startswith("utf")
        self._spinner = Spinner("dots" if unicode else "line")
        self._live = Live(
            console=self._console,
            get_renderable=self._drawn,
            refresh_per_second=_FRAMES_PER_S,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def start(self) -> None:
        """Draw the first frame now."""
        self._output.route_talk(self._print_above)
        self._live.start(refresh=True)

    def stop(self) -> None:
        """Take the drawing away and give stderr back."""
        self._output.route_talk(None)
        self._live.stop()

    def _print_above(self, line: str) -> None:
        self._console.print(Line.from_ansi(line), soft_wrap=True)

    def _drawn(self) -> RenderableType:
        with self._lock:
            tally = self._tally
            self._spinner.text = Line(tally.line(self._output.language), overflow="ellipsis", no_wrap=True)
            if tally.planned is None:
                return self._spinner
            shown = list(tally.active.values())[:_MOST_FILES]
            rows: list[RenderableType] = [self._files(shown)] if shown else []
            hidden = len(tally.active) - len(shown)
            if hidden:
                rows.append(Line("  " + _MORE.of(self._output.language, {"count": hidden}), "dim"))
            return Group(*rows, self._spinner)

    def _files(self, files: list[Active]) -> Table:
        table = Table.grid(padding=(0, 1))
        room = self._console.width - _BESIDE_NAME
        width = max(_NARROWEST_NAME, min(_WIDEST_NAME, room))
        for file in files:
            table.add_row(
                Line("  " + shorten(file.path, width), no_wrap=True),
                ProgressBar(
                    total=max(1, file.size_bytes or 0),
                    completed=max(0, file.done_bytes),
                    width=_BAR,
                    pulse=file.size_bytes is None,
                ),
                Line(self._state(file), no_wrap=True),
            )
        return table

    def _state(self, file: Active) -> str:
        if file.verifying:
            return _CHECKING.of(self._output.language)
        if not file.size_bytes:
            return human_size(file.done_bytes)
        percent = min(100, 100 * max(0, file.done_bytes) // file.size_bytes)
        return f"{percent:3}%  {human_size(file.size_bytes)}"
