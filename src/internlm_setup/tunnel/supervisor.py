"""Keeps a session to one server: connects, watches, and connects again, while nobody's port closes.

Everything is decided in the thread that is in `run`. Others put what happened into its inbox, and those that carry
connections wait in `open_channel` until there is a session that answers.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from internlm_setup.core.clock import Clock, SystemClock
from internlm_setup.core.errors import DeniedError, ProtocolError, SetupError, UnavailableError
from internlm_setup.core.retry import backoff_s
from internlm_setup.core.ssh.ask import Asker
from internlm_setup.core.ssh.connect_errors import HostUnknown, HostUnreachable, ServerSilent
from internlm_setup.core.text import Text
from internlm_setup.tunnel import events as ev
from internlm_setup.tunnel.link import Attempt, Link
from internlm_setup.tunnel.model import Channel, Endpoint, Engine, Session, SessionSpec, State
from internlm_setup.tunnel.parking import Parking, words_of
from internlm_setup.tunnel.questions import Questions

TICK_S = 1.0
_FIRST_WAIT_S = 0.05
_JUMP_S = 2.0  # so much more than was meant to pass: we slept
_LINGER_S = 60.0  # how long a silent session keeps its streams
_EAGER_S = 60.0  # how long an outage is met with a try a second, while nobody answers at all
_EVERY_S, _SELDOM_S = 1.0, 15.0
_MOST_ATTEMPTS = 5
_SETTLED_S = 10.0  # a session that ended sooner counts as a failed try
_NOBODY = {"time-out", "no-route"}
_SLEPT = Text(
    en="this machine slept, or its clock jumped, by {seconds:.0f} s; asking whether the server is still there",
    zh="本机休眠或时钟跳变了 {seconds:.0f} 秒；正在确认服务器是否仍在",
)


class Supervisor:
    """One server's session, for as long as it is wanted."""

    def __init__(
        self,
        spec: SessionSpec,
        engine: Engine,
        asker: Asker,
        env: Mapping[str, str],
        tell: ev.Listener,
        *,
        wait_s: float = 0.0,
        clock: Clock | None = None,
    ) -> None:
        """Prepare.

        Args:
            spec: Whom to reach, and how patient to be.
            engine: How sessions are made.
            asker: Asked in the thread that is in `run`.
            env: The environment: where the agent is.
            tell: Told what happens.
            wait_s: How long to keep trying before there was a first session.
            clock: The time.
        """
        self.spec, self._engine, self._env, self._tell = spec, engine, env, tell
        self._clock = clock or SystemClock()
        self._inbox: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._asker = Questions(asker, self._post)
        self.parking = Parking(spec.hold_s, tell)
        self._links: list[Link] = []
        self._attempts: set[Attempt] = set()
        self._was_up = False
        self._failures = 0
        self._next_try_s = self._down_since_s = self._clock.monotonic()
        self._give_up_s = self._next_try_s + wait_s
        self.state: State = "connecting"
        self.reconnects = -1
        self.remote: Callable[[Endpoint, Channel], None] = lambda _, channel: channel.close()
        self.up: Callable[[Session, bool], None] = lambda _session, _first: None

    def run(self) -> None:
        """Connect, and stay connected until `stop`.

        Raises:
            UnavailableError: There never was a session, and the time for trying is over.
            DeniedError: The server does not let us in, or is not the one it was; also later on.
            SetupError: Whatever else trying again does not mend.
        """
        try:
            self._tell(ev.StateChanged(self.state, 0))
            while not self.parking.over:
                self._tick()
                self._wait()
        except SetupError:
            self._become("failed")
            raise
        finally:
            self._end()

    def stop(self) -> None:
        """Make `run` return soon; from any thread."""
        self._post(self.parking.end)

    def fail(self, error: Exception) -> None:
        """Make `run` raise an error; from any thread."""

        def fail() -> None:
            if not self.parking.over:
                raise error

        self._post(fail)

    @property
    def link(self) -> Link | None:
        """The session that new connections take, or None."""
        return self.parking.best

    # What happens in the thread of `run`

    def _wait(self) -> None:
        """Take what happened, for as long as nothing is to be done; notice when we have slept."""
        before_s, apart_s = self._clock.monotonic(), self._apart_s()
        pause_s = self._pause_s(before_s)
        with suppress(queue.Empty):
            self._inbox.get(timeout=pause_s)()
        stopped_s = self._clock.monotonic() - before_s - pause_s
        slept_s = max(stopped_s, abs(self._apart_s() - apart_s))
        if slept_s > _JUMP_S:
            self._wake(slept_s)

    def _wake(self, slept_s: float) -> None:
        """Ask every session at once, and try at once where there is none."""
        self._failures, self._next_try_s = 0, 0.0
        self._down_since_s = self._clock.monotonic()
        for link in self._links:
            link.poke()
        if self._was_up:
            self._tell(ev.Noted(_SLEPT.fill(seconds=slept_s)))

    def _apart_s(self) -> float:
        """Return how far the clocks are apart: on most systems only one of them goes on while a machine sleeps."""
        return self._clock.now() - self._clock.monotonic()

    def _pause_s(self, now_s: float) -> float:
        if self.link is None:
            return max(0.01, min(TICK_S, self._next_try_s - now_s)) if self._may_try else TICK_S
        return max(0.01, min(TICK_S, self.link.doubtful_in_s))

    def _tick(self) -> None:
        now_s = self._clock.monotonic()
        for link in list(self._links):
            idle = self.link not in {None, link} and not link.session.traffic.open_channels
            if idle or not link.session.alive or link.silent_s >= _LINGER_S:
                self._drop(link, now_s)
        self._judge()
        if self.link is None and self._may_try and self._clock.monotonic() >= self._next_try_s:
            self._try(now_s)

    def _judge(self) -> None:
        """Choose the session that new connections take, and say in what state that leaves us."""
        if self.parking.over:
            return
        before = self.link
        self.parking.choose(next((link for link in reversed(self._links) if link.usable), None))
        if self.link is not None:
            self._become("up")
            return
        if before is not None:
            self._down_since_s = self._clock.monotonic()
            self._next_try_s = min(self._next_try_s, self._down_since_s) if self._links else self._next_try_s
        if any(not link.dead for link in self._links):
            self._become("degraded")
        elif self._was_up:
            self._become("reconnecting")
        else:
            self._become("auth" if any(each.in_login for each in self._attempts) else "connecting")

    def _become(self, state: State) -> None:
        if state != self.state:
            self.state = state
            self._tell(ev.StateChanged(state, max(0, self.reconnects)))

    @property
    def _may_try(self) -> bool:
        """Whether one more attempt may run beside those that run: before the first session a person may be typing."""
        if not self._was_up:
            return not self._attempts
        return len(self._attempts) < _MOST_ATTEMPTS and not any(each.in_login for each in self._attempts)

    def _try(self, now_s: float) -> None:
        eager = now_s - self._down_since_s < _EAGER_S
        self._next_try_s = now_s + (_EVERY_S if eager else _SELDOM_S)
        attempt = Attempt()
        self._attempts.add(attempt)
        threading.Thread(target=self._connect, args=(attempt,), daemon=True, name="tunnel-connect").start()

    def _connect(self, attempt: Attempt) -> None:
        def proved(_: object) -> None:
            attempt.in_login = True
            self._post(self._judge)

        try:
            session = self._engine.open(self.spec, self._asker, self._env, proved)
        except Exception as error:  # noqa: BLE001  # it is raised again in the thread of `run`
            self._post(partial(self._failed, attempt, error))
        else:
            self._post(partial(self._opened, attempt, session))

    def _opened(self, attempt: Attempt, session: Session) -> None:
        self._attempts.discard(attempt)
        if self.parking.over or self.link is not None:
            threading.Thread(target=session.close, daemon=True).start()
            return
        link = Link(session, self.spec, self.remote, self._tell)
        self._links.append(link)
        first, self._was_up = not self._was_up, True
        self.reconnects += 1
        link.watch(partial(self._post, self._judge_soon), partial(self._post, self._judge_soon))
        self.up(session, first)

    def _judge_soon(self) -> None:
        """Do nothing: the tick that follows looks at everything."""

    def _failed(self, attempt: Attempt, error: Exception) -> None:
        self._attempts.discard(attempt)
        if self.parking.over:
            return
        now_s = self._clock.monotonic()
        if not self._passes(error) or (not self._was_up and now_s >= self._give_up_s):
            raise error
        if self.link is not None:
            return
        if not _nobody_there(error) or not self._was_up:
            self._failures += 1
            self._next_try_s = now_s + backoff_s(self._failures, first_s=_FIRST_WAIT_S)
        self._tell(ev.Retrying(words_of(error), max(0.0, self._next_try_s - now_s)))

    def _passes(self, error: Exception) -> bool:
        """Say whether an error may pass by itself; once there was a session, whatever is in the way of one may."""
        if isinstance(error, DeniedError):
            return False
        return isinstance(error, (UnavailableError, OSError)) or (self._was_up and isinstance(error, ProtocolError))

    def _drop(self, link: Link, now_s: float) -> None:
        self._links.remove(link)
        threading.Thread(target=link.close, daemon=True).start()
        if link is self.link:
            self._failures = 0 if now_s - link.since_s >= _SETTLED_S else self._failures + 1
            again = self._failures - 1  # the first time at once, however short it was
            self._next_try_s = now_s + (backoff_s(again, first_s=_FIRST_WAIT_S) if again > 0 else 0.0)

    # From other threads, and the end

    def _post(self, message: Callable[[], object]) -> None:
        if not self.parking.unless_over(lambda: self._inbox.put(message)):
            message()

    def _end(self) -> None:
        """Hang up everywhere; whoever still connects hangs up by itself when it is done."""
        self._asker.closed = True
        self.parking.end()
        with suppress(queue.Empty):
            while True:
                self._inbox.get_nowait()()
        closing = [threading.Thread(target=link.close, daemon=True) for link in self._links]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join(_EVERY_S)
        if self.state != "failed":
            self._become("stopped")


def _nobody_there(error: Exception) -> bool:
    """Say whether a failure means that nothing of ours reached anybody, so that trying again costs nobody anything."""
    if isinstance(error, HostUnreachable):
        return error.cause_id in _NOBODY
    return isinstance(error, (HostUnknown, ServerSilent))
