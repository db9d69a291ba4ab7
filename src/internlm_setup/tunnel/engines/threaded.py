"""paramiko with a thread for each direction of a stream: plain, and what the faster engines fall back to."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from internlm_setup.core.ssh.ask import Asker
from internlm_setup.core.ssh.connect import Manner, connect
from internlm_setup.core.ssh.transport import ClientTransport
from internlm_setup.tunnel.engines._ssh.jump import StreamSocket, stream_onwards
from internlm_setup.tunnel.engines._ssh.packets import BufferedPackets
from internlm_setup.tunnel.engines._ssh.session import SshSession
from internlm_setup.tunnel.model import Session, SessionSpec, State


class Threaded:
    """See `tunnel.model.Engine`."""

    id = "threaded"

    def open(self, spec: SessionSpec, ask: Asker, env: Mapping[str, str], tell: Callable[[State], object]) -> Session:
        """See `tunnel.model.Engine`."""
        manner = Manner(
            ask,
            env,
            spec.accept_new,
            spec.compression,
            BufferedPackets,
            _onwards,
            proved=lambda _: tell("auth"),
        )
        return SshSession(connect(spec.host, manner))


def _onwards(transport: ClientTransport, host: str, port: int, patience_s: float) -> StreamSocket:
    return StreamSocket(stream_onwards(SshSession(transport), host, port, patience_s))


ENGINE = Threaded()
