"""Servers that mean harm, most of them before they have proved who they are: nothing grows, and nobody is asked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import paramiko
import pytest

from internlm_setup.core.errors import SetupError
from internlm_setup.core.ssh.ask import Login, NobodyToAsk, Prompt
from internlm_setup.core.ssh.connect import Manner, Patience, connect
from internlm_setup.core.ssh.connect_errors import ConnectionLost, HandshakeFailed, NoCommonAlgorithm
from internlm_setup.core.ssh.model import HostSpec
from internlm_setup.core.ssh.packets import Packets
from internlm_setup.tunnel.engines._fast.packets import FastPackets
from internlm_setup.tunnel.engines._ssh.packets import BufferedPackets
from servers.rude import listening

pytestmark = pytest.mark.loopback
PATIENCE = Patience(greeting_s=5, handshake_s=5, login_s=20, channel_s=5)
EXT_INFO, INFO_REQUEST = 7, 60
MANY = 300_000
_KEY = paramiko.ECDSAKey.generate()


class Hostile(paramiko.ServerInterface):  # type: ignore[misc]  # paramiko has no types
    """Asks for more answers than there is room for."""

    def __init__(self, transport: paramiko.Transport) -> None:
        self.transport = transport

    def get_allowed_auths(self, username: str) -> str:
        del username
        return "keyboard-interactive"

    def check_auth_interactive(self, username: str, submethods: str) -> int:
        del username, submethods
        self.transport._send_message(message(INFO_REQUEST, "", "", "", MANY))
        return int(paramiko.AUTH_FAILED)


class Asked(NobodyToAsk):
    """Counts the questions."""

    prompts = 0

    def answers(self, login: Login, title: str, prompts: Sequence[Prompt]) -> list[str] | None:
        del login, title
        self.prompts += len(prompts)
        return None


def message(kind: int, *fields: object) -> paramiko.Message:
    said = paramiko.Message()
    said.add_byte(bytes((kind,)))
    said.add(*fields)
    return said


@contextmanager
def hostile(folder: Path, prepare: Callable[[paramiko.Transport], object]) -> Iterator[HostSpec]:
    """Serve one connection; yields whom to connect to."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        transports: list[paramiko.Transport] = []

        def accept() -> None:
            with suppress(OSError, EOFError, paramiko.SSHException):
                transport = paramiko.Transport(door.accept()[0])
                transports.append(transport)
                transport.add_server_key(_KEY)
                prepare(transport)
                transport.start_server(server=Hostile(transport))
                transport._send_user_message(message(EXT_INFO, MANY if prepare is too_much_to_know else 0))

        threading.Thread(target=accept, daemon=True).start()
        port = door.getsockname()[1]
        known = folder / "known_hosts"
        known.write_text(f"[127.0.0.1]:{port} {_KEY.get_name()} {_KEY.get_base64()}\n")
        yield HostSpec("127.0.0.1", port, "me", known_hosts=(known,))
        for transport in transports:
            transport.close()


def too_much_to_know(transport: paramiko.Transport) -> None:
    del transport


@pytest.mark.parametrize("packets", [Packets, BufferedPackets, FastPackets])
def test_a_packet_of_four_gigabytes(packets: type[Packets]) -> None:
    """No room is made for it, though nobody knows yet who says so."""
    length = (0xFFFFFFFC).to_bytes(4, "big")
    with listening(b"SSH-2.0-x\r\n" + length + bytes(12)) as rude, pytest.raises(HandshakeFailed) as caught:
        connect(HostSpec("127.0.0.1", rude.port, "me"), Manner(NobodyToAsk(), {}, packetizer=packets))
    assert "a packet of" in caught.value.words


def test_a_list_without_an_end(tmp_path: Path) -> None:
    """What the server tells of itself is not read for hours."""
    with hostile(tmp_path, too_much_to_know) as spec, pytest.raises(ConnectionLost):
        connect(spec, Manner(NobodyToAsk(), {}, patience=PATIENCE))


def test_questions_without_an_end(tmp_path: Path) -> None:
    """They are not put together, and nobody is asked."""
    ask = Asked()
    with hostile(tmp_path, bool) as spec, pytest.raises(SetupError):
        connect(spec, Manner(ask, {}, patience=PATIENCE))
    assert ask.prompts == 0


def test_a_broken_digest(tmp_path: Path) -> None:
    """MD5 is no way to tell whether a packet is the server's, if it offers nothing else."""

    def old(transport: paramiko.Transport) -> None:
        transport.get_security_options().ciphers = ["aes128-ctr"]
        transport.get_security_options().digests = ["hmac-md5", "hmac-md5-96", "hmac-sha1-96"]

    with hostile(tmp_path, old) as spec, pytest.raises(NoCommonAlgorithm):
        connect(spec, Manner(NobodyToAsk(), {}, patience=PATIENCE))
