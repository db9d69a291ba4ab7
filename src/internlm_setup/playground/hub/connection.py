"""One client's connection: calls are read and answered, replies sent as their delivery says."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate
from http import HTTPStatus
from typing import IO
from urllib.parse import unquote, urlsplit

from internlm_setup.playground.hub.faults import Faults, Pace
from internlm_setup.playground.hub.log import Request, RequestLog
from internlm_setup.playground.hub.message import Call, Origin, Reply, Span, read_call
from internlm_setup.playground.hub.tls import NO_LINGER, send_noise

BLOCK_BYTES = 1 << 20
_PACED_BLOCKS_PER_S = 20
_STATUS_LINE = b"HTTP/1.1 200 OK\r\n"
_NO_HTTP = b"SSH-2.0-OpenSSH_9.6\r\n"
_BIG_HEADER = b"Set-Cookie: portal=" + b"x" * (256 << 10) + b"\r\n"
_BETWEEN_DRIPS_S = 0.05


class Connection:
    """A kept-open connection; `serve` returns when either side is done with it."""

    def __init__(
        self,
        client: socket.socket,
        origin: Origin,
        answer: Callable[[Call], Reply],
        faults: Faults,
        log: RequestLog,
        closing: threading.Event,
    ) -> None:
        self._client = client
        self._origin = origin
        self._answer = answer
        self._faults = faults
        self._log = log
        self._closing = closing
        self._sent_bytes = 0

    def serve(self) -> None:
        """Answer calls one after the other until the connection ends."""
        with suppress(OSError), self._client.makefile("rb") as reader:
            self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while (call := read_call(reader, self._origin)) is not None:
                if not self._exchange(call):
                    break
        with suppress(OSError):
            self._client.close()

    def _exchange(self, call: Call) -> bool:
        """Answer one call; return whether the connection goes on."""
        reply = self._faults.spoil(call, self._answer(call))
        self._sent_bytes = 0
        try:
            return self._send(call, reply) and call.headers.get("connection", "").lower() != "close"
        finally:
            path = unquote(urlsplit(call.target).path)
            facts = (call.origin, reply.hub, call.method, path, call.query, call.headers)
            self._log.add(Request(*facts, reply.status, self._sent_bytes))

    def _send(self, call: Call, reply: Reply) -> bool:
        delivery = reply.delivery
        if delivery.head != "right":
            return self._send_odd_head(reply)
        head = _head(reply)
        if call.method == "HEAD":
            self._client.sendall(head)
            return True
        if isinstance(reply.content, bytes) and delivery == Reply().delivery:
            self._client.sendall(head + reply.content)
            self._count(len(reply.content))
            return True
        self._client.sendall(head)
        return self._send_body(reply) and self._end(reply)

    def _send_odd_head(self, reply: Reply) -> bool:
        """Send what is no head, or none; never a body."""
        match reply.delivery.head:
            case "reset":
                return self._reset()
            case "noise":
                self._client.sendall(_NO_HTTP)
            case "big":
                self._client.sendall(_STATUS_LINE + _BIG_HEADER + b"\r\n")
            case "drip":
                self._client.sendall(_STATUS_LINE)
                return self._repeat(b"X-", b"x")
            case "continues":
                return self._repeat(b"", b"HTTP/1.1 100 Continue\r\n\r\n")
            case "none" | "right":
                return self._wait_for_hang_up()
        return False

    def _repeat(self, first: bytes, again: bytes) -> bool:
        """Send a little now and then, until the client has had enough or the server is closed."""
        self._client.sendall(first)
        while not self._closing.wait(_BETWEEN_DRIPS_S):
            self._client.sendall(again)
        return False

    def _reset(self) -> bool:
        self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        return False

    def _send_body(self, reply: Reply) -> bool:
        delivery = reply.delivery
        start = reply.content.start if isinstance(reply.content, Span) else 0
        limit = reply.length if delivery.stop_after is None else min(delivery.stop_after, reply.length)
        own = [delivery.bytes_per_s, self._faults.limits.connection_bytes_per_s]
        paces = [Pace(rate) for rate in own if rate]
        with _opened(reply) as file:
            while (sent := self._sent_bytes) < limit:
                shared = self._faults.total_pace
                limiting = [*paces, shared] if shared is not None else paces
                size = min([limit - sent, BLOCK_BYTES, *map(_paced_block, limiting)])
                if not self._send_block(reply, file, start + sent, size):
                    return False
                delay_s = max((pace.delay_s(size) for pace in limiting), default=0.0)
                if delay_s > 0 and self._closing.wait(delay_s):
                    return False
        return True

    def _send_block(self, reply: Reply, file: IO[bytes], offset: int, size: int) -> bool:
        """Send one block of the body; False when the file has become shorter than it was."""
        delivery = reply.delivery
        flip_at = -1 if delivery.flip_at is None else delivery.flip_at - offset
        flip = 0 <= flip_at < size
        if isinstance(reply.content, Span) and not (flip or delivery.chunked):
            sent = self._client.sendfile(file, offset, size)
            self._count(sent)
            return sent == size
        file.seek(offset)
        block = bytearray(file.read(size))
        if flip:
            block[flip_at] ^= 1
        self._client.sendall(_chunk(bytes(block)) if delivery.chunked else block)
        self._count(len(block))
        return len(block) == size

    def _end(self, reply: Reply) -> bool:
        match reply.delivery.ending:
            case "stall":
                return self._wait_for_hang_up()
            case "reset":
                return self._reset()
            case "noise":
                send_noise(self._client)
                return False
            case "endless":
                return self._send_zeros()
            case "close":
                return False
            case "keep":
                pass
        if reply.delivery.chunked:
            self._client.sendall(b"0\r\n\r\n")
        return True

    def _send_zeros(self) -> bool:
        """Go on until the client has had enough or the server is closed."""
        zeros = _chunk(bytes(BLOCK_BYTES))
        while not self._closing.is_set():
            self._client.sendall(zeros)
            self._count(BLOCK_BYTES)
        return False

    def _wait_for_hang_up(self) -> bool:
        """Say nothing until the client gives up or the server is closed."""
        while self._client.recv(BLOCK_BYTES):
            pass
        return False

    def _count(self, sent_bytes: int) -> None:
        self._sent_bytes += sent_bytes
        self._log.count(sent_bytes)


def _chunk(block: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(block), block)


def _paced_block(pace: Pace) -> int:
    return max(1, int(pace.bytes_per_s / _PACED_BLOCKS_PER_S))


@contextmanager
def _opened(reply: Reply) -> Iterator[IO[bytes]]:
    if isinstance(reply.content, Span):
        with reply.content.file.open("rb", buffering=0) as file:
            yield file
    else:
        yield io.BytesIO(reply.content)


def _head(reply: Reply) -> bytes:
    try:
        reason = HTTPStatus(reply.status).phrase
    except ValueError:
        reason = "Unknown"
    headers = {"Date": formatdate(usegmt=True), **reply.headers}
    if reply.delivery.chunked:
        headers.pop("Content-Length", None)
        headers["Transfer-Encoding"] = "chunked"
    else:
        headers.setdefault("Content-Length", str(reply.length))
    lines = [f"HTTP/1.1 {reply.status} {reason}", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "replace")
