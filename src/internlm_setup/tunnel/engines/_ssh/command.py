"""One small command on the server."""

from __future__ import annotations

import time

from internlm_setup.tunnel.engines._ssh.stream import Refused, Stream


def run(stream: Stream, command: str, most_bytes: int, timeout_s: float) -> bytes | None:
    """Run a command on a stream that is being opened, and return what it printed; see `tunnel.model.Session.run`."""
    late_s = time.monotonic() + timeout_s
    said = bytearray()
    try:
        if not stream.wait_open(timeout_s):
            return None
        stream.request("exec", command)
        stream.end_writing()
        while len(said) < most_bytes:
            data = stream.recv(most_bytes - len(said), max(0.0, late_s - time.monotonic()))
            if not data:
                break
            said += data
    except (Refused, OSError):
        return None
    finally:
        stream.close()
    return None if stream.request_refused else bytes(said)
