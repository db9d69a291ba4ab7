"""Reaching a host at all: resolving and connecting with patience, and naming what went wrong.

Failures are named here, once, for every library: DNS, refused, time-out, TLS, proxy.
"""

from __future__ import annotations

import errno
import os
import queue
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from typing import Any

from internlm_setup.core.errors import UnavailableError
from internlm_setup.core.text import Text

DNS_PATIENCE_S = 4.0
CONNECT_PATIENCE_S = 4.5
STAGGER_S = 0.25

CAUSES = {
    "dns": Text(en="its name cannot be resolved (DNS)", zh="无法解析域名（DNS）"),
    "dns-timeout": Text(
        en="no DNS server answered within {seconds:.0f} s",
        zh="DNS 服务器在 {seconds:.0f} 秒内没有应答",
    ).fill(seconds=DNS_PATIENCE_S),
    "refused": Text(en="the connection was refused", zh="连接被拒绝"),
    "time-out": Text(en="no answer in time (time-out)", zh="连接超时，没有应答"),
    "no-route": Text(en="there is no network route to it", zh="没有到达它的网络路由"),
    "tls": Text(en="its TLS certificate was not accepted", zh="它的 TLS 证书不被信任"),
    "tls-failed": Text(en="the TLS connection failed", zh="TLS 连接失败"),
    "proxy": Text(en="the proxy failed", zh="代理不可用"),
    "closed": Text(en="the connection was closed before an answer", zh="连接在应答之前被关闭"),
}


_NO_ROUTE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
HUNG_UP = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
_CLOSED = {"RemoteProtocolError", "ProtocolError", "NetworkError", "IncompleteRead"}


@dataclass(eq=False)
class Unreachable(UnavailableError):
    """Nobody at `host` gave a usable answer. `cause_id` is a key of `CAUSES`."""

    code = "core.unreachable"
    text = Text(en="cannot reach {host}: {cause}{detail}", zh="无法连接 {host}：{cause}{detail}")
    hint = Text(
        en="check the network, or the proxy variables HTTPS_PROXY and NO_PROXY: `internlm-setup config show`",
        zh="请检查网络，或代理变量 HTTPS_PROXY 与 NO_PROXY：`internlm-setup config show`",
    )
    host: str
    cause_id: str
    cause: Text
    detail: str = ""


def unreachable(host: str, cause_id: str, detail: str = "") -> Unreachable:
    """Build the error for one of the `CAUSES`."""
    return Unreachable(host, cause_id, CAUSES[cause_id], f" ({detail})" if detail else "")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Walk an exception, its causes, and the `reason` and arguments that HTTP libraries nest."""
    todo: list[object] = [error]
    seen: set[int] = set()
    while todo:
        one = todo.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        todo += [getattr(one, "reason", None), one.__cause__, one.__context__, *one.args]


def diagnose(error: BaseException) -> tuple[str, str] | None:
    """Name what a network exception of any library really was.

    Returns:
        A key of `CAUSES` and a short detail, or None when nothing in its chain is a network failure.
    """
    vague: tuple[str, str] | None = None
    for one in _chain(error):
        plain = _plain_cause(one)
        if plain is not None:
            return plain
        name = type(one).__name__
        if isinstance(one, TimeoutError) or "Timeout" in name:
            vague = vague or ("time-out", "")
        elif isinstance(one, HUNG_UP) or name in _CLOSED:
            vague = vague or ("closed", "")
    return vague


def _plain_cause(error: BaseException) -> tuple[str, str] | None:
    """Name an exception that says by itself what happened, whatever it was wrapped in."""
    name = type(error).__name__
    if isinstance(error, ssl.SSLError) and not isinstance(error, HUNG_UP):
        cause_id = "tls" if isinstance(error, ssl.SSLCertVerificationError) else "tls-failed"
        return cause_id, str(getattr(error, "verify_message", None) or error.reason or "")
    if isinstance(error, Unreachable) or "ProxyError" in name:
        return getattr(error, "cause_id", "proxy"), ""
    if isinstance(error, socket.gaierror) or name == "NameResolutionError":
        return "dns", ""
    if isinstance(error, ConnectionRefusedError):
        return "refused", ""
    if isinstance(error, OSError) and error.errno in _NO_ROUTE:
        return "no-route", ""
    return None


Address = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]


def resolve(host: str, port: int) -> list[Address]:
    """Resolve a name within `DNS_PATIENCE_S`.

    The C library's resolver has no deadline of its own, so it runs in a thread that is left behind when it is late.
    """
    answers: queue.SimpleQueue[list[Address] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))  # type: ignore[arg-type]
        except (OSError, UnicodeError) as error:
            answers.put(error if isinstance(error, OSError) else OSError(str(error)))

    threading.Thread(target=ask, daemon=True, name="resolve").start()
    try:
        answer = answers.get(timeout=DNS_PATIENCE_S)
    except queue.Empty:
        raise unreachable(host, "dns-timeout") from None
    if isinstance(answer, OSError):
        raise unreachable(host, "dns") from answer
    return answer


def connect_any(addresses: list[Address], host: str, patience_s: float = CONNECT_PATIENCE_S) -> socket.socket:
    """Connect to the first address that answers; each later one starts 0.25 s after the one before (RFC 8305).

    Raises:
        Unreachable: All failed, or none answered within `patience_s`.
    """
    deadline_s, waiting = time.monotonic() + patience_s, list(addresses)
    last: OSError = TimeoutError()
    with closing(selectors.DefaultSelector()) as trying, ExitStack() as losers:
        while waiting or trying.get_map():
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                last = TimeoutError()  # whatever else failed at once, this one is the reason
                break
            try:
                if waiting:
                    _begin(waiting.pop(0), trying, losers)
                for key, _ in trying.select(min(STAGGER_S, left_s) if waiting else left_s):
                    trying.unregister(key.fileobj)
                    return _connected(key.fileobj)
            except OSError as error:
                last = error
    cause, detail = diagnose(last) or ("time-out", "")
    raise unreachable(host, cause, detail) from last


def _begin(address: Address, trying: selectors.BaseSelector, losers: ExitStack) -> None:
    """Begin to connect, without waiting for an answer."""
    family, kind, proto, _, where = address
    sock = losers.enter_context(socket.socket(family, kind, proto))
    sock.setblocking(False)
    with suppress(BlockingIOError):
        sock.connect(where)
    trying.register(sock, selectors.EVENT_WRITE)


def _connected(sock: Any) -> socket.socket:
    """Take a socket that was answered from those that are closed; raise what the answer was, when it was no good."""
    number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if number:
        raise OSError(number, os.strerror(number))
    found = socket.socket(fileno=sock.detach())
    found.setblocking(True)
    return found
