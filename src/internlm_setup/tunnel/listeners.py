"""The sockets that programs here connect to. They are never closed before the end, whatever the session does."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from internlm_setup.core.text import Text
from internlm_setup.tunnel.errors import CannotListen, PortBusy
from internlm_setup.tunnel.model import Endpoint

_LOOPBACK = ("127.0.0.1", "::1")
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  # only when `-g` or `*` asks for it
_QUEUE = 128
_NO_SUCH_FAMILY = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT}
_MOST_TRIES = 16
_BREATH_S = 0.05
_LISTENING = "0A"  # as /proc has it
_HOLDER = Text(en=" ({name}, pid {pid})", zh="（{name}，进程 {pid}）")


class Listener:
    """One or two sockets, for both families of addresses, that are used as one.

    Attributes:
        endpoints: Where it listens.
    """

    def __init__(self, bind: Endpoint) -> None:
        """Listen.

        Args:
            bind: See `tunnel.model.Endpoint`; port 0 takes a free one, the same in both families.

        Raises:
            PortBusy: Somebody listens there.
            CannotListen: The system does not let us.
        """
        with ExitStack() as stack:
            sockets = _bound(bind)
            for sock in sockets:
                stack.enter_context(sock)
            self._wake, waking = socket.socketpair()
            stack.enter_context(self._wake)
            self._waking = stack.enter_context(waking)
            self._selector = stack.enter_context(selectors.DefaultSelector())
            for sock in (*sockets, waking):
                self._selector.register(sock, selectors.EVENT_READ)
            self.endpoints = tuple(Endpoint(*sock.getsockname()[:2]) for sock in sockets)
            self._stack = stack.pop_all()
        self._lock = threading.Lock()
        self._waits = self._over = False

    @property
    def port(self) -> int:
        """The port, the same everywhere."""
        return self.endpoints[0].port

    def accept(self) -> tuple[socket.socket, Endpoint] | None:
        """Wait for a connection and return it with where it came from; None after `close`. For one thread."""
        while self._may_wait():
            for key, _ in self._selector.select():
                if key.fileobj is self._waking:
                    self._stack.close()
                    return None
                try:
                    sock, origin = key.fileobj.accept()  # type: ignore[union-attr]  # all others are sockets
                except OSError:  # it went away again, or there is no descriptor left for it
                    time.sleep(_BREATH_S)
                    continue
                sock.settimeout(None)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._waits = False
                return sock, Endpoint(*origin[:2])
        return None

    def close(self) -> None:
        """End it, and whoever waits in `accept`."""
        with self._lock:
            if self._over:
                return
            self._over = True
            if self._waits:
                self._wake.send(b"\0")
            else:
                self._stack.close()

    def _may_wait(self) -> bool:
        with self._lock:
            self._waits = not self._over
            return self._waits


def _bound(bind: Endpoint) -> list[socket.socket]:
    hosts: Sequence[str] = {"": _LOOPBACK, "localhost": _LOOPBACK, "*": _EVERYWHERE}.get(bind.host, (bind.host,))
    tries = _MOST_TRIES if bind.port == 0 else 1
    while True:
        tries -= 1
        try:
            return _on_each(hosts, bind.port)
        except PortBusy:
            if not tries:
                raise


def _on_each(hosts: Sequence[str], port: int) -> list[socket.socket]:
    """Listen on all of them; a family of addresses that this system lacks is left out."""
    sockets: list[socket.socket] = []
    with ExitStack() as stack:
        for host in hosts:
            try:
                sockets.append(stack.enter_context(_listening(host, port)))
            except OSError as cause:
                if cause.errno not in _NO_SUCH_FAMILY or (host == hosts[-1] and not sockets):
                    raise _trouble(host, port, cause) from cause
            else:
                port = port or sockets[0].getsockname()[1]
        stack.pop_all()
    return sockets


def _listening(host: str, port: int) -> socket.socket:
    family, kind, proto, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    sock = socket.socket(family, kind, proto)
    try:
        if os.name == "nt":
            sock.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_EXCLUSIVEADDRUSE"), 1)  # noqa: B009
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(where)
        sock.listen(_QUEUE)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _trouble(host: str, port: int, cause: OSError) -> PortBusy | CannotListen:
    if cause.errno == errno.EADDRINUSE:
        holder = _holder(port)
        words = Text(en="", zh="") if holder is None else _HOLDER.fill(name=holder[0], pid=holder[1])
        return PortBusy(host, port, words)
    return CannotListen(host, port, cause.strerror or str(cause))


def _holder(port: int, proc: Path = Path("/proc")) -> tuple[str, str] | None:
    """Return the name and number of the program that listens on a port, where the system shows it to us."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port, proc)}
    if not sockets:
        return None
    for process in proc.glob("[0-9]*"):
        with suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                with suppress(OSError):
                    if str(descriptor.readlink()) in sockets:
                        words = (process / "cmdline").read_bytes().split(b"\0")[0].decode("utf-8", "replace")
                        return Path(words).name, process.name
    return None


def _inodes(port: int, proc: Path) -> set[str]:
    found = set()
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (proc / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(fields[9])
    return found
