"""A port here that leads to a place which the server can reach."""

from __future__ import annotations

import socket

from internlm_setup.tunnel.model import Endpoint, Forward, Opener
from internlm_setup.tunnel.pump import Moved, pump


class Local:
    """Listens here."""

    id = "local"

    def serve(self, sock: socket.socket, origin: Endpoint, forward: Forward, opener: Opener, moved: Moved) -> bool:
        """Serve one connection to its end.

        Args:
            sock: The connection; it is closed in the end.
            origin: Who made it.
            forward: The forward whose port it came to.
            opener: Opens the stream.
            moved: Counted up.

        Returns:
            Whether both directions ended by themselves.

        Raises:
            ChannelRefused: The server opened no stream.
            OSError: The session is gone.
        """
        if forward.destination is None:
            raise AssertionError("a local forward leads somewhere")
        try:
            channel = opener(forward.destination, origin)
        except BaseException:
            sock.close()
            raise
        return pump(sock, channel, moved)


KIND = Local()
