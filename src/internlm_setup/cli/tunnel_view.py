"""A tunnel in the foreground: a line for whatever happens, and on a terminal its figures below, drawn in place."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from internlm_setup.cli.output import Output
from internlm_setup.cli.tunnel_talk import lines_of
from internlm_setup.core.text import Text
from internlm_setup.tunnel import events as ev
from internlm_setup.tunnel.model import State
from internlm_setup.tunnel.status import service_words

if TYPE_CHECKING:
    from internlm_setup.tunnel.status import Status

_SAY_AGAIN_S = 30.0
_FRAMES_PER_S = 2
_CTRL_C = Text(en="Ctrl-C ends it", zh="按 Ctrl-C 结束")
_BROWSER = Text(en="IN A BROWSER", zh="浏览器")


class TunnelView:
    """Says what a tunnel tells. Safe for several threads."""

    def __init__(self, output: Output, clock: Callable[[], float]) -> None:
        """Take where to say it; `clock` is monotonic."""
        self._output, self._clock = output, clock
        self._lock = threading.Lock()
        self._state: State | None = None
        self._said: dict[str, float] = {}
        self._services: Text | None = None
        self._live: Any = None
        self.status: Callable[[], Status] | None = None

    def hear(self, event: ev.Event) -> None:
        """Take one event."""
        if self._output.form == "stream":
            self._output.event(as_event(event))
        with self._lock:
            lines = lines_of(event, self._state) if self.is_news(event) else []
            if isinstance(event, ev.StateChanged):
                self._state = event.state
        warns = isinstance(event, ev.Retrying | ev.ConnectionRefused) or (isinstance(event, ev.Noted) and event.warning)
        for line in lines:
            (self._output.warn if warns else self._output.talk)(line)
        if isinstance(event, ev.StateChanged) and event.state == "up" and self._live is None:
            self._draw()

    def close(self) -> None:
        """Take away what is drawn."""
        if self._live is not None:
            self._output.route_talk(None)
            with suppress(OSError):  # the terminal is gone
                self._live.stop()
            self._live = None

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Draw nothing inside the block: a person is asked."""
        drawn = self._live is not None
        self.close()
        yield
        if drawn:
            self._draw()

    def is_news(self, event: ev.Event) -> bool:
        """Tell whether something was not said a moment ago: many connections fail alike.

        Of services only what is said counts: others may come and go beside one that is there.
        """
        if isinstance(event, ev.ServiceSeen):
            before, self._services = self._services, service_words(event.listening, event.missing, event.others)
            return self._services != before
        if not isinstance(event, ev.Retrying | ev.ConnectionRefused):
            return True
        now_s = self._clock()
        fresh = now_s - self._said.get(event.reason.en, float("-inf")) >= _SAY_AGAIN_S
        if fresh:
            self._said = {words: said_s for words, said_s in self._said.items() if now_s - said_s < _SAY_AGAIN_S}
            self._said[event.reason.en] = now_s
        return fresh

    def _draw(self) -> None:
        if self.status is None or self._output.quiet or self._output.form != "human" or not self._output.is_live():
            return
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text as Line

        console = Console(
            file=self._output.stderr,
            force_terminal=True,
            no_color=bool(self._output.env.get("NO_COLOR")),
            highlight=False,
        )
        self._live = Live(
            console=console,
            get_renderable=_Figures(self.status, self._output),
            refresh_per_second=_FRAMES_PER_S,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._output.route_talk(lambda line: console.print(Line.from_ansi(line), soft_wrap=True))
        self._live.start(refresh=True)


class _Figures:
    """What is drawn: the tunnel's row as a small table on its side."""

    def __init__(self, status: Callable[[], Status], output: Output) -> None:
        from internlm_setup.cli.tunnel_table import Rates

        self._status, self._output, self._rates = status, output, Rates()

    def __call__(self) -> Any:
        from rich.table import Table
        from rich.text import Text as Line

        from internlm_setup.cli.tunnel_table import COLUMNS, row_of

        language, status = self._output.language, self._status()
        table = Table.grid(padding=(0, 2))
        for column, cell in zip(COLUMNS, row_of(status, self._rates, language), strict=True):
            table.add_row(Line(column.of(language), "dim"), Line(cell))
        port = next(iter(status.ports), None)
        if status.listening and any(each.startswith(f"-L {port}:") for each in status.forwards):
            table.add_row(Line(_BROWSER.of(language), "dim"), Line(f"http://127.0.0.1:{port}"))
        table.add_row(Line(_CTRL_C.of(language), "dim"))
        return table


def as_event(event: ev.Event) -> dict[str, object]:
    """Return an event as the stream has it: its name with dashes, and its fields."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "-", type(event).__name__).lower()
    return {"event": name, **{f.name: getattr(event, f.name) for f in fields(event)}}
