"""One session while it is watched: its silence, its probes, its end; and one attempt to get one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from internlm_setup.core.text import Text
from internlm_setup.tunnel import events as ev
from internlm_setup.tunnel.compression import Compression, ratio_of
from internlm_setup.tunnel.model import Channel, Endpoint, Session, SessionSpec
from internlm_setup.tunnel.pump import Carrying

_ON = Text(
    en="compressing from now on: the line is slow, and what comes through shrinks",
    zh="开始压缩：线路较慢，且传输的数据可以压缩",
)
_OFF = Text(en="compressing no longer: it does not help here", zh="停止压缩：在此处没有帮助")
_AFTER_WAKING_S = 1.0  # how long a session may take to answer when we have slept


class Link:
    """A session, asked for a sign of life whenever it is silent.

    Attributes:
        session: What is watched.
        carrier: The same, where it serves connections without a thread for each.
        since_s: When it came up, by the monotonic clock.
        rtt_s: How long the last sign of life took to come; None before the first.
    """

    def __init__(
        self, session: Session, spec: SessionSpec, taken: Callable[[Endpoint, Channel], None], tell: ev.Listener
    ) -> None:
        """Take a session; `taken` gets the streams that somebody opens at the server, `tell` what there is to say."""
        self.session, self.since_s = session, time.monotonic()
        self.carrier = session if isinstance(session, Carrying) else None
        self.rtt_s: float | None = None
        self._keepalive_s, self._dead_s = spec.keepalive_s, spec.dead_s
        self._doubtful_s = (spec.keepalive_s + spec.dead_s) / 2
        self._taken, self._tell = taken, tell
        self._compression: Compression | None = None
        if spec.compression == "auto":
            self._compression = Compression(self.since_s, session.traffic, on=session.compressed)
        self._poked = threading.Event()
        self._woke_s: float | None = None

    def watch(self, ended: Callable[[], None], answered: Callable[[], None]) -> None:
        """Start watching; `ended` and `answered` are called from threads of ours."""
        threading.Thread(target=self._accept, args=(ended,), daemon=True, name="tunnel-accept").start()
        threading.Thread(target=self._probe, args=(answered,), daemon=True, name="tunnel-probe").start()

    def poke(self) -> None:
        """We may have slept: ask for a sign of life at once, and do not trust the session until it came."""
        self._woke_s = time.monotonic()
        self._poked.set()

    def close(self) -> None:
        """End the session, and with it the threads."""
        self.session.close()
        self._poked.set()

    @property
    def usable(self) -> bool:
        """Whether a new connection may go through it."""
        return self.session.alive and self.silent_s < self._doubtful_s and not self._waking

    @property
    def dead(self) -> bool:
        """Whether it counts as dead, though streams in it may still come back."""
        return not self.session.alive or self.silent_s >= self._dead_s

    @property
    def silent_s(self) -> float:
        """Seconds of silence that say something: those that we slept through do not."""
        silent_s = self.session.silent_s
        if self._woke_s is None:
            return silent_s
        awake_s = time.monotonic() - self._woke_s
        return min(silent_s, awake_s + self._doubtful_s - _AFTER_WAKING_S)

    @property
    def doubtful_in_s(self) -> float:
        """Seconds until it will be doubted if it stays silent."""
        return max(0.0, self._doubtful_s - self.silent_s)

    def heard_since(self, moment_s: float) -> bool:
        """Say whether anything came since a moment of the monotonic clock."""
        return self.session.silent_s < time.monotonic() - moment_s

    @property
    def _waking(self) -> bool:
        return self._woke_s is not None and not self.heard_since(self._woke_s)

    def _accept(self, ended: Callable[[], None]) -> None:
        try:
            while (stream := self.session.accept()) is not None:
                self._taken(*stream)
        except OSError:
            pass
        finally:
            self._poked.set()
            ended()

    def _probe(self, answered: Callable[[], None]) -> None:
        while self.session.alive:
            wait_s = self._keepalive_s - self.session.silent_s
            if wait_s > 0 and not self._poked.wait(min(wait_s, self._look())):
                continue
            self._poked.clear()
            if self.session.alive:
                self._ask(answered)

    def _look(self) -> float:
        """Have it compressed, or no longer, where that has become better; return the seconds until the next look."""
        decision, session = self._compression, self.session
        if decision is None:
            return self._keepalive_s
        on = decision.look(time.monotonic(), session.traffic, lambda: ratio_of(session.recent))
        if on != decision.on:
            guessed, is_on = decision.guessed, session.compress(on)
            decision.switched(time.monotonic(), session.traffic, on=is_on)
            if is_on == on and session.alive:
                if not guessed:
                    self._tell(ev.Noted(_ON if on else _OFF))
            else:
                self._compression = None  # the server does not
        return decision.pause_s

    def _ask(self, answered: Callable[[], None]) -> None:
        try:
            rtt_s = self.session.probe(self._dead_s)
        except OSError:
            rtt_s = None
        if rtt_s is not None:
            self.rtt_s = rtt_s
            answered()
        else:
            self._poked.wait(self._keepalive_s)


@dataclass(eq=False)
class Attempt:
    """One attempt to connect.

    Attributes:
        started_s: By the monotonic clock.
        in_login: Whether the server has proved who it is, and the login goes on.
    """

    started_s: float = field(default_factory=time.monotonic)
    in_login: bool = False
