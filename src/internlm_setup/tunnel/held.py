"""One tunnel from its beginning to its end: forwarder, session, services and control put together."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from internlm_setup.core.ssh.ask import Asker
from internlm_setup.tunnel import events as ev
from internlm_setup.tunnel.forwarder import Forwarder
from internlm_setup.tunnel.forwards import OPTIONS, written
from internlm_setup.tunnel.model import Engine, Forward, Session, SessionSpec
from internlm_setup.tunnel.records import Control
from internlm_setup.tunnel.services import Services
from internlm_setup.tunnel.status import Status
from internlm_setup.tunnel.supervisor import Supervisor


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a tunnel is to be held, besides whom it leads to.

    Attributes:
        wait_s: How long to keep trying before there was a first session.
        follow: Forward what begins to listen on the server.
        announce: Tell when a web service answers through the first forward.
    """

    wait_s: float = 0.0
    follow: bool = False
    announce: bool = False


class Tunnel:
    """A tunnel of this process."""

    def __init__(
        self,
        spec: SessionSpec,
        wishes: Wishes,
        engine: Engine,
        asker: Asker,
        env: Mapping[str, str],
        state: Path,
        tell: ev.Listener,
    ) -> None:
        """Prepare; nothing listens yet.

        Args:
            spec: Whom it leads to, and the forwards.
            wishes: How to hold it.
            engine: How sessions are made.
            asker: Asked in the thread that is in `run`.
            env: The environment.
            state: The state folder.
            tell: Told what happens, from any thread.
        """
        self._spec, self._state, self._tell = spec, state, tell
        self._since_s = time.time()
        self._supervisor = Supervisor(spec, engine, asker, env, self._hear, wait_s=wishes.wait_s)
        self._forwarder = Forwarder(self._supervisor.parking, tell)
        self._supervisor.remote, self._supervisor.up = self._forwarder.take, self._up
        self._services = Services(
            self._supervisor, self._forwarder, tell, spec.forwards, follow=wishes.follow, announce=wishes.announce
        )

    def run(self) -> None:
        """Listen, connect, and hold it until `stop` or an exception.

        Raises:
            PortBusy: Somebody else listens on a port of a forward.
            SetupError: What `Supervisor.run` raises.
        """
        try:
            for forward in self._spec.forwards:
                self._forwarder.open(forward)
            control = Control(self._state, self.status, self.stop)
            try:
                self._services.start()
                self._supervisor.run()
            finally:
                self._forwarder.close_all()  # whoever waits for the record to go may take the ports then
                control.close()
        finally:
            self._services.stop()
            self._forwarder.close_all()

    def stop(self) -> None:
        """End it; from any thread."""
        self._supervisor.stop()

    def status(self) -> Status:
        """Say how it stands."""
        counted, seen = self._forwarder.counted, self._services.seen
        link = self._supervisor.link
        there = (forward for forward in self._spec.forwards if forward.kind == "remote")
        return Status(
            pid=os.getpid(),
            since_s=self._since_s,
            server=server_words(self._spec),
            state=self._supervisor.state,
            ports=self._forwarder.ports,
            forwards=tuple(map(option_of, (*self._forwarder.local, *there))),
            rtt_s=link.rtt_s if link is not None else None,
            received_bytes=counted.received_bytes,
            sent_bytes=counted.sent_bytes,
            open_connections=counted.open,
            opened_connections=counted.opened,
            reconnects=max(0, self._supervisor.reconnects),
            listening=seen.listening if seen is not None else (),
            missing=seen.missing if seen is not None else (),
            others=seen.others if seen is not None else (),
        )

    def _hear(self, event: ev.Event) -> None:
        self._tell(event)
        if isinstance(event, ev.ConnectionRefused):
            self._services.look_soon()

    def _up(self, session: Session, first: bool) -> None:
        self._forwarder.ask(session, self._supervisor.fail if first else None)


def server_words(spec: SessionSpec) -> str:
    """Return `user@host port 33090`, the port only where it is not 22."""
    host = spec.host
    return f"{host.user}@{host.host}" + (f" port {host.port}" if host.port != 22 else "")


def option_of(forward: Forward) -> str:
    """Return a forward as OpenSSH writes it, such as `-L 6006:127.0.0.1:6006`."""
    return f"{OPTIONS[forward.kind]} {written(forward)}"
