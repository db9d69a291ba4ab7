"""Events made visible on stderr: drawn in place on a terminal, a line every few seconds elsewhere.

Nothing with `-q`; with `--json=stream` every event is a line of JSON on stdout instead.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from dataclasses import fields

from internlm_setup.cli.hubs import lines
from internlm_setup.cli.output import Output
from internlm_setup.cli.tally import Tally
from internlm_setup.core.clock import Clock, SystemClock
from internlm_setup.core.text import Text, human_size
from internlm_setup.fetch.transfer import events as ev

LINE_EVERY_S = 5.0
_SAY_AGAIN_S = 5.0
_RETRY = Text(en="{what}: {reason}; trying again{wait}", zh="{what}：{reason}；{wait}重试")
_WAIT = Text(en=" in {seconds:.0f} s", zh="{seconds:.0f} 秒后")
_NO_WAIT = Text(en="", zh="立即")
_FAILED = Text(
    en="`{path}` failed; the rest goes on, the reason is told at the end",
    zh="`{path}` 失败；其余继续，原因在结束时说明",
)
_DROPPED = Text(
    en="{source} sent wrong bytes of `{path}`; they were replaced, and nothing more is taken from it in this run",
    zh="{source} 发来的 `{path}` 有错误字节；已替换，本次运行不再从它下载",
)
_PLAN = Text(
    en="{repo} at {hub}: {size} in {files} {noun}",
    zh="{hub} 上的 {repo}：{files} 个文件，共 {size}",
)
_RESUMED = Text(en=", {present} already here", zh="，其中 {present} 已在本机")


@contextlib.contextmanager
def progress(output: Output, clock: Clock | None = None) -> Iterator[ev.Listener]:
    """Show a run's events while the block runs.

    Args:
        output: Where to; its form decides how.
        clock: For tests.

    Yields:
        The listener to hand to the feature. It may be called from any thread.
    """
    clock = clock or SystemClock()
    if output.form == "stream":
        yield lambda event: output.event(as_event(event))
        return
    if output.quiet:
        yield ev.ignore
        return
    watcher = _Watcher(output, clock)
    view = _drawn(watcher) if output.is_live() else _lines(watcher)
    with view:
        yield watcher.hear


def as_event(event: ev.Event) -> dict[str, object]:
    """Return an event as the stream has it: its name with dashes, and its fields."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "-", type(event).__name__).lower()
    return {"event": name, **{f.name: getattr(event, f.name) for f in fields(event)}}


class _Watcher:
    """Adds events up under a lock, and says at once what cannot wait."""

    def __init__(self, output: Output, clock: Clock) -> None:
        self.output, self.clock = output, clock
        self.lock = threading.Lock()
        self.tally = Tally(clock.monotonic)
        self.changed = threading.Event()
        self._said: dict[tuple[str, str], float] = {}

    def hear(self, event: ev.Event) -> None:
        """Take one event. Talk happens outside the lock: a display that draws takes it too."""
        with self.lock:
            self.tally.add(event)
        self._talk(event)
        if isinstance(event, ev.Asking | ev.Planned):
            self.changed.set()

    def _talk(self, event: ev.Event) -> None:
        match event:
            case ev.Planned():
                self.output.talk(_planned(event))
            case ev.Compared(hubs):
                self.output.talk("\n".join(lines(hubs, self.output.language)))
            case ev.Noted(text, warning):
                (self.output.warn if warning else self.output.talk)(text)
            case ev.FileFailed(path):
                self.output.warn(_FAILED.fill(path=path))
            case ev.SourceDropped(source, path):
                self.output.warn(_DROPPED.fill(source=source, path=path))
            case ev.Retrying(what, reason, wait_s) if self._is_news(what, reason):
                wait = _WAIT.fill(seconds=wait_s) if wait_s >= 1 else _NO_WAIT
                self.output.talk(_RETRY.fill(what=what, reason=reason, wait=wait))
            case _:
                pass

    def _is_news(self, what: str, reason: Text) -> bool:
        """Tell whether this was not said within the last seconds: eight connections fail alike."""
        now, key = self.clock.monotonic(), (what, reason.en)
        with self.lock:
            fresh = now - self._said.get(key, float("-inf")) >= _SAY_AGAIN_S
            if fresh:
                self._said[key] = now
        return fresh


def _planned(event: ev.Planned) -> Text:
    plan = _PLAN.fill(
        repo=event.repo,
        hub=event.hub,
        files=event.files,
        noun="file" if event.files == 1 else "files",
        size=human_size(event.size_bytes),
    )
    if not event.present_bytes:
        return plan
    resumed = _RESUMED.fill(present=human_size(event.present_bytes))
    return Text(en=plan.en + resumed.en, zh=plan.zh + resumed.zh)


@contextlib.contextmanager
def _drawn(watcher: _Watcher) -> Iterator[None]:
    from internlm_setup.cli.live import LiveView

    view = LiveView(watcher.tally, watcher.output, watcher.lock)
    view.start()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # the terminal is gone (SIGHUP)
            view.stop()


@contextlib.contextmanager
def _lines(watcher: _Watcher) -> Iterator[None]:
    """Write the line now and every few seconds, from a thread, so that a stall is seen too."""
    done = threading.Event()
    writer = threading.Thread(target=_write_lines, args=(watcher, done), daemon=True)
    writer.start()
    try:
        yield
    finally:
        done.set()
        watcher.changed.set()
        writer.join()


def _write_lines(watcher: _Watcher, done: threading.Event) -> None:
    """Write a line whenever it says something new: at once when a hub is asked, at the end, and every few seconds."""
    last, over = "", False
    while not over:
        over = done.is_set()
        with watcher.lock:
            line = watcher.tally.line(watcher.output.language)
            watcher.changed.clear()
        if line != last:
            watcher.output.talk(line)
            last = line
        if not over:
            watcher.clock.wait(LINE_EVERY_S, watcher.changed)
