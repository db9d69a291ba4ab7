"""What a run's events add up to: pure bookkeeping that both kinds of progress are drawn from."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from internlm_setup.cli.help import width_of
from internlm_setup.core.text import Language, Text, human_size
from internlm_setup.fetch.transfer import events as ev

_WINDOW_S = 5.0
_SAMPLE_S = 0.25
_KIBI = 1024
_ASKING = Text(en="asking {hubs}", zh="正在询问 {hubs}")
_STARTING = Text(en="starting", zh="正在启动")
_OF = Text(en="{done} of {total}", zh="{done} / {total}")
_LEFT = Text(en="{time} left", zh="剩余 {time}")


@dataclass(slots=True)
class Active:
    """One file that is being fetched."""

    path: str
    size_bytes: int | None
    done_bytes: int
    verifying: bool = False


@dataclass(slots=True)
class Tally:
    """The sum of all events so far.

    Attributes:
        monotonic: Seconds since some moment, as `time.monotonic`.
        asked: Hubs that are being asked, by id, with their hosts.
        planned: The plan, once there is one.
        received_bytes: Bytes that reached the disk since, less those that have to come again.
        finished: Files put in place in this run.
        active: Files being fetched, oldest first.
    """

    monotonic: Callable[[], float]
    asked: dict[str, str] = field(default_factory=dict)
    planned: ev.Planned | None = None
    received_bytes: int = 0
    finished: int = 0
    active: dict[str, Active] = field(default_factory=dict)
    _samples: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, event: ev.Event) -> None:
        """Take one event into account."""
        match event:
            case ev.Asking(hub, host):
                self.asked[hub] = host
            case ev.Planned():
                self.planned, self.received_bytes = event, 0
                self._sample(0)
            case ev.FileStarted(path, size_bytes, present_bytes):
                self.active[path] = Active(path, size_bytes, present_bytes)
            case ev.Advanced(path, count_bytes):
                self._advance(path, count_bytes)
            case ev.Verifying(path):
                self.active.setdefault(path, Active(path, None, 0)).verifying = True
            case ev.FileFinished(path):
                self.active.pop(path, None)
                self.finished += 1
            case ev.FileFailed(path):
                self.active.pop(path, None)
            case ev.Retrying() | ev.SourceDropped() | ev.Noted() | ev.Compared():
                pass

    @property
    def total_bytes(self) -> int:
        """Bytes of all selected files."""
        return self.planned.size_bytes if self.planned else 0

    @property
    def done_bytes(self) -> int:
        """Bytes that are here, from earlier runs too; never more than the total."""
        if self.planned is None:
            return 0
        here = self.planned.present_bytes + self.received_bytes
        return max(0, min(here, self.total_bytes))

    @property
    def rate_bytes_per_s(self) -> float:
        """Bytes a second over the last few seconds; 0 when nothing came."""
        now = self.monotonic()
        while len(self._samples) > 1 and self._samples[0][0] < now - _WINDOW_S:
            self._samples.popleft()
        if not self._samples:
            return 0.0
        start, before = self._samples[0]
        return max(0.0, (self._arrived() - before) / max(now - start, _SAMPLE_S))

    @property
    def seconds_left(self) -> int | None:
        """Seconds until everything is here at this rate, or None when nothing moves."""
        rate = self.rate_bytes_per_s
        return round((self.total_bytes - self.done_bytes) / rate) if rate >= 1 else None

    def line(self, language: Language) -> str:
        """Say it in one line: what is here, of what, how fast, how long still."""
        if self.planned is None:
            if not self.asked:
                return _STARTING.of(language)
            hubs = ", ".join(f"{hub} ({host})" for hub, host in self.asked.items())
            return _ASKING.of(language, {"hubs": hubs})
        done, total = human_size(self.done_bytes), human_size(self.total_bytes)
        parts = [_OF.of(language, {"done": done, "total": total})]
        if self._arrived() and self.done_bytes < self.total_bytes:
            parts.append(f"{human_size(self.rate_bytes_per_s)}/s")
            if self.seconds_left is not None:
                parts.append(_LEFT.of(language, {"time": duration(self.seconds_left)}))
        return " · ".join(parts)

    def _advance(self, path: str, count_bytes: int) -> None:
        self.received_bytes += count_bytes
        if path in self.active:
            self.active[path].done_bytes += count_bytes
        self._sample(max(0, count_bytes))

    def _arrived(self) -> int:
        """Bytes that ever came; unlike `received_bytes` it never goes back."""
        return self._samples[-1][1] if self._samples else 0

    def _sample(self, count_bytes: int) -> None:
        """Keep one sample per quarter second, so that a fast line costs no memory."""
        now, arrived = self.monotonic(), self._arrived() + count_bytes
        if len(self._samples) > 1 and now - self._samples[-2][0] < _SAMPLE_S:
            self._samples[-1] = (self._samples[-1][0], arrived)
        else:
            self._samples.append((now, arrived))


def duration(seconds: int) -> str:
    """Return a time as `0:04:36`."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def shorten(name: str, width: int) -> str:
    """Return a name in exactly `width` columns; control characters go, and a middle too long."""
    clean = "".join(c if c.isprintable() else "?" for c in name)
    if width_of(clean) > width:
        tail = _last(clean, (width - 1) * 2 // 3)
        head = _first(clean, width - 1 - width_of(tail))
        clean = f"{head}…{tail}"
    return clean + " " * (width - width_of(clean))


def _first(text: str, width: int) -> str:
    while width_of(text) > width:
        text = text[:-1]
    return text


def _last(text: str, width: int) -> str:
    while width_of(text) > width:
        text = text[1:]
    return text
