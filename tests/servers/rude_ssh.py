"""An SSH server that lets everybody in and then breaks the rules as a test says: what OpenSSH never does."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import paramiko
from paramiko.packet import Packetizer

from internlm_setup.core.ssh.ask import NobodyToAsk
from internlm_setup.core.ssh.model import HostSpec
from internlm_setup.tunnel.model import Engine, Session, SessionSpec


class RudeServer(paramiko.ServerInterface):  # type: ignore[misc]  # paramiko has no types
    """The other side of one connection.

    Attributes:
        transport: To say things with.
        answers: Streams are opened when it is set.
        rewrites: What becomes of messages that it sends, by their kind.
        deaf: Whether it reads nothing any more.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.answers = threading.Event()
        self.rewrites: dict[int, Callable[[bytes], bytes]] = {}
        self.deaf = False
        self.transport = _Transport(self, sock)
        self.transport.add_server_key(_KEY)
        self.transport.start_server(server=self, event=threading.Event())

    def check_auth_none(self, username: str) -> int:
        del username
        return int(paramiko.AUTH_SUCCESSFUL)

    def get_allowed_auths(self, username: str) -> str:
        del username
        return "none"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        del kind, chanid
        return int(paramiko.OPEN_SUCCEEDED)

    def check_channel_direct_tcpip_request(self, chanid: int, origin: object, destination: object) -> int:
        del chanid, origin, destination
        self.answers.wait(20)
        return int(paramiko.OPEN_SUCCEEDED)

    def say(self, kind: int, *fields: object) -> None:
        """Send a message, if there is still somebody to hear it."""
        message = paramiko.Message()
        message.add_byte(bytes((kind,)))
        message.add(*fields)
        with suppress(EOFError):
            self.transport._send_user_message(message)

    def hears(self, *kinds: int) -> threading.Event:
        """Return what is set when a message of one of these kinds comes."""
        heard = threading.Event()

        def hear(message: Any) -> None:
            del message
            heard.set()

        self.transport._handler_table.update(dict.fromkeys(kinds, hear))
        return heard


class _Transport(paramiko.Transport):  # type: ignore[misc]
    def __init__(self, server: RudeServer, sock: socket.socket) -> None:
        super().__init__(sock, packetizer_class=_Packets)
        self._server = self.packetizer.server = server

    def _send_message(self, data: paramiko.Message) -> None:
        said = data.asbytes()
        rewritten = paramiko.Message()
        rewritten.add_bytes(self._server.rewrites.get(said[0], bytes)(said))
        super()._send_message(rewritten)


class _Packets(Packetizer):  # type: ignore[misc]
    server: RudeServer

    def read_message(self) -> Any:
        while self.server.deaf and not self.closed:
            time.sleep(0.05)
        return super().read_message()


@contextmanager
def rude_session(folder: Path, engine: Engine) -> Iterator[tuple[Session, RudeServer]]:
    """Connect to such a server; yields both sides."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        port = listening.getsockname()[1]
        servers: list[RudeServer] = []

        def accept() -> None:
            with suppress(OSError):
                servers.append(RudeServer(listening.accept()[0]))

        threading.Thread(target=accept, daemon=True).start()
        known = folder / "known_hosts"
        known.write_text(f"[127.0.0.1]:{port} {_KEY.get_name()} {_KEY.get_base64()}\n")
        spec = SessionSpec(HostSpec("127.0.0.1", port, "me", known_hosts=(known,)), ())
        session = engine.open(spec, NobodyToAsk(), {}, lambda _: None)
        try:
            yield session, servers[0]
        finally:
            session.close()
            servers[0].transport.close()


_KEY = paramiko.ECDSAKey.generate()
