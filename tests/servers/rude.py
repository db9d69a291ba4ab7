"""A listener on 127.0.0.1 that does with each connection exactly what a test says, politeness included."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from servers.tls_proxy import write_certificate

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Kind: plain\r\nConnection: close\r\n\r\nhi"
KEPT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


@dataclass
class Listener:
    """Where it listens, and what came."""

    port: int
    received: list[bytes] = field(default_factory=list)
    callers: int = 0

    @property
    def url(self) -> str:
        """Its address for HTTP."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def https(self) -> str:
        """Its address for HTTPS."""
        return f"https://localhost:{self.port}"


@contextmanager
def listening(
    answer: bytes | None = OK, tls: ssl.SSLContext | None = None, answers: int | None = None
) -> Iterator[Listener]:
    """Read one block from every caller, then send `answer` and hang up; None keeps silent until the end.

    With `answers`, each caller gets so many; who then says one thing more is hung up on.
    """
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        listener = Listener(server.getsockname()[1])

        def talk(plain: socket.socket) -> None:
            with suppress(OSError), plain, tls.wrap_socket(plain, server_side=True) if tls else plain as caller:
                caller.settimeout(5)
                listener.callers += 1
                for _ in range(answers or 1):
                    listener.received.append(caller.recv(65536))
                    if answer is None:
                        over.wait(5)
                    else:
                        caller.sendall(answer)
                if answers:
                    listener.received.append(caller.recv(65536))

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=talk, args=(server.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listener
        finally:
            over.set()
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)


def closed_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def black_hole() -> Iterator[int]:
    """Yield a port whose queue is full, so that a further caller hears nothing at all."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        callers: list[Callable[[], None]] = []
        for _ in range(8):
            caller = socket.socket()
            callers.append(caller.close)
            caller.setblocking(False)
            caller.connect_ex(server.getsockname())
        try:
            yield server.getsockname()[1]
        finally:
            for close in callers:
                close()


def own_certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Make a certificate that nobody signed: the server's context, and the file that makes a client trust it."""
    trust, secret = write_certificate(folder, ("localhost",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trust, secret)
    return context, trust
