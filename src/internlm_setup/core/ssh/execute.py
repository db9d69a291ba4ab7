"""One command on a server that we are logged in to."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from internlm_setup.core.ssh.errors import CommandRefused

PATIENCE_S = 20.0
_MOST_BYTES = 1 << 19  # of each; a server could go on for ever


class Transport(Protocol):
    """The part of `paramiko.Transport` that features may use."""

    def open_session(self, *, timeout: float) -> Any:
        """Open a channel for a command."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """How a command ended, and the little that it said, half a MiB of each stream at most."""

    exit_code: int
    out: str
    err: str


def execute(transport: Transport, command: str, given: str = "", patience_s: float = PATIENCE_S) -> Answer:
    """Run a command that says little, and wait for its end.

    Args:
        transport: Logged in.
        command: As the account's shell takes it, whichever shell that is.
        given: Its standard input.
        patience_s: For each answer of the server.

    Raises:
        CommandRefused: The server opened no channel, ran nothing, or stopped answering.
    """
    import paramiko

    try:
        with transport.open_session(timeout=patience_s) as channel:
            channel.settimeout(patience_s)
            channel.exec_command(command)
            with suppress(OSError):  # it may have its say and close before it has heard us out
                channel.sendall(given.encode())
                channel.shutdown_write()
            out, err = channel.makefile("rb").read(_MOST_BYTES), channel.makefile_stderr("rb").read(_MOST_BYTES)
            if not channel.status_event.wait(patience_s):
                raise TimeoutError
            return Answer(channel.exit_status, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))
    except (paramiko.SSHException, EOFError, OSError) as cause:
        raise CommandRefused(str(cause) or type(cause).__name__) from cause
