"""Going on from a server to the next one, through a stream of ours."""

from __future__ import annotations

import paramiko

from internlm_setup.tunnel.engines._ssh.session import SshSession
from internlm_setup.tunnel.engines._ssh.stream import Stream
from internlm_setup.tunnel.errors import ChannelRefused, ForwardingProhibited
from internlm_setup.tunnel.model import Endpoint

_PROHIBITED, _CONNECT_FAILED = 1, 2
_HERE = Endpoint("127.0.0.1", 0)


def stream_onwards(session: SshSession, host: str, port: int, patience_s: float) -> Stream:
    """Open a stream to the next server; it outlives neither side.

    Raises:
        ChannelException: The server opens none, as `core.ssh.connect` takes it.
        DestinationSilent: It did not say so in time.
        OSError: The session is gone.
    """
    try:
        return session.open_channel(Endpoint(host, port), _HERE, patience_s)
    except ChannelRefused as cause:
        code = _PROHIBITED if isinstance(cause, ForwardingProhibited) else _CONNECT_FAILED
        raise paramiko.ChannelException(code, cause.words) from cause
