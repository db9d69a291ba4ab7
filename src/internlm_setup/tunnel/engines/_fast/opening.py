"""Opening a session of the fast engine, through other servers where it must be."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any

from internlm_setup.core.ssh.ask import Asker
from internlm_setup.core.ssh.compression import Wish
from internlm_setup.core.ssh.connect import Manner, connect
from internlm_setup.core.ssh.dial import Dialled
from internlm_setup.core.ssh.transport import ClientTransport
from internlm_setup.tunnel.engines._fast.packets import FastPackets
from internlm_setup.tunnel.engines._fast.session import FastSession, FastStream, Unsuited
from internlm_setup.tunnel.engines._ssh.jump import StreamSocket, stream_onwards
from internlm_setup.tunnel.engines._ssh.session import SshSession
from internlm_setup.tunnel.model import Session, SessionSpec, State
from internlm_setup.tunnel.pump import Ends, Moved


def opened(
    spec: SessionSpec,
    ask: Asker,
    env: Mapping[str, str],
    tell: Callable[[State], object],
    dialled: Dialled | None,
) -> Session:
    """See `tunnel.model.Engine.open`; `dialled` is a connection to the first server, where there is one already."""
    far = dialled is not None and dialled.far
    compression: Wish = "on" if far and spec.compression == "auto" else spec.compression
    manner = Manner(ask, env, spec.accept_new, compression, FastPackets, _onwards, proved=lambda _: tell("auth"))
    return _session(connect(spec.host, manner, dialled and dialled.sock))


def _session(transport: ClientTransport) -> SshSession:
    try:
        return FastSession(transport)
    except Unsuited:
        return SshSession(transport)


def _onwards(transport: ClientTransport, host: str, port: int, patience_s: float) -> Any:
    stream = stream_onwards(_session(transport), host, port, patience_s)
    if not isinstance(stream, FastStream):
        return StreamSocket(stream)
    ours, theirs = socket.socketpair()
    stream.join(Ends(theirs, Moved(), bool))
    return ours
