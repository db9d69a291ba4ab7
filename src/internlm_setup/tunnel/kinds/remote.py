"""A port of the server that leads to a place which this machine can reach."""

from __future__ import annotations

from internlm_setup.core import reach
from internlm_setup.tunnel.errors import NothingHere
from internlm_setup.tunnel.model import Channel, Forward
from internlm_setup.tunnel.pump import Moved, pump


class Remote:
    """Listens there: `Session.listen_there`, then a stream at a time from `Session.accept`."""

    id = "remote"

    def serve(self, channel: Channel, forward: Forward, moved: Moved) -> bool:
        """Serve one stream to its end.

        Returns:
            Whether both directions ended by themselves.

        Raises:
            NothingHere: Nobody answers at the destination.
        """
        if forward.destination is None:
            raise AssertionError("a remote forward leads somewhere")
        host, port = forward.destination.host, forward.destination.port
        try:
            sock = reach.connect_any(reach.resolve(host, port), host)
        except reach.Unreachable as error:
            channel.close()
            raise NothingHere(host, port, error.cause) from error
        return pump(sock, channel, moved)


KIND = Remote()
