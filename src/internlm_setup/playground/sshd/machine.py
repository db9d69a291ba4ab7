"""The stand-in dev machine: where it listens, whom it lets in, and everything that can be wrong with it."""

from __future__ import annotations

import base64
import errno
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from internlm_setup.core.ssh import keys
from internlm_setup.playground.hub.server import Listener

USER = "root"


class DevMachine:
    """An SSH server with one account, `root`, and a page on its port 6006.

    Use as a context manager; it listens from `__enter__` on. Nobody can run a program or open a file through it: the
    page is made up when it is asked for, and a command is answered from what is known here.

    Every attribute may be changed while it serves.

    Example:
        with DevMachine([Path.home() / ".ssh"]) as machine:
            subprocess.run(["ssh", "-N", "-L", "6006:127.0.0.1:6006", "-p", str(machine.port), "root@127.0.0.1"])

    Attributes:
        keys: Folders; whoever has the key to a `.pub` in one of them may log in.
        ports: Where the page is. Nothing listens on any other.
        away: New connections are hung up on, as while a machine restarts.
        refuses_keys: No key is right.
        refuses_forwarding: Forwarding is prohibited.
        refuses_commands: No command is run.
    """

    def __init__(self, keys_in: Sequence[Path], port: int = 0) -> None:
        """Prepare it; `port` is where it listens if nobody else does, else it takes a free one."""
        self.keys = list(keys_in)
        self.ports = {6006}
        self.away = self.refuses_keys = self.refuses_forwarding = self.refuses_commands = False
        self._wanted = port
        self._moving = threading.Event()
        self._moving.set()
        self._key = keys.make("ed25519")
        self._listener: Listener | None = None

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return self._open.port

    @property
    def known_line(self) -> str:
        """The line of `known_hosts` that makes it known."""
        return f"[127.0.0.1]:{self.port} ssh-ed25519 {base64.b64encode(self._key.blob).decode()}\n"

    @property
    def host_key(self) -> bytes:
        """Its private key, in OpenSSH's format."""
        return self._key.private

    @property
    def frozen(self) -> bool:
        """Whether it neither reads nor sends anything, and yet no connection ends."""
        return not self._moving.is_set()

    @frozen.setter
    def frozen(self, frozen: bool) -> None:
        (self._moving.clear if frozen else self._moving.set)()

    def cut(self) -> None:
        """End every connection that is up."""
        self._open.cut()

    def change_host_key(self) -> None:
        """Have another key from the next connection on, as a recreated machine does."""
        self._key = keys.make("ed25519")

    def lets_in(self, user: str, blob: bytes) -> bool:
        """Say whether a public key, as SSH sends it, opens the account."""
        return user == USER and not self.refuses_keys and base64.b64encode(blob).decode() in self._known_keys()

    def start(self) -> None:
        """Begin to listen; `close` ends it."""
        try:
            self._listener = Listener(self._serve, lambda client: client, self._wanted)
        except OSError as error:
            if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                raise
            self._listener = Listener(self._serve, lambda client: client)

    def close(self) -> None:
        """End every connection and free the port."""
        self._open.close()
        self.frozen = False

    def __enter__(self) -> DevMachine:  # noqa: PYI034  # Self needs Python 3.11
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _open(self) -> Listener:
        if self._listener is None:
            raise AssertionError("it was not started")
        return self._listener

    def _known_keys(self) -> set[str]:
        found = set[str]()
        for path in (path for folder in self.keys for path in folder.glob("*.pub")):
            with suppress(OSError):
                found.update(path.read_text(encoding="utf-8", errors="replace").split()[1:2])
        return found

    def _serve(self, client: socket.socket) -> None:
        from internlm_setup.playground.sshd.connection import serve

        if not self.away:
            serve(client, self, self._moving)
