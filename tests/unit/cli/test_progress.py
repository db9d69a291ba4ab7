"""Events as lines, as a drawing, as JSON."""

from __future__ import annotations

import io
import json
import threading
from concurrent.futures import ThreadPoolExecutor

from internlm_setup.cli.help import width_of
from internlm_setup.cli.live import LiveView
from internlm_setup.cli.options import Form
from internlm_setup.cli.output import Output
from internlm_setup.cli.progress import progress
from internlm_setup.cli.tally import Tally
from internlm_setup.core.text import Language, Text
from internlm_setup.fetch.transfer import events as ev

MIB = 1024 * 1024
RESET = Text(en="the connection was reset", zh="连接被重置")


class Hand:
    """A clock whose waits end when the test moves it on, or when what is waited for happens."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.waiting = threading.Semaphore(0)

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, seconds: float, cancelled: threading.Event) -> bool:
        self.seconds += seconds
        self.waiting.release()
        return cancelled.wait(10)


class Terminal(io.StringIO):
    """A UTF-8 terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def output(form: Form = "human", *, quiet: bool = False, language: Language = "en") -> Output:
    return Output(
        language=language,
        form=form,
        quiet=quiet,
        env={},
        stdout=io.StringIO(),
        stderr=io.StringIO(),
    )


def text(stream: object) -> str:
    assert isinstance(stream, io.StringIO)
    return stream.getvalue()


def test_lines_without_a_terminal() -> None:
    """The first line comes at once, and the plan and the bytes follow."""
    out, clock = output(), Hand()
    with progress(out, clock) as hear:
        assert clock.waiting.acquire(timeout=10)
        hear(ev.Asking("hub", "hub.test"))
        assert clock.waiting.acquire(timeout=10)
        hear(ev.Planned("org/model", "hub", 3, 24 * MIB, 2 * MIB))
        assert clock.waiting.acquire(timeout=10)
        hear(ev.Noted(Text(en="take care", zh="小心"), warning=True))
        hear(ev.FileFailed("a.bin", RESET))
    assert text(out.stderr).splitlines() == [
        "starting",
        "asking hub (hub.test)",
        "org/model at hub: 24.0 MiB in 3 files, 2.0 MiB already here",
        "2.0 MiB of 24.0 MiB",
        "warning: take care",
        "warning: `a.bin` failed; the rest goes on, the reason is told at the end",
    ]
    assert text(out.stdout) == ""


def test_a_retry_is_said_once() -> None:
    """Eight connections that fail alike are one line."""
    out = output(language="zh")
    with progress(out) as hear, ThreadPoolExecutor(8) as pool:
        list(pool.map(hear, [ev.Retrying("a.bin", RESET, 3.2)] * 8))
    assert text(out.stderr).count("a.bin：连接被重置；3 秒后重试") == 1


def test_quiet_says_nothing() -> None:
    """`-q` is silent."""
    out = output(quiet=True)
    with progress(out) as hear:
        hear(ev.Planned("org/model", "hub", 1, 1, 0))
    assert text(out.stderr) + text(out.stdout) == ""


def test_stream_of_events() -> None:
    """Every event is a line with its name and fields."""
    out = output("stream", language="zh")
    with progress(out) as hear:
        hear(ev.FileFinished("a", 5, "sha256"))
        hear(ev.FileFailed("b", RESET))
    assert [json.loads(line) for line in text(out.stdout).splitlines()] == [
        {"event": "file-finished", "path": "a", "size_bytes": 5, "proof": "sha256"},
        {"event": "file-failed", "path": "b", "reason": "连接被重置"},
    ]
    assert text(out.stderr) == ""


def test_drawing_fits_eighty_columns() -> None:
    """With Chinese names and many files no row is wider than the terminal."""
    stderr = Terminal()
    out = Output(language="zh", env={"COLUMNS": "80"}, stdout=io.StringIO(), stderr=stderr)
    tally = Tally(lambda: 0.0)
    tally.add(ev.Planned("org/model", "hub", 9, 90 * MIB, 0))
    for number in range(9):
        size = None if number == 3 else 10 * MIB
        tally.add(ev.FileStarted(f"说明/第{number}章-{'很长' * 30}.md", size, number * MIB))
    tally.add(ev.Verifying(f"说明/第0章-{'很长' * 30}.md"))
    view = LiveView(tally, out, threading.Lock())
    view._console.width = 80
    with view._console.capture() as shown:
        view._console.print(view._drawn())
    rows = view_rows(shown.get())
    assert max(map(width_of, rows)) <= 80
    assert "正在校验" in rows[0]
    assert "另有 3 个" in rows[6]
    assert "0 B / 90.0 MiB" in rows[7]


def test_drawing_on_a_terminal_leaves_only_the_talk() -> None:
    """Talk is printed above the drawing, which is gone at the end."""
    stderr = Terminal()
    out = Output(language="en", env={"TERM": "xterm"}, stdout=io.StringIO(), stderr=stderr)
    with progress(out) as hear:
        assert "starting" in stderr.getvalue()
        hear(ev.Asking("hub", "hub.test"))
        hear(ev.Noted(Text(en="[look] here", zh="看")))
    out.talk("after")
    assert "[look] here" in stderr.getvalue()
    assert stderr.getvalue().endswith("after\n")


def view_rows(drawn: str) -> list[str]:
    """Return the rows without colours."""
    import re

    return re.sub(r"\x1b\[[0-9;]*m", "", drawn).splitlines()
