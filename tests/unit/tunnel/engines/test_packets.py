"""Sealed packets: what was sealed comes out again, cut at any byte; what is not the peer's ends the connection."""

from __future__ import annotations

import hashlib
import random
import socket
import threading
import time
import zlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from internlm_setup.tunnel.engines._fast.codec import (
    LONGEST_BYTES,
    PAYLOAD_AT,
    BadPacket,
    Sealer,
    Unsealer,
    wire_bytes,
)
from servers.sealed import NONCE, OURS, THEIRS, Line, Plain, about, data

KEYS = st.sampled_from([OURS, Plain(OURS), AESGCM(b"k" * 32)])
PAYLOADS = st.lists(st.binary(min_size=1, max_size=400), min_size=1, max_size=8)
IGNORE = 2


def sealed(sealer: Sealer, payload: bytes) -> bytes:
    slot, out = memoryview(bytearray(len(payload) + 64)), memoryview(bytearray(len(payload) + 64))
    slot[PAYLOAD_AT : PAYLOAD_AT + len(payload)] = payload
    return bytes(out[: sealer.seal(slot, len(payload), out)])


@given(KEYS, PAYLOADS, st.binary(min_size=12, max_size=12))
def test_what_we_seal_is_what_the_standard_says(key: Any, payloads: list[bytes], nonce: bytes) -> None:
    """AES-GCM itself opens it: the length in the open, the rest whole blocks, a nonce that counts in 8 bytes."""
    sealer = Sealer(key, nonce)
    for number, payload in enumerate(payloads):
        packet = sealed(sealer, payload)
        count = (int.from_bytes(nonce[4:], "big") + number) % 2**64
        plain = key.decrypt(nonce[:4] + count.to_bytes(8, "big"), packet[4:], packet[:4])
        assert len(plain) % 16 == 0
        assert int.from_bytes(packet[:4], "big") == len(plain)
        assert plain[0] >= 4
        assert plain[1 : len(plain) - plain[0]] == payload


@given(KEYS, PAYLOADS, st.binary(min_size=12, max_size=12))
def test_what_the_peer_seals_is_opened(key: Any, payloads: list[bytes], nonce: bytes) -> None:
    """Each payload comes out as it went in, whichever way `cryptography` offers."""
    sealer, unsealer = Sealer(key, nonce), Unsealer(key, nonce)
    for payload in payloads:
        packet = memoryview(sealed(sealer, payload))
        assert wire_bytes(packet[:4]) == len(packet)
        assert bytes(unsealer.unseal(packet, memoryview(bytearray(len(packet))))) == payload


@given(PAYLOADS, st.integers(0), st.integers(1, 255))
def test_a_packet_that_was_changed(payloads: list[bytes], at: int, change: int) -> None:
    """One byte that differs, anywhere, and it is no packet."""
    sealer, unsealer = Sealer(OURS, NONCE), Unsealer(OURS, NONCE)
    packet = bytearray(sealed(sealer, payloads[0]))
    packet[4 + at % (len(packet) - 4)] ^= change
    with pytest.raises(BadPacket):
        unsealer.unseal(memoryview(packet), memoryview(bytearray(len(packet))))


@pytest.mark.parametrize("length", [0, 15, 17, LONGEST_BYTES + 16, 2**32 - 16])
def test_a_length_that_no_packet_has(length: int) -> None:
    """It is refused before anything is waited for."""
    with pytest.raises(BadPacket):
        wire_bytes(memoryview(length.to_bytes(4, "big")))


@pytest.mark.parametrize("padding", [0, 3, 15, 16, 255])
def test_padding_that_makes_no_sense(padding: int) -> None:
    """The tag is right, the packet is not."""
    plain = bytes([padding]) + bytes(15)
    head = len(plain).to_bytes(4, "big")
    packet = memoryview(head + OURS.encrypt(NONCE, plain, head))
    with pytest.raises(BadPacket):
        Unsealer(OURS, NONCE).unseal(packet, memoryview(bytearray(64)))


@given(
    st.lists(st.tuples(st.booleans(), st.binary(max_size=3000)), max_size=12),
    st.integers(1, 4000),
    st.sampled_from([THEIRS, Plain(THEIRS)]),
)
@settings(deadline=None)
def test_packets_cut_at_any_byte(messages: list[tuple[bool, bytes]], most_bytes: int, key: Any) -> None:
    """Whatever comes at a time, a stream gets its bytes in order, and paramiko the rest."""
    line = Line(most_bytes, theirs=key)
    program, result = line.stream(7)
    for ours, content in messages:
        line.peer.sendall(line.seal(data(7, content) if ours else bytes([IGNORE]) + content))
    line.peer.sendall(line.seal(about(96, 7)))
    line.peer.shutdown(socket.SHUT_WR)
    program.shutdown(socket.SHUT_WR)
    line.read()
    assert b"".join(iter(lambda: program.recv(1 << 20), b"")) == b"".join(c for ours, c in messages if ours)
    assert line.passed == [(IGNORE, c) for ours, c in messages if not ours]
    program.close()
    line.peer.close()
    assert len(result) == 1


@given(st.integers(0), st.integers(1, 255))
@settings(deadline=None)
def test_a_wrong_byte_ends_the_connection(at: int, change: int) -> None:
    """What was whole before it has arrived, nothing of what came after it, and the program sees a reset."""
    line = Line()
    program, result = line.stream(7)
    whole, broken = line.seal(data(7, b"whole")), bytearray(line.seal(data(7, b"broken" * 50)))
    broken[4 + at % (len(broken) - 4)] ^= change
    line.peer.sendall(whole + broken + line.seal(data(7, b"after")))
    with pytest.raises(BadPacket):
        line.read()
    assert result == [False]
    assert program.recv(100) in {b"whole", b""}
    program.close()
    line.peer.close()


def test_what_a_program_says_reaches_the_peer() -> None:
    """In packets that the peer takes, and its end comes after it."""
    line = Line()
    program, result = line.stream(7, packet_bytes=1000, room_bytes=100_000)
    content = random.Random(1).randbytes(50_000)
    program.sendall(content)
    program.shutdown(socket.SHUT_WR)
    reading = threading.Thread(target=line.read)
    reading.start()
    said: list[bytes] = []
    while not said or said[-1] != about(96, 107):
        said += line.said()
    line.peer.sendall(line.seal(about(96, 7)) + line.seal(about(97, 7)))
    while said[-1] != about(97, 107):
        said += line.said()
    line.peer.shutdown(socket.SHUT_WR)
    reading.join()
    assert max(len(each) for each in said) == 1009
    assert b"".join(each[9:] for each in said if each[0] == 94) == content
    assert (result, line.forgotten) == ([True], [7])
    program.close()
    line.peer.close()


def test_nothing_is_said_while_keys_are_exchanged() -> None:
    """Data waits, and so does what the reader owes, in order; nobody waits for it."""
    line = Line()
    line.keys.clear_to_send.clear()
    program, _ = line.stream(7, allowed_bytes=1 << 20)
    program.sendall(b"hello")
    line.peer.sendall(line.seal(bytes([IGNORE])))
    assert line.packets.read_message()[0] == IGNORE
    assert line.said() == []
    line.keys.clear_to_send.set()
    line.peer.sendall(line.seal(bytes([IGNORE])) + line.seal(bytes([IGNORE])))
    reading = threading.Thread(target=line.read)
    reading.start()
    said: list[bytes] = []
    while len(said) < 2:
        said += line.said()
    line.peer.shutdown(socket.SHUT_WR)
    reading.join()
    assert [each[0] for each in said] == [93, 94]
    program.close()
    line.peer.close()


def test_a_stream_is_opened_once_keys_have_been_exchanged() -> None:
    """Its message waits with the others, and its time goes by meanwhile."""
    line = Line()
    line.keys.clear_to_send.clear()
    reading = threading.Thread(target=line.read)
    reading.start()
    line.plane.open(7, b"Z first", 0.1)
    line.plane.open(8, b"Z second", 60)
    while not line.belated:
        time.sleep(0.01)
    assert line.said() == []
    line.keys.clear_to_send.set()
    line.plane.open(9, b"Z third", 60)
    assert line.said() == [b"Z first", b"Z second", b"Z third"]
    line.peer.close()
    reading.join()
    assert line.belated == [7]


@pytest.mark.parametrize(
    "message",
    [
        data(7, b"x")[:-1],
        data(7, b"x") + b"y",
        about(94, 7),
        about(93, 7),
        about(93, 7) + bytes(5),
        data(7, bytes(200_000)),
    ],
)
def test_messages_that_make_no_sense(message: bytes) -> None:
    """The tag is right, the content is not, or is more than the window allows."""
    line = Line()
    program, result = line.stream(7, window_bytes=100_000, allowed_bytes=100_000)
    line.peer.sendall(line.seal(message))
    with pytest.raises(BadPacket):
        line.read()
    assert result == [False]
    program.close()
    line.peer.close()


def test_a_stalled_program_costs_a_window_and_no_more() -> None:
    """The peer may send what the window says; it is all there when the program reads on."""
    line = Line()
    program, _ = line.stream(7)
    sent = hashlib.sha256()

    def send() -> None:
        for number in range(64):
            block = bytes([number]) * (1 << 15)
            sent.update(block)
            line.peer.sendall(line.seal(data(7, block)))
        line.peer.sendall(line.seal(about(96, 7)) + line.seal(bytes([IGNORE])))

    sending = threading.Thread(target=send)
    sending.start()
    assert line.packets.read_message()[0] == IGNORE
    sending.join()
    assert all(each[0] == 93 for each in line.said())
    reading = threading.Thread(target=line.read)
    reading.start()
    got = hashlib.sha256()
    for block in iter(lambda: program.recv(1 << 20), b""):
        got.update(block)
    program.close()
    line.peer.shutdown(socket.SHUT_WR)
    reading.join()
    line.peer.close()
    assert got.digest() == sent.digest()


def test_a_message_that_is_compressed_in_an_odd_way() -> None:
    """It ends the connection as any other that makes no sense."""
    line = Line()
    line.packets.set_inbound_compressor(zlib.decompressobj().decompress)
    line.peer.sendall(line.seal(b"not compressed"))
    with pytest.raises(BadPacket):
        line.read()
    line.peer.close()
