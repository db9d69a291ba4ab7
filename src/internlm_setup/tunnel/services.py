"""Watches what listens on the server while a tunnel is held: for people, for `--auto`, and for `--open`."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from contextlib import suppress

from internlm_setup.core.errors import SetupError
from internlm_setup.core.text import Text
from internlm_setup.tunnel import events as ev
from internlm_setup.tunnel import health
from internlm_setup.tunnel.errors import PortBusy
from internlm_setup.tunnel.forwarder import Forwarder
from internlm_setup.tunnel.model import Endpoint, Forward, Session
from internlm_setup.tunnel.supervisor import Supervisor

_SOON_S, _LATER_S = 2.0, 15.0
_MOST_FOLLOWED = 64  # the server says what listens there
_UNKNOWN = Text(
    en="what listens on the server cannot be told: it runs no commands for us, or is no Linux",
    zh="无法得知服务器上有哪些程序在监听：它不为我们执行命令，或不是 Linux",
)


class Services:
    """Looks again and again; soon while something is missing or watched for, else now and then.

    Attributes:
        seen: What was told last; None before.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        forwarder: Forwarder,
        tell: ev.Listener,
        forwards: Sequence[Forward],
        *,
        follow: bool,
        announce: bool,
    ) -> None:
        """Take the tunnel; `follow` forwards what begins to listen, `announce` tells when a web service answers."""
        self._supervisor, self._forwarder, self._tell = supervisor, forwarder, tell
        self._follow, self._announce = follow, announce
        self._followed: dict[int, tuple[Forward, int]] = {}
        self._asked_for = forwards
        self._over, self._soon = threading.Event(), threading.Event()
        self._doubted: Session | None = None
        self._unknown: Session | None = None
        self._said_unknown = False
        self.seen: ev.ServiceSeen | None = None

    def start(self) -> None:
        """Begin to watch, from threads of its own."""
        threading.Thread(target=self._run, daemon=True, name="tunnel-services").start()
        if self._announce:
            threading.Thread(target=self._announced, daemon=True, name="tunnel-open").start()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        self._soon.set()

    def look_soon(self) -> None:
        """Something happened that may have to do with a service."""
        self._soon.set()

    def _run(self) -> None:
        with suppress(OSError):  # the tunnel has ended
            while not self._over.is_set():
                self._look(self._supervisor.parking.session(math.inf))
                busy = self._unknown is None and (self._follow or self.seen is None or self.seen.missing)
                self._soon.wait(_SOON_S if busy else _LATER_S)
                self._soon.clear()

    def _look(self, session: Session) -> None:
        if session is self._unknown:
            return
        places = health.look(session)
        if places is None:
            if session.alive:
                self._unanswered(session)
            return
        self._doubted = None
        listening, missing = health.judge(places, self._asked_for)
        others = health.services(places, (*listening, *missing))
        seen = ev.ServiceSeen(listening, missing, others)
        if seen != self.seen:
            self.seen = seen
            self._tell(seen)
        if self._follow:
            self._follow_ports(others[:_MOST_FOLLOWED])

    def _unanswered(self, session: Session) -> None:
        """Once may be a slow line, or that we slept; a server that is asked in vain twice is asked no more."""
        if session is not self._doubted:
            self._doubted = session
            return
        self._unknown = session
        if not self._said_unknown:
            self._said_unknown = True
            self._tell(ev.Noted(_UNKNOWN))

    def _follow_ports(self, ports: tuple[int, ...]) -> None:
        for port in ports:
            if port not in self._followed:
                self._open(port)
        for port in set(self._followed) - set(ports):
            forward, local_port = self._followed.pop(port)
            self._forwarder.close(forward)
            self._tell(ev.PortLeft(port, local_port))

    def _open(self, port: int) -> None:
        """Forward a port: to the same one here, or to a free one where that is taken."""
        for here in (port, 0):
            forward = Forward("local", Endpoint("", here), Endpoint("127.0.0.1", port))
            try:
                local_port = self._forwarder.open(forward)
            except PortBusy:
                continue
            except SetupError as error:
                self._tell(ev.Noted(error.as_text, warning=True))
                return
            self._followed[port] = (forward, local_port)
            self._tell(ev.PortFollowed(port, local_port))
            return

    def _announced(self) -> None:
        """Wait until a web service answers behind the first local forward, and tell that once."""
        port = next(
            (p for f, p in zip(self._forwarder.local, self._forwarder.ports, strict=False) if f.kind == "local"), None
        )
        with suppress(OSError):
            while port is not None and not self._over.is_set():
                self._supervisor.parking.session(math.inf)
                if health.answers(port):
                    self._tell(ev.ServiceAnswers(f"http://127.0.0.1:{port}"))
                    return
                self._over.wait(_SOON_S / 2)
