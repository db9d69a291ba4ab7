"""The TLS of a server on loopback: a handshake as it should be, or broken in one of the ways that handshakes break."""

from __future__ import annotations

import os
import socket
import ssl
import struct
from contextlib import suppress

from internlm_setup.playground.hub.message import Greeting

NO_LINGER = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
PATIENCE_S = 10.0
_HELLO_BYTES = 4096
_HANDSHAKE_FAILURE = bytes((21, 3, 3, 0, 2, 2, 40))  # RFC 5246 section 7.2: alert, TLS 1.2, length 2, fatal, 40
_BROKEN_RECORD = bytes((23, 3, 3, 0, 64)) + bytes(64)  # application data that no key fits


def greet(client: socket.socket, context: ssl.SSLContext, greeting: Greeting) -> ssl.SSLSocket | None:
    """Shake hands with a client; None when that failed, as it was meant to or not."""
    client.settimeout(PATIENCE_S)
    with suppress(OSError):
        if greeting == "right":
            secure = context.wrap_socket(client, server_side=True)
            secure.settimeout(None)
            return secure
        client.recv(_HELLO_BYTES)
        if greeting == "alert":
            client.sendall(_HANDSHAKE_FAILURE)
        else:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    return None


def send_noise(client: socket.socket) -> None:
    """Put bytes on the wire that no key of this connection fits; on a plain connection they are just wrong bytes."""
    with suppress(OSError):
        os.write(client.fileno(), _BROKEN_RECORD)
