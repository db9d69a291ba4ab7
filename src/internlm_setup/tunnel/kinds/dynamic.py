"""A SOCKS proxy here: each connection says itself where it leads to. Names are resolved by the server."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from typing import Protocol

from internlm_setup.tunnel.errors import (
    ChannelRefused,
    DestinationSilent,
    ForwardingProhibited,
    NothingListens,
)
from internlm_setup.tunnel.model import Endpoint, Forward, Opener
from internlm_setup.tunnel.pump import Moved, pump

_PATIENCE_S = 10.0
_LONGEST_NAME = 255
_CONNECT, _IPV4, _NAME, _IPV6 = 1, 1, 3, 4
_GRANTED, _FAILED, _PROHIBITED, _UNREACHABLE, _REFUSED, _LATE, _NO_COMMAND, _NO_ADDRESS = 0, 1, 2, 4, 5, 6, 7, 8


class Dynamic:
    """Listens here, and speaks SOCKS 5 without a password, and 4 and 4a."""

    id = "dynamic"

    def serve(self, sock: socket.socket, origin: Endpoint, forward: Forward, opener: Opener, moved: Moved) -> bool:
        """Serve one connection to its end; see `kinds.local`. One that speaks no SOCKS is closed."""
        del forward
        try:
            sock.settimeout(_PATIENCE_S)
            talk = _begin(sock)
        except (_NotSocks, OSError):
            sock.close()
            return False
        try:
            channel = opener(talk.destination, origin)
        except BaseException as cause:
            with suppress(OSError), sock:
                talk.answer(_code(cause))
            raise
        try:
            talk.answer(_GRANTED)
            sock.settimeout(None)
        except OSError:
            channel.close()
            sock.close()
            return False
        return pump(sock, channel, moved)


class _NotSocks(Exception):
    """The program says something else."""


class _Talk(Protocol):
    """What a program wants."""

    destination: Endpoint

    def answer(self, code: int) -> None:
        """Tell it how that went."""
        ...


def _begin(sock: socket.socket) -> _Talk:
    version = _read(sock, 1)[0]
    if version not in {4, 5}:
        raise _NotSocks
    return _Five(sock) if version == 5 else _Four(sock)


class _Five:
    """Source: RFC 1928."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        methods = _read(sock, _read(sock, 1)[0])
        sock.sendall(b"\5\0" if 0 in methods else b"\5\xff")
        version, command, _, kind = _read(sock, 4)
        if 0 not in methods or version != 5:
            raise _NotSocks
        self.destination = Endpoint(self._host(kind), *struct.unpack(">H", _read(sock, 2)))
        if command != _CONNECT:
            self._refuse(_NO_COMMAND)

    def answer(self, code: int) -> None:
        """See `_Talk`."""
        self._sock.sendall(struct.pack(">BBBBIH", 5, code, 0, _IPV4, 0, 0))

    def _refuse(self, code: int) -> None:
        self.answer(code)
        raise _NotSocks

    def _host(self, kind: int) -> str:
        if kind == _IPV4:
            return socket.inet_ntop(socket.AF_INET, _read(self._sock, 4))
        if kind == _IPV6:
            return socket.inet_ntop(socket.AF_INET6, _read(self._sock, 16))
        if kind != _NAME:
            self._refuse(_NO_ADDRESS)
        return _name(_read(self._sock, _read(self._sock, 1)[0]))


class _Four:
    """Source: SOCKS: A protocol for TCP proxy across firewalls, and SOCKS 4A, both by Ying-Da Lee."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        command, port, address = struct.unpack(">BH4s", _read(sock, 7))
        self._line()  # who asks
        named = address[:3] == bytes(3) and address[3]
        self.destination = Endpoint(_name(self._line()) if named else socket.inet_ntop(socket.AF_INET, address), port)
        if command != _CONNECT:
            self.answer(_NO_COMMAND)
            raise _NotSocks

    def answer(self, code: int) -> None:
        """See `_Talk`."""
        self._sock.sendall(struct.pack(">BBHI", 0, 91 if code else 90, 0, 0))

    def _line(self) -> bytes:
        line = b""
        while not line.endswith(b"\0"):
            if len(line) > _LONGEST_NAME:
                raise _NotSocks
            line += _read(self._sock, 1)
        return line[:-1]


def _read(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise _NotSocks
        data += more
    return data


def _name(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise _NotSocks from None


def _code(cause: BaseException) -> int:
    """Say in SOCKS why there is no stream."""
    words = cause.words.lower() if isinstance(cause, ChannelRefused) else ""
    if isinstance(cause, NothingListens) and "refused" in words:
        return _REFUSED
    if isinstance(cause, DestinationSilent) or "timed out" in words:
        return _LATE
    if isinstance(cause, ForwardingProhibited):
        return _PROHIBITED
    return _UNREACHABLE if isinstance(cause, NothingListens) else _FAILED


KIND = Dynamic()
