"""A session: streams, requests and signs of life over a transport that is logged in.

paramiko's own handling is replaced, because it has one slot for all answers and none of its waits end.
Private names of paramiko that are used here: `_handler_table` and `_send_user_message`.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any

import paramiko

from internlm_setup.core.ssh.transport import ClientTransport
from internlm_setup.tunnel.engines._ssh import command as command_
from internlm_setup.tunnel.engines._ssh import messages
from internlm_setup.tunnel.engines._ssh.messages import Answer, Debts, Payload, number, opening, refusal, string, way
from internlm_setup.tunnel.engines._ssh.packets import BufferedPackets
from internlm_setup.tunnel.engines._ssh.stream import PACKET_BYTES, WINDOW_BYTES, Refused, Stream
from internlm_setup.tunnel.errors import CannotListenThere, DestinationSilent
from internlm_setup.tunnel.model import Endpoint, Traffic

_MOST_WAITING = 128
_CLOSING_S = 0.8
_ANSWER_S = 10.0
_MOST_WORDS = 500
_NOTHING = "exit 0"  # a command in every shell there is


class SshSession:
    """See `tunnel.model.Session`.

    One thread reads the connection and never waits for the wire; another sends what it owes the server.
    """

    def __init__(self, transport: ClientTransport) -> None:
        self._transport = transport
        self._packets: BufferedPackets = transport.packetizer
        self._streams: dict[int, Stream] = {}
        self._numbers = count()
        self._answers: deque[Answer] = deque()
        self._listening: dict[tuple[str, int], Endpoint] = {}
        self._incoming: queue.SimpleQueue[tuple[Endpoint, Stream] | None] = queue.SimpleQueue()
        self._owed = Debts()
        self._gone = threading.Event()
        self._opened = 0
        self._sender = threading.Thread(target=self._pay, daemon=True, name="ssh-sender")
        self._sender.start()
        transport._handler_table.update(self._handlers())
        self._packets.when_over(self._end)
        self._packets.look_rarely()
        self._wake_server()

    def open_channel(self, destination: Endpoint, origin: Endpoint, timeout_s: float) -> Stream:
        """See `tunnel.model.Session`."""
        stream = self._open("direct-tcpip", way(destination, origin))
        try:
            if stream.wait_open(timeout_s):
                return stream
        except Refused as cause:
            raise refusal(cause, destination) from None
        stream.close()
        raise DestinationSilent(destination.host, destination.port, timeout_s)

    def listen_there(self, bind: Endpoint) -> int:
        """See `tunnel.model.Session`.

        Raises:
            CannotListenThere: The server does not.
            OSError: The session is gone, or the server does not answer.
        """
        host = {"": "localhost", "*": ""}.get(bind.host, bind.host)
        port = bind.port

        def listening(message: Any) -> None:  # before the next message is looked at: a stream may be in it
            nonlocal port
            port = message.get_int() if bind.port == 0 else bind.port
            self._listening[host, port] = Endpoint(bind.host, port)

        answer = self._ask("tcpip-forward", string(host), number(bind.port), when_granted=listening)
        if not answer.done.wait(_ANSWER_S) or answer.granted is None:
            raise ConnectionResetError("the session is gone")
        if not answer.granted:
            raise CannotListenThere(bind.host or "localhost", bind.port)
        return port

    def accept(self) -> tuple[Endpoint, Stream] | None:
        """See `tunnel.model.Session`."""
        found = self._incoming.get()
        if found is None:
            self._incoming.put(None)  # for whoever else waits
        return found

    def probe(self, timeout_s: float) -> float | None:
        """See `tunnel.model.Session`."""
        started_s = time.monotonic()
        answer = self._ask("keepalive@openssh.com")
        answered = answer.done.wait(timeout_s) and answer.granted is not None
        return time.monotonic() - started_s if answered else None

    def run(self, command: str, most_bytes: int, timeout_s: float) -> bytes | None:
        """See `tunnel.model.Session`."""
        with suppress(OSError):
            return command_.run(self._open("session"), command, most_bytes, timeout_s)
        return None

    def compress(self, on: bool) -> bool:
        """See `tunnel.model.Session`."""
        self._transport.compress("on" if on else "off")
        if not self._transport.in_kex:
            with suppress(EOFError, OSError, paramiko.SSHException):
                self._transport.renegotiate_keys()
        return self.compressed

    @property
    def compressed(self) -> bool:
        """See `tunnel.model.Session`."""
        return self._transport.compressed

    @property
    def recent(self) -> bytes:
        """See `tunnel.model.Session`."""
        return bytes(self._packets.recent)

    @property
    def silent_s(self) -> float:
        """See `tunnel.model.Session`."""
        return time.monotonic() - self._packets.last_byte_s

    @property
    def traffic(self) -> Traffic:
        """See `tunnel.model.Session`; bytes are those on the wire."""
        packets, saved_bytes = self._packets, self._transport.saved_bytes
        return Traffic(packets.received_bytes, packets.sent_bytes, saved_bytes, len(self._streams), self._opened)

    @property
    def alive(self) -> bool:
        """See `tunnel.model.Session`."""
        return not self._gone.is_set()

    def close(self) -> None:
        """See `tunnel.model.Session`."""
        self._transport.close()
        self._end()
        for thread in (self._sender, self._transport):
            if thread is not threading.current_thread():
                thread.join(_CLOSING_S / 2)

    def _stream(self, number: int, when_open: Callable[[Stream], object] | None) -> Stream:
        return Stream(self, number, when_open)

    def _new(self, when_open: Callable[[Stream], object] | None = None) -> Stream:
        return self._add(self._stream(next(self._numbers), when_open))

    def _add(self, stream: Stream) -> Stream:
        self._streams[stream.number] = stream
        self._opened = stream.number + 1
        if self._gone.is_set():  # set before the streams were told
            stream.lost()
        return stream

    def _open(self, kind: str, *parts: bytes, when_open: Callable[[Stream], object] | None = None) -> Stream:
        stream = self._new(when_open)
        self.send(opening(kind, stream.number), *parts)
        return stream

    def _ask(self, kind: str, *parts: bytes, when_granted: Callable[[Any], None] | None = None) -> Answer:
        """Send a request to the server at large; answers come in the order of the requests."""
        answer = Answer(when_granted)

        def send() -> None:
            answer.asked_s = time.monotonic()
            self._answers.append(answer)
            self.send(bytes((messages.GLOBAL_REQUEST,)), string(kind), b"\1", *parts)

        self._owed.put(send)
        if self._gone.is_set():
            answer.done.set()
        return answer

    def _wake_server(self) -> None:
        """Run a command that does nothing.

        An sshd before 10.1 lets TCP collect small packets until the first command, which costs 40 ms again and again.
        """

        def do_nothing(stream: Stream) -> None:
            stream.request("exec", _NOTHING)
            stream.close()

        with suppress(OSError):
            self._open("session", when_open=lambda stream: self._owed.put(partial(do_nothing, stream)))

    def send(self, *parts: bytes | memoryview) -> None:
        """Send one message; waits while keys are exchanged and while the wire is full.

        Raises:
            OSError: The session is gone.
        """
        try:
            self._packets.note(parts[-1])
            self._transport._send_user_message(Payload(parts))
        except (EOFError, OSError, paramiko.SSHException) as cause:
            raise ConnectionResetError("the session is gone") from cause
        if not self._transport.active:
            raise ConnectionResetError("the session is gone")

    def later(self, stream: Stream) -> None:
        """See `stream.Wire`."""
        self._owed.put(stream.say_close)

    def forget(self, number: int) -> None:
        """See `stream.Wire`."""
        self._streams.pop(number, None)

    def _pay(self) -> None:
        """Send what is owed, until the end."""
        while (step := self._owed.get()) is not None:
            with suppress(OSError):
                step()

    def _end(self) -> None:
        """Tell everybody that the session is gone."""
        self._gone.set()
        for stream in list(self._streams.values()):
            stream.lost()
        for answer in list(self._answers):
            answer.done.set()
        self._incoming.put(None)
        self._owed.put(None)

    def _handlers(self) -> dict[int, Callable[[Any], object]]:
        """What is done with each kind of message."""

        def to_stream(act: Callable[[Stream, Any], object]) -> Callable[[Any], None]:
            def handle(message: Any) -> None:
                if stream := self._streams.get(message.get_int()):
                    act(stream, message)

            return handle

        of_no_use = (messages.EXTENDED_DATA, messages.REQUEST, messages.SUCCESS)
        return dict.fromkeys(of_no_use, bool) | {
            messages.GLOBAL_REQUEST: self._asked,
            messages.REQUEST_SUCCESS: partial(self._answered, True),
            messages.REQUEST_FAILURE: partial(self._answered, False),
            messages.OPEN: self._called,
            messages.OPEN_SUCCESS: to_stream(lambda stream, m: stream.opened(m.get_int(), m.get_int(), m.get_int())),
            messages.OPEN_FAILURE: to_stream(self._turned_down),
            messages.WINDOW_ADJUST: to_stream(lambda stream, m: stream.widened(m.get_int())),
            messages.DATA: to_stream(lambda stream, m: stream.fed(self._packets.note(m.get_binary()))),
            messages.EOF: to_stream(lambda stream, _: stream.ended()),
            messages.CLOSE: to_stream(lambda stream, _: stream.closed()),
            messages.FAILURE: to_stream(lambda stream, _: stream.request_failed()),
        }

    def _asked(self, message: Any) -> None:
        """The server asks something of us; nothing that it may ask is of use here."""
        message.get_string()
        if message.get_boolean():
            self._owed.answer(partial(self.send, bytes((messages.REQUEST_FAILURE,))))

    def _answered(self, granted: bool, message: Any) -> None:
        if not self._answers:
            return
        answer = self._answers.popleft()
        if granted and answer.when_granted is not None:
            answer.when_granted(message)
        answer.granted = granted
        answer.done.set()

    def _turned_down(self, stream: Stream, message: Any) -> None:
        self.forget(stream.number)
        stream.refused(message.get_int(), message.get_text()[:_MOST_WORDS])

    def _called(self, message: Any) -> None:
        """The server opens a stream: somebody connected to one of our ports there."""
        kind, theirs, window_bytes, packet_bytes = message.get_text(), *(message.get_int() for _ in range(3))
        bind = self._listening.get((message.get_text(), message.get_int())) if kind == "forwarded-tcpip" else None
        if bind is None or self._incoming.qsize() >= _MOST_WAITING:
            reason = messages.PROHIBITED if bind is None else messages.SHORTAGE
            words = [number(theirs), number(reason), string(""), string("")]
            self._owed.answer(partial(self.send, bytes((messages.OPEN_FAILURE,)), *words))
            return
        stream = self._new()

        def take() -> None:
            numbers = [number(each) for each in (theirs, stream.number, WINDOW_BYTES, PACKET_BYTES)]
            self.send(bytes((messages.OPEN_SUCCESS,)), *numbers)
            stream.opened(theirs, window_bytes, packet_bytes)
            self._incoming.put((bind, stream))

        self._owed.answer(take)
