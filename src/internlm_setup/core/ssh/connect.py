"""Making a connection: name, TCP or program, host key, login; through other servers where it must be.

Every wait has an end, and every failure is one of `connect_errors`, `login_errors` or `errors`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import paramiko

from internlm_setup.core.errors import SetupError
from internlm_setup.core.ssh.ask import Asker
from internlm_setup.core.ssh.authenticate import authenticate
from internlm_setup.core.ssh.compression import Wish
from internlm_setup.core.ssh.connect_errors import (
    ConnectionLost,
    HandshakeFailed,
    HostUnreachable,
    JumpRefused,
    NoCommonAlgorithm,
    NotSsh,
    ProxyCommandFailed,
    ServerSilent,
)
from internlm_setup.core.ssh.dial import dial
from internlm_setup.core.ssh.host_keys import HostKeys, Shown
from internlm_setup.core.ssh.model import HostSpec
from internlm_setup.core.ssh.packets import Packets
from internlm_setup.core.ssh.proxy import Proxy
from internlm_setup.core.ssh.transport import ClientTransport, end_all
from internlm_setup.core.text import Text

_LONGEST_WORDS = 200
_PROHIBITED = 1
_KINDS = (
    ("kex_algo_list", "preferred_kex", Text(en="key exchange", zh="密钥交换算法")),
    ("server_key_algo_list", "preferred_keys", Text(en="type of host key", zh="主机密钥类型")),
    ("server_encrypt_algo_list", "preferred_ciphers", Text(en="cipher", zh="加密算法")),
    ("server_mac_algo_list", "preferred_macs", Text(en="message authentication code", zh="消息认证码")),
    ("server_compress_algo_list", "preferred_compression", Text(en="compression", zh="压缩算法")),
)
_FULL = ("Exceeded MaxStartups", "Not allowed at this time")  # how sshd says that it has too many callers
_NOT_FROM_THERE = Text(en="the jump host could not connect to it", zh="跳板机无法连接到它")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long each step may take, in seconds; names and TCP have `core.reach`'s patience."""

    greeting_s: float = 10.0
    handshake_s: float = 10.0
    login_s: float = 30.0
    channel_s: float = 10.0


def direct_tcpip(transport: paramiko.Transport, host: str, port: int, patience_s: float) -> Any:
    """Open a connection from a server onwards: one of paramiko's channels, used as a socket."""
    return transport.open_channel("direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=patience_s)


@dataclass(frozen=True, slots=True)
class Manner:
    """How to connect, whoever it is to.

    Attributes:
        ask: Whom to ask for passwords and about new host keys.
        env: The environment: where the agent is, and what a ProxyCommand sees.
        accept_new: Whether a host key that was never seen is taken unasked.
        compress: Whether what goes to and from the last server is compressed.
        packetizer: What reads and writes packets.
        onwards: How a jump host connects to the next one; what it returns is used as a socket.
        patience: When to give up.
        proved: Told of each server when it has proved who it is, before the login.
    """

    ask: Asker
    env: Mapping[str, str]
    accept_new: bool = False
    compress: Wish = "off"
    packetizer: type[Packets] = Packets
    onwards: Callable[[ClientTransport, str, int, float], Any] = direct_tcpip
    patience: Patience = Patience()
    proved: Callable[[HostSpec], object] = bool


def connect(spec: HostSpec, manner: Manner, sock: Any = None) -> ClientTransport:
    """Connect and log in, through the jump hosts where there are any.

    Args:
        spec: Whom to reach.
        manner: How.
        sock: A connection to the first server that is there already; it is closed with ours.

    Returns:
        A transport that is logged in. Closing it, or its end, ends what it runs over too.

    Raises:
        UnavailableError: Nobody was reached; trying again may help.
        DeniedError: The host key, or the login; trying again does not help.
        ProtocolError: What answered does not speak SSH as we do.
        CannotRead: A file of known hosts is there and cannot be read.
        CannotWrite: A new host key was accepted and cannot be written down.
    """
    way = _Way(sock, [sock.close] if sock is not None else [])
    plain = replace(manner, compress="off")
    for jump, to in pairwise((*spec.jumps, spec)):
        way = _onwards(_connect_one(jump, plain, way), jump, to, manner)
    return _connect_one(spec, manner, way)


@dataclass(frozen=True, slots=True)
class _Way:
    """What a connection runs over, and how that is ended."""

    sock: Any
    endings: list[Callable[[], object]]
    proxy: Proxy | None = None


def _connect_one(spec: HostSpec, manner: Manner, way: _Way) -> ClientTransport:
    transport = None
    try:
        known = HostKeys(spec)
        if way.sock is None:
            way = _start(spec, manner)
        transport = ClientTransport(way.sock, manner.packetizer, known, way.endings)
        transport.compress(manner.compress)
        _shake_hands(transport, spec, manner.patience, way.proxy)
        key = transport.get_remote_server_key()
        shown = Shown(key.get_name(), key.asbytes(), transport.certificate)
        known.check(shown, manner.ask, time.time(), accept_new=manner.accept_new)
        manner.proved(spec)
        transport.auth_timeout = manner.patience.login_s
        authenticate(transport, spec, manner.ask, manner.env)
    except BaseException:
        if transport is not None:
            transport.close()
            transport.packetizer.complete_handshake()  # its timer would hold up the end of the process
        end_all(way.endings)
        raise
    return transport


def _start(spec: HostSpec, manner: Manner) -> _Way:
    """Begin the way to the first server."""
    if spec.proxy_command is not None:
        proxy = Proxy(spec.proxy_command, manner.env)
        return _Way(proxy.sock, [proxy.sock.close, proxy.close], proxy)
    sock = dial(spec)
    return _Way(sock, [sock.close])


def _onwards(transport: ClientTransport, jump: HostSpec, to: HostSpec, manner: Manner) -> _Way:
    """Go on from a jump host to the next server."""
    try:
        sock = manner.onwards(transport, to.host, to.port, manner.patience.channel_s)
    except BaseException as cause:
        transport.close()
        if isinstance(cause, paramiko.ChannelException):
            if cause.code == _PROHIBITED:
                raise JumpRefused(jump.host, to.host, to.port) from cause
            raise HostUnreachable(to.host, to.port, "jump", _NOT_FROM_THERE) from cause
        if isinstance(cause, (paramiko.SSHException, OSError, EOFError)):
            raise ConnectionLost(jump.host, jump.port) from cause
        raise
    return _Way(sock, [sock.close, transport.close])


def _shake_hands(transport: ClientTransport, spec: HostSpec, patience: Patience, proxy: Proxy | None) -> None:
    done = threading.Event()
    transport.banner_timeout = patience.greeting_s
    transport.handshake_timeout = patience.handshake_s
    transport.start_client(event=done)
    done.wait(patience.greeting_s + patience.handshake_s)
    if transport.initial_kex_done and transport.is_active():
        return
    cause = transport.get_exception()
    ended = proxy.ended() if proxy is not None else None
    if ended is not None:
        raise ProxyCommandFailed(spec.alias or spec.host, *ended) from cause
    raise _trouble(transport, spec, patience, cause) from cause


def _trouble(transport: ClientTransport, spec: HostSpec, patience: Patience, cause: Exception | None) -> SetupError:
    """Name what kept us from a common key."""
    host, port = spec.host, spec.port
    greeting = transport.packetizer.greeting
    if greeting and not any(line.startswith("SSH-") for line in greeting):
        words = greeting[0][:_LONGEST_WORDS]
        return ConnectionLost(host, port, f": {words}") if words.startswith(_FULL) else NotSsh(host, port, words)
    if isinstance(cause, paramiko.IncompatiblePeer) and transport.theirs:
        return _no_common(transport, host, port)
    if not greeting and isinstance(getattr(cause, "__context__", None), TimeoutError):
        return ServerSilent(host, port, patience.greeting_s)
    if transport.is_active() or transport.packetizer.handshake_timed_out():
        return ServerSilent(host, port, patience.handshake_s)
    if not greeting or cause is None or isinstance(cause, (EOFError, OSError)):
        return ConnectionLost(host, port, f": {transport.farewell}" if transport.farewell else "")
    return HandshakeFailed(host, port, str(cause)[:_LONGEST_WORDS])


def _no_common(transport: ClientTransport, host: str, port: int) -> SetupError:
    for theirs, ours, kind in _KINDS:
        offered, known = transport.theirs.get(theirs, []), getattr(transport, ours)
        if not set(offered) & set(known):
            return NoCommonAlgorithm(host, port, kind, ", ".join(offered), ", ".join(known))
    raise AssertionError("the lists do have something in common")
