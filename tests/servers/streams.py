"""Small services behind a tunnel, and the tunnel held open by a test itself, without a supervisor."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from internlm_setup.core import registry
from internlm_setup.core.ssh.ask import NobodyToAsk
from internlm_setup.core.ssh.model import HostSpec
from internlm_setup.tunnel.errors import ChannelRefused
from internlm_setup.tunnel.listeners import Listener
from internlm_setup.tunnel.model import Endpoint, Engine, Forward, Session, SessionSpec
from internlm_setup.tunnel.pump import Carrying, Ends, Moved
from servers.openssh import Sshd
from servers.ssh_person import spec_of

ENGINES: dict[str, Engine] = registry.plugins("internlm_setup.tunnel.engines", "ENGINE")
BLOCK = bytes(range(256)) * 256


def session_to(server: Sshd, engine: Engine, *jumps: HostSpec) -> Session:
    """Connect with the server's own test key."""
    spec = replace(spec_of(server, server.folder / "key"), jumps=jumps)
    return engine.open(SessionSpec(spec, ()), NobodyToAsk(), {}, lambda _: None)


@contextmanager
def service(handle: Callable[[socket.socket], None], host: str = "127.0.0.1") -> Iterator[Endpoint]:
    """Serve every connection in a thread of its own; yields where."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family, backlog=128) as listening:

        def serve(sock: socket.socket) -> None:
            with sock, suppress(OSError):
                handle(sock)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield Endpoint(host, listening.getsockname()[1])
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)


def echo(sock: socket.socket) -> None:
    """Send everything back; end when the other side does."""
    while data := sock.recv(65536):
        sock.sendall(data)


def digest_at_end(sock: socket.socket) -> None:
    """Read until the other side ends its direction, then answer with the hash of all of it: half-close is needed."""
    sock.sendall(digest_of(sock))


def source(size: int) -> Callable[[socket.socket], None]:
    """Send so many bytes, then end."""

    def handle(sock: socket.socket) -> None:
        for begin in range(0, size, len(BLOCK)):
            sock.sendall(BLOCK[: size - begin])

    return handle


def digest_of(sock: socket.socket) -> bytes:
    """Read to the end and return the hash, in hexadecimal."""
    digest = hashlib.sha256()
    while data := sock.recv(65536):
        digest.update(data)
    return digest.hexdigest().encode()


def expected_digest(size: int) -> bytes:
    """Return the hash of what `source` sends."""
    return hashlib.sha256((BLOCK * (size // len(BLOCK) + 1))[:size]).hexdigest().encode()


def write_until_full(sock: socket.socket, patience_s: float = 0.5) -> int:
    """Send what `source` sends until nobody takes any more for a while; returns how much that was."""
    sent, before = 0, sock.gettimeout()
    sock.settimeout(patience_s)
    with suppress(TimeoutError):
        while True:
            sent += sock.send(BLOCK[sent % len(BLOCK) :])
    sock.settimeout(before)
    return sent


def ask(where: Endpoint, words: bytes) -> bytes:
    """Connect, say something, end our direction, and return the answer."""
    with socket.create_connection((where.host, where.port), 20) as sock:
        sock.sendall(words)
        sock.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: sock.recv(65536), b""))


@contextmanager
def held(session: Session, forward: Forward, patience_s: float = 10.0) -> Iterator[Endpoint]:
    """Hold a forward that listens here, as a tunnel does; yields where."""
    listener = Listener(forward.bind)
    kind = registry.plugin("internlm_setup.tunnel.kinds", "KIND", forward.kind)

    def open_channel(destination: Endpoint, origin: Endpoint) -> object:
        return session.open_channel(destination, origin, patience_s)

    def serve(sock: socket.socket, origin: Endpoint) -> None:
        with suppress(ChannelRefused, OSError):
            kind.serve(sock, origin, forward, open_channel, Moved())

    def begin(sock: socket.socket, origin: Endpoint) -> None:
        def in_thread() -> None:
            threading.Thread(target=serve, args=(sock, origin), daemon=True, name="served").start()

        if isinstance(session, Carrying) and forward.destination is not None:
            session.carry(Ends(sock, Moved(), bool), forward.destination, origin, patience_s, in_thread)
        else:
            in_thread()

    def accept() -> None:
        while found := listener.accept():
            begin(*found)

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield listener.endpoints[0]
    finally:
        listener.close()
        accepting.join()


@contextmanager
def held_there(session: Session, *forwards: Forward) -> Iterator[list[Endpoint]]:
    """Hold forwards that listen at the server; yields where."""
    kind = registry.plugin("internlm_setup.tunnel.kinds", "KIND", "remote")
    ports = {session.listen_there(each.bind): each for each in forwards}

    def accept() -> None:
        while found := session.accept():
            bind, channel = found
            threading.Thread(target=kind.serve, args=(channel, ports[bind.port], Moved()), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield [Endpoint(each.bind.host or "127.0.0.1", port) for port, each in ports.items()]


def local(destination: Endpoint) -> Forward:
    """A forward from a free port here."""
    return Forward("local", Endpoint("", 0), destination)
