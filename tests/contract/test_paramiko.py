"""The private names of paramiko that the engines rest on are there, and mean what they did."""

from __future__ import annotations

import inspect

import paramiko
from paramiko.packet import Packetizer


def test_a_transport_has_a_table_of_handlers_of_its_own() -> None:
    """Ours replace paramiko's in one transport alone, and are asked first."""
    source = inspect.getsource(paramiko.Transport.__init__)
    assert "self._handler_table = {" in source
    run = inspect.getsource(paramiko.Transport.run)
    assert run.index("in self._handler_table") < run.index("in self._channel_handler_table")


def test_a_message_waits_for_new_keys() -> None:
    """`_send_user_message` takes whatever has `asbytes`, and sends nothing while keys are exchanged."""
    assert "clear_to_send" in inspect.getsource(paramiko.Transport._send_user_message)
    assert "data.asbytes()" in inspect.getsource(Packetizer.send_message)


def test_what_was_read_beyond_the_greeting_is_kept() -> None:
    """Our reader starts with it."""
    assert "self.__remainder" in inspect.getsource(Packetizer.readline)
    assert hasattr(Packetizer(None), "_Packetizer__remainder")


def test_both_ends_of_a_connection_close_the_packets() -> None:
    """Which is how we are told of the end."""
    assert "self.packetizer.close()" in inspect.getsource(paramiko.Transport.stop_thread)
    assert "self.packetizer.close()" in inspect.getsource(paramiko.Transport.run)


def test_the_greeting_comes_before_our_wishes() -> None:
    """So a server that is far away is known as such when compression is asked for."""
    source = inspect.getsource(paramiko.Transport.run)
    assert source.index("self._check_banner()") < source.index("self._send_kex_init()")


def test_compression_comes_from_a_table_of_the_transports_own() -> None:
    """Ours stands in it, and is switched with the keys."""
    for activate in (paramiko.Transport._activate_inbound, paramiko.Transport._activate_outbound):
        source = inspect.getsource(activate)
        assert "self._compression_info[" in source
        assert source.index("bound_cipher(") < source.index("bound_compressor(")
    assert "self.preferred_compression" in inspect.getsource(paramiko.Transport._send_kex_init)
    assert '_filter_algorithm("compression")' in inspect.getsource(paramiko.Transport.preferred_compression.fget)
