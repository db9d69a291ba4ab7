"""Proxies on loopback, each a thread a connection: HTTP (requests and CONNECT) and SOCKS 4, 4a and 5."""

from __future__ import annotations

import base64
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_BLOCK_BYTES = 1 << 16


@dataclass
class Proxy:
    """What a proxy was asked.

    Attributes:
        port: On 127.0.0.1.
        login: (user, password) that it wants, if any.
        names: Host names that only it can resolve.
        asked: Each target as it was named, `host:port`.
        refused: How many came without the right login.
    """

    port: int
    login: tuple[str, str] | None = None
    names: frozenset[str] = frozenset()
    asked: list[str] = field(default_factory=list)
    refused: int = 0

    def dial(self, host: str, port: int) -> socket.socket:
        """Connect to where somebody wants to go."""
        self.asked.append(f"{host}:{port}")
        return socket.create_connection(("127.0.0.1" if host in self.names else host, port), timeout=10)


Serve = Callable[[Proxy, socket.socket], None]


@contextmanager
def http_proxy(login: tuple[str, str] | None = None) -> Iterator[Proxy]:
    """Run an HTTP proxy until the block ends."""
    with _running(_serve_http, login, frozenset()) as proxy:
        yield proxy


@contextmanager
def socks_proxy(login: tuple[str, str] | None = None, names: frozenset[str] = frozenset()) -> Iterator[Proxy]:
    """Run a SOCKS proxy until the block ends."""
    with _running(_serve_socks, login, names) as proxy:
        yield proxy


@contextmanager
def _running(serve: Serve, login: tuple[str, str] | None, names: frozenset[str]) -> Iterator[Proxy]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        proxy = Proxy(listening.getsockname()[1], login, names)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listening.accept()
                    threading.Thread(target=_guarded, args=(serve, proxy, client), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=5)


def _guarded(serve: Serve, proxy: Proxy, client: socket.socket) -> None:
    with suppress(OSError, EOFError), client:
        serve(proxy, client)


def _serve_http(proxy: Proxy, client: socket.socket) -> None:
    """Serve one connection: one CONNECT, or one request after the other."""
    while head := _head(client):
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        method, target, version = lines[0].split(" ")
        if proxy.login and headers.get("proxy-authorization") != _basic(proxy.login):
            proxy.refused += 1
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            continue
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            with proxy.dial(host.strip("[]"), int(port)) as inside:
                client.sendall(b"HTTP/1.1 200 Connection Established\r\n\r\n")
                join(client, inside)
            return
        to = urlsplit(target)
        kept = [line for line in lines[1:] if not line.lower().startswith(("proxy-", "connection:"))]
        path = to._replace(scheme="", netloc="").geturl()
        with proxy.dial(to.hostname or "", to.port or 80) as inside:
            inside.sendall("\r\n".join([f"{method} {path} {version}", "Connection: close", *kept]).encode("latin-1"))
            inside.sendall(client.recv(int(headers["content-length"])) if "content-length" in headers else b"")
            status, _, rest = _head(inside).partition(b"\r\n")
            client.sendall(status + b"\r\nConnection: close\r\n" + rest)  # else a client may ask once more
            while block := inside.recv(_BLOCK_BYTES):
                client.sendall(block)
        return


def _head(client: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = client.recv(1)
        if not byte:
            return b""
        head += byte
    return head


def _basic(login: tuple[str, str]) -> str:
    return "Basic " + base64.b64encode(":".join(login).encode()).decode()


def _serve_socks(proxy: Proxy, client: socket.socket) -> None:
    """Speak RFC 1928 and 1929, or SOCKS 4 and 4a."""
    version = _exactly(client, 1)[0]
    host, port = _socks5(proxy, client) if version == 5 else _socks4(client)
    if not host:
        return
    try:
        inside = proxy.dial(host, port)
    except OSError:
        client.sendall(b"\x05\x05\x00\x01" + bytes(6) if version == 5 else b"\x00\x5b" + bytes(6))
        return
    with inside:
        client.sendall(b"\x05\x00\x00\x01" + bytes(6) if version == 5 else b"\x00\x5a" + bytes(6))
        join(client, inside)


def _socks5(proxy: Proxy, client: socket.socket) -> tuple[str, int]:
    _exactly(client, _exactly(client, 1)[0])
    client.sendall(b"\x05\x02" if proxy.login else b"\x05\x00")
    if proxy.login:
        _exactly(client, 1)
        given = tuple(_exactly(client, _exactly(client, 1)[0]).decode() for _ in range(2))
        client.sendall(b"\x01\x00" if given == proxy.login else b"\x01\x01")
        if given != proxy.login:
            proxy.refused += 1
            return "", 0
    kind = _exactly(client, 4)[3]
    if kind == 3:
        host = _exactly(client, _exactly(client, 1)[0]).decode()
    else:
        family, length = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
        host = socket.inet_ntop(family, _exactly(client, length))
    return host, struct.unpack("!H", _exactly(client, 2))[0]


def _socks4(client: socket.socket) -> tuple[str, int]:
    port, address = struct.unpack("!xH4s", _exactly(client, 7))
    _until_zero(client)
    if address[:3] == bytes(3) and address[3]:
        return _until_zero(client), port
    return socket.inet_ntoa(address), port


def _until_zero(client: socket.socket) -> str:
    found = b""
    while (byte := _exactly(client, 1)) != b"\0":
        found += byte
    return found.decode()


def _exactly(client: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        block = client.recv(count - len(found))
        if not block:
            raise EOFError
        found += block
    return found


def join(one: socket.socket, other: socket.socket) -> None:
    """Pass on what either side says, until both have said all."""
    back = threading.Thread(target=_pump, args=(other, one), daemon=True)
    back.start()
    _pump(one, other)
    back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while block := source.recv(_BLOCK_BYTES):
            sink.sendall(block)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
