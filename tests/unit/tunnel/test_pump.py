"""The pump between a socket and a channel, with a channel that a test holds in its hands."""

from __future__ import annotations

import queue
import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internlm_setup.tunnel.pump import Moved, pump

PIECES = st.lists(st.binary(min_size=1, max_size=300_000), max_size=6)


class Hand:
    """A channel: what is put into `coming` arrives; an exception is raised; what was sent is in `sent`."""

    def __init__(self) -> None:
        self.coming: queue.SimpleQueue[bytes | OSError] = queue.SimpleQueue()
        self.sent: list[bytes] = []
        self.ended = threading.Event()
        self.closed = threading.Event()
        self.refuses: OSError | None = None

    def recv(self, most_bytes: int) -> bytes:
        data = self.coming.get()
        if isinstance(data, OSError):
            raise data
        if len(data) > most_bytes:
            self.coming = queue.SimpleQueue()
            raise AssertionError("more than was asked for")
        return data

    def send_all(self, data: bytes) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.sent.append(data)

    def end_writing(self) -> None:
        self.ended.set()

    def close(self) -> None:
        self.closed.set()
        self.coming.put(OSError("closed"))


class Pumped:
    """A pump that runs, and the program's end of its socket."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            self.program = socket.create_connection(server.getsockname(), 20)
            sock, _ = server.accept()
        self.channel, self.moved, self._whole = Hand(), Moved(), queue.SimpleQueue[bool]()
        run = threading.Thread(target=lambda: self._whole.put(pump(sock, self.channel, self.moved)), daemon=True)
        run.start()

    def whole(self) -> bool:
        """Wait for the end, and say whether both directions ended by themselves."""
        return self._whole.get(timeout=20)


def read_to_the_end(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: sock.recv(65536), b""))


@given(PIECES, PIECES, st.booleans())
def test_no_byte_is_lost_in_either_direction(up: list[bytes], down: list[bytes], program_ends_first: bool) -> None:
    """Whatever the pieces, and whoever ends first."""
    pumped = Pumped()
    with pumped.program as program:

        def speak() -> None:
            program.sendall(b"".join(up))
            program.shutdown(socket.SHUT_WR)

        def answer() -> None:
            for piece in down:
                for begin in range(0, len(piece), 65536):
                    pumped.channel.coming.put(piece[begin : begin + 65536])
            pumped.channel.coming.put(b"")

        speaking = threading.Thread(target=speak)
        if program_ends_first:
            speaking.start()
            assert pumped.channel.ended.wait(20)
            answer()
        else:
            answer()
        assert read_to_the_end(program) == b"".join(down)
        if not program_ends_first:
            speaking.start()
        speaking.join()
        assert pumped.whole()
    assert b"".join(pumped.channel.sent) == b"".join(up)
    assert pumped.moved == Moved(sum(map(len, up)), sum(map(len, down)))
    assert pumped.channel.closed.is_set()


def test_a_session_that_is_lost_looks_broken_and_not_like_an_end() -> None:
    """The program sees a reset."""
    pumped = Pumped()
    with pumped.program as program:
        pumped.channel.coming.put(b"half of it")
        assert program.recv(100) == b"half of it"
        pumped.channel.coming.put(ConnectionResetError())
        with pytest.raises(ConnectionResetError):
            program.recv(100)
    assert not pumped.whole()


def test_a_program_that_breaks_off_gives_up_the_channel() -> None:
    """A reset here ends it there."""
    pumped = Pumped()
    pumped.program.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    pumped.program.close()
    assert pumped.channel.closed.wait(20)
    assert not pumped.whole()
    assert not pumped.channel.ended.is_set()


def test_an_answer_arrives_although_nobody_takes_the_question() -> None:
    """A service may answer and close while the program still sends."""
    pumped = Pumped()
    pumped.channel.refuses = BrokenPipeError()
    with pumped.program as program:
        program.sendall(b"question")
        pumped.channel.coming.put(b"too large")
        assert program.recv(100) == b"too large"
        pumped.channel.coming.put(b"")
        assert pumped.whole()
