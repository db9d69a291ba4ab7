"""What the tunnel's engines need of paramiko besides its documented interface: names, and who calls what."""

from __future__ import annotations

import inspect
import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import paramiko
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from paramiko.packet import NeedRekeyException, Packetizer

from internlm_setup.core.ssh.host_keys import HostKeys
from internlm_setup.core.ssh.model import HostSpec
from internlm_setup.core.ssh.transport import ClientTransport
from internlm_setup.tunnel.engines._fast.packets import FastPackets
from internlm_setup.tunnel.engines._fast.session import FastSession, Unsuited
from servers.sealed import NONCE, OURS, THEIRS


@pytest.fixture
def transport() -> Iterator[Any]:
    """A client that has said nothing yet."""
    ours, theirs = socket.socketpair()
    made = ClientTransport(ours, FastPackets, HostKeys(HostSpec("box")), [])
    yield made
    made.packetizer.close()
    theirs.close()


def test_a_transport_has_what_we_look_at(transport: Any) -> None:
    """Whether data may be sent, and who handles which message."""
    assert isinstance(transport.clear_to_send, threading.Event)
    assert transport.clear_to_send_lock.acquire(blocking=False)
    transport.clear_to_send_lock.release()
    assert transport.in_kex is False
    assert isinstance(transport._handler_table, dict)
    assert callable(transport._send_user_message)
    assert isinstance(transport.packetizer, FastPackets)


def test_packets_have_what_we_use(transport: Any) -> None:
    """What was read past the greeting, and the wish for new keys."""
    assert transport.packetizer._Packetizer__remainder == b""
    assert not transport.packetizer.need_rekey()
    transport.packetizer._trigger_rekey()
    assert transport.packetizer.need_rekey()


@pytest.mark.parametrize("direction", ["in", "out"])
def test_keys_are_given_as_we_take_them(transport: Any, direction: str) -> None:
    """AES-GCM's key and first nonce come by name, and in the type that we seal with."""
    given: dict[str, Any] = {}
    setattr(transport.packetizer, f"set_{direction}bound_cipher", lambda **named: given.update(named))
    transport.local_cipher = transport.remote_cipher = "aes128-gcm@openssh.com"
    transport.local_mac = transport.remote_mac = "hmac-sha2-256"
    transport.local_compression = transport.remote_compression = "none"
    transport.K, transport.H, transport.session_id = 1, b"h" * 32, b"s" * 32
    transport.kex_engine = SimpleNamespace(hash_algo=None)
    transport._send_message = lambda _: None
    getattr(transport, f"_activate_{direction}bound")()
    assert given["aead"] is True
    assert isinstance(given["block_engine"], AESGCM)
    assert len(given[f"iv_{direction}"]) == 12


def test_what_is_overridden_is_called() -> None:
    """The methods that our packets replace are still paramiko's, and still called from its loop."""
    for name in ("read_message", "send_message", "read_all", "write_all", "close", "reset_seqno_in"):
        assert inspect.isfunction(getattr(Packetizer, name)), name
    for name in ("set_inbound_compressor", "set_outbound_compressor", "need_rekey"):
        assert inspect.isfunction(getattr(Packetizer, name)), name
    loop = inspect.getsource(paramiko.Transport.run)
    assert "self.packetizer.read_message()" in loop
    assert "NeedRekeyException" in loop
    assert issubclass(NeedRekeyException, Exception)
    assert "self.packetizer.send_message" in inspect.getsource(paramiko.Transport._send_message)


@pytest.mark.parametrize("name", ["clear_to_send", "clear_to_send_lock", "in_kex", "NeedRekeyException"])
def test_a_paramiko_that_lacks_a_name(transport: Any, name: str) -> None:
    """The plane is not attached then, and the engine takes the threaded session instead."""
    packets = transport.packetizer
    packets.set_outbound_cipher(OURS, 16, None, 16, None, aead=True, iv_out=NONCE)
    packets.set_inbound_cipher(THEIRS, 16, None, 16, None, aead=True, iv_in=NONCE)
    assert packets.sealed
    owner: Any = paramiko.packet if name == "NeedRekeyException" else transport
    held = getattr(owner, name)
    delattr(owner, name)
    try:
        with pytest.raises(Unsuited):
            FastSession(transport)
    finally:
        setattr(owner, name, held)
    assert packets._plane is None


def test_a_paramiko_that_gives_no_nonce(transport: Any) -> None:
    """It seals itself, as before, and so the threaded session is taken."""
    transport.packetizer.set_outbound_cipher(OURS, 16, None, 16, None, aead=True)
    assert not transport.packetizer.sealed
