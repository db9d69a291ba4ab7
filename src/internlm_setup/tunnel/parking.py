"""Where new connections wait for a session that answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from internlm_setup.core.errors import SetupError
from internlm_setup.core.text import Text
from internlm_setup.tunnel import events as ev
from internlm_setup.tunnel.errors import ChannelRefused, DestinationSilent
from internlm_setup.tunnel.link import Link
from internlm_setup.tunnel.model import Channel, Endpoint, Session
from internlm_setup.tunnel.pump import Ends

_OPEN_S = 3.0  # how long the first try to open a stream may take, then twice that
_LOOK_S, _SELDOM_S = 0.05, 15.0


class Parking:
    """The session of the moment, and whoever waits for one.

    Attributes:
        best: The session that new connections take, or None.
        over: There will be none any more.
    """

    def __init__(self, hold_s: float, tell: ev.Listener) -> None:
        """Take how long a connection waits, and who is told of those that come to nothing."""
        self._hold_s, self._tell = hold_s, tell
        self._ready = threading.Condition()
        self.best: Link | None = None
        self.over = False

    def choose(self, link: Link | None) -> None:
        """Say which session to take from now on."""
        with self._ready:
            self.best = None if self.over else link
            self._ready.notify_all()

    def end(self) -> None:
        """Let nobody wait any longer."""
        with self._ready:
            self.over, self.best = True, None
            self._ready.notify_all()

    def unless_over(self, act: Callable[[], object]) -> bool:
        """Do something that must not happen after the end; say whether it was done."""
        with self._ready:
            if not self.over:
                act()
            return not self.over

    def carry(self, ends: Ends, destination: Endpoint, origin: Endpoint, otherwise: Callable[[], object]) -> None:
        """Have a connection served without a thread for it, where there is a session that does so.

        Args:
            ends: The connection.
            destination: As the server sees it.
            origin: Who made it.
            otherwise: Called when nobody does; that takes `open_channel`, which waits, and tells why not.
        """
        link = self.best
        if link is not None and link.carrier is not None:
            link.carrier.carry(ends, destination, origin, _OPEN_S, otherwise)
        else:
            otherwise()

    def open_channel(self, destination: Endpoint, origin: Endpoint, timeout_s: float | None = None) -> Channel:
        """Open a stream, waiting through a reconnect where there is one.

        Args:
            destination: As the server sees it.
            origin: Who wants it.
            timeout_s: How long to wait in all; `hold_s` of the session unless said.

        Raises:
            ChannelRefused: The server could not pass it on.
            OSError: There was no session in time.
        """
        deadline_s = time.monotonic() + (self._hold_s if timeout_s is None else timeout_s)
        patience_s = _OPEN_S
        while True:
            link, began_s = self._link(deadline_s), time.monotonic()
            try:
                return link.session.open_channel(destination, origin, min(patience_s, max(0.1, deadline_s - began_s)))
            except (ChannelRefused, OSError) as error:
                if not isinstance(error, (DestinationSilent, OSError)) or time.monotonic() >= deadline_s:
                    self._tell(refused(destination, error))
                    raise
            self._link(deadline_s, doubted=link, since_s=began_s)
            patience_s *= 2

    def session(self, deadline_s: float) -> Session:
        """Wait for a session that answers.

        Args:
            deadline_s: By the monotonic clock.

        Raises:
            OSError: There was none in time, or there will be none.
        """
        return self._link(deadline_s).session

    def _link(self, deadline_s: float, doubted: Link | None = None, since_s: float = 0.0) -> Link:
        """Wait for a link that answers; a doubted one must have been heard since a moment."""
        with self._ready:
            while not self.over:
                link, now_s = self.best, time.monotonic()
                if link is not None and link.session.alive and (link is not doubted or link.heard_since(since_s)):
                    return link
                if now_s >= deadline_s:
                    raise TimeoutError("no connection to the server in time")
                self._ready.wait(min(deadline_s - now_s, _LOOK_S if link is not None else _SELDOM_S))
        raise ConnectionAbortedError("the tunnel has ended")


def refused(destination: Endpoint, error: Exception) -> ev.ConnectionRefused:
    """Return what is told of a connection that came to nothing."""
    steps = (error.next_step("en"), error.next_step("zh")) if isinstance(error, SetupError) else (None, None)
    advice = Text(en=steps[0], zh=steps[1]) if steps[0] and steps[1] else None
    return ev.ConnectionRefused(f"{destination.host}:{destination.port}", words_of(error), advice)


def words_of(error: Exception) -> Text:
    """Return what an error says, in both languages where it knows them."""
    if isinstance(error, SetupError):
        return error.as_text
    return Text(en=str(error), zh=str(error))
