"""paramiko with a thread for each direction of a stream: plain, and what the faster engines fall back to."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import paramiko

from internlm_setup.core.ssh.ask import Asker
from internlm_setup.core.ssh.connect import Manner, connect
from internlm_setup.core.ssh.transport import ClientTransport
from internlm_setup.tunnel.engines._ssh.packets import BufferedPackets
from internlm_setup.tunnel.engines._ssh.session import SshSession
from internlm_setup.tunnel.engines._ssh.stream import StreamSocket
from internlm_setup.tunnel.errors import ChannelRefused, ForwardingProhibited
from internlm_setup.tunnel.model import Endpoint, Session, SessionSpec, State

_PROHIBITED, _CONNECT_FAILED = 1, 2
_HERE = Endpoint("127.0.0.1", 0)


class Threaded:
    """See `tunnel.model.Engine`."""

    id = "threaded"

    def open(self, spec: SessionSpec, ask: Asker, env: Mapping[str, str], tell: Callable[[State], object]) -> Session:
        """See `tunnel.model.Engine`."""
        manner = Manner(ask, env, spec.accept_new, BufferedPackets, _onwards, proved=lambda _: tell("auth"))
        return SshSession(connect(spec.host, manner))


def _onwards(transport: ClientTransport, host: str, port: int, patience_s: float) -> StreamSocket:
    """Go on from a jump host through a stream of ours, which outlives neither side."""
    try:
        return StreamSocket(SshSession(transport).open_channel(Endpoint(host, port), _HERE, patience_s))
    except ChannelRefused as cause:
        code = _PROHIBITED if isinstance(cause, ForwardingProhibited) else _CONNECT_FAILED
        raise paramiko.ChannelException(code, cause.words) from cause


ENGINE = Threaded()
