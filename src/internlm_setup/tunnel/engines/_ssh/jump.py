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


class StreamSocket:
    """A stream used as the socket of another connection, which is how one goes through several servers."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._patience_s: float | None = None
        self._closed = False

    def settimeout(self, patience_s: float | None) -> None:
        """Set how long `recv` waits, in seconds."""
        self._patience_s = patience_s

    def recv(self, most_bytes: int) -> bytes:
        """See `socket.recv`."""
        return self._stream.recv(most_bytes, self._patience_s)

    def recv_into(self, buffer: memoryview) -> int:
        """See `socket.recv_into`."""
        data = self._stream.recv(len(buffer), self._patience_s)
        buffer[: len(data)] = data
        return len(data)

    def send(self, data: bytes) -> int:
        """See `socket.send`; it sends all."""
        self._stream.send_all(data)
        return len(data)

    def close(self) -> None:
        """See `socket.close`."""
        self._closed = True
        self._stream.close()
