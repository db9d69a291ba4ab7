"""The forwards in force: who listens here and there, and who serves the connections that came."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from internlm_setup.core import registry
from internlm_setup.core.errors import SetupError
from internlm_setup.core.text import Text
from internlm_setup.tunnel import events as ev
from internlm_setup.tunnel import kinds
from internlm_setup.tunnel.errors import CannotListenThere, ChannelRefused, NothingHere
from internlm_setup.tunnel.listeners import Listener
from internlm_setup.tunnel.model import Channel, Endpoint, Forward, Session
from internlm_setup.tunnel.parking import Parking, refused
from internlm_setup.tunnel.pump import Ends, Moved

_ASK_AGAIN_S = 2.0
_GOODBYE_S = 1.0
_THERE = Text(en="the server listens on its port {port}", zh="服务器正在监听其端口 {port}")


@dataclass(frozen=True, slots=True)
class Counted:
    """What went through, and how many connections there are and were."""

    received_bytes: int
    sent_bytes: int
    open: int
    opened: int


class Forwarder:
    """Every forward's listening side. Safe for several threads."""

    def __init__(self, parking: Parking, tell: ev.Listener) -> None:
        """Take what opens streams, and who is told."""
        self._parking, self._tell = parking, tell
        self._lock = threading.Lock()
        self._listeners: dict[Forward, tuple[Listener, threading.Thread]] = {}
        self._remote: list[Forward] = []
        self._chosen: dict[Endpoint, Forward] = {}  # where the server chose the port
        self._moving: dict[int, Moved] = {}
        self._done = Moved()
        self._opened = 0
        self._over = threading.Event()

    def open(self, forward: Forward) -> int:
        """Put a forward in force; one that listens there waits for a session.

        Returns:
            The port here; 0 for one that listens there.

        Raises:
            PortBusy: Somebody else listens here.
            CannotListen: The system does not let us.
        """
        if forward.kind == "remote":
            self._remote.append(forward)
            return 0
        listener = Listener(forward.bind)
        thread = threading.Thread(target=self._accept, args=(listener, forward), daemon=True, name="tunnel-listener")
        with self._lock:
            self._listeners[forward] = (listener, thread)
        thread.start()
        return listener.port

    def close(self, forward: Forward) -> None:
        """Stop listening for a forward; connections that came go on."""
        with self._lock:
            listener, thread = self._listeners.pop(forward)
        listener.close()
        thread.join(_GOODBYE_S)

    def close_all(self) -> None:
        """Stop listening everywhere."""
        self._over.set()
        with self._lock:
            listeners = list(self._listeners.values())
            self._listeners.clear()
        for listener, _ in listeners:
            listener.close()
        for _, thread in listeners:
            thread.join(_GOODBYE_S)

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports here, in the order in which they were opened."""
        with self._lock:
            return tuple(listener.port for listener, _ in self._listeners.values())

    @property
    def local(self) -> tuple[Forward, ...]:
        """The forwards that listen here."""
        with self._lock:
            return tuple(self._listeners)

    @property
    def counted(self) -> Counted:
        """What went through so far."""
        with self._lock:
            every = (self._done, *self._moving.values())
            received, sent = sum(m.received_bytes for m in every), sum(m.sent_bytes for m in every)
            return Counted(received, sent, len(self._moving), self._opened)

    def ask(self, session: Session, fail: Callable[[Exception], None] | None) -> None:
        """Ask a new session's server to listen where forwards want it to, from threads of its own.

        Args:
            session: The session.
            fail: Told why the server does not; None asks again and again, since a session that broke off may hold the
                port for a while.
        """
        for forward in self._remote:
            threading.Thread(target=self._ask, args=(session, forward, fail), daemon=True, name="tunnel-ask").start()

    def take(self, bind: Endpoint, channel: Channel) -> None:
        """Serve a stream that somebody opened at the server."""
        forward = next((f for f in self._remote if f.bind == bind), self._chosen.get(bind))
        if forward is None:  # its server may be faster than `_ask`
            free = [f for f in self._remote if f.bind == Endpoint(bind.host, 0)]
            forward = free[0] if len(free) == 1 else None
        if forward is None:
            channel.close()
        else:
            moved, done = self._begin()
            _in_thread(partial(self._serve_here, channel, forward, moved), done)

    def _serve_here(self, channel: Channel, forward: Forward, moved: Moved) -> None:
        try:
            _kind(forward).serve(channel, forward, moved)
        except NothingHere as error:
            self._tell(refused(Endpoint(error.host, error.port), error))

    def _ask(self, session: Session, forward: Forward, fail: Callable[[Exception], None] | None) -> None:
        said = False
        while session.alive and not self._over.is_set():
            try:
                port = session.listen_there(forward.bind)
            except CannotListenThere as refusal:
                if fail is not None:
                    fail(refusal)
                    return
                if not said:
                    self._tell(ev.Noted(refusal.as_text, warning=True))
                said = True
                self._over.wait(_ASK_AGAIN_S)
            except OSError:
                return
            else:
                if not forward.bind.port:
                    self._chosen[Endpoint(forward.bind.host, port)] = forward
                self._tell(ev.Noted(_THERE.fill(port=port)))
                return

    def _accept(self, listener: Listener, forward: Forward) -> None:
        kind = _kind(forward)
        while (came := listener.accept()) is not None:
            self._welcome(kind, forward, *came)

    def _welcome(self, kind: Any, forward: Forward, sock: socket.socket, origin: Endpoint) -> None:
        moved, done = self._begin()
        serve = partial(kind.serve, sock, origin, forward, self._parking.open_channel, moved)
        in_thread = partial(_in_thread, serve, done)
        if forward.destination is None:
            in_thread()
        else:
            self._parking.carry(Ends(sock, moved, done), forward.destination, origin, in_thread)

    def _begin(self) -> tuple[Moved, Callable[[object], None]]:
        """Count a connection; what is returned counts what it moves, and is told of its end."""
        moved = Moved()
        with self._lock:
            self._opened += 1
            number = self._opened
            self._moving[number] = moved

        def done(_: object) -> None:
            with self._lock:
                del self._moving[number]
                self._done.received_bytes += moved.received_bytes
                self._done.sent_bytes += moved.sent_bytes

        return moved, done


def _in_thread(serve: Callable[[], object], done: Callable[[object], None]) -> None:
    """Serve one connection in a thread of its own."""

    def run() -> None:
        try:
            with suppress(ChannelRefused, SetupError, OSError):
                serve()
        finally:
            done(None)

    threading.Thread(target=run, daemon=True, name="tunnel-connection").start()


def _kind(forward: Forward) -> Any:
    return registry.plugin(kinds.__name__, "KIND", forward.kind)
