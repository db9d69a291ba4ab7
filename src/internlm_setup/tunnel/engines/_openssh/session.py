"""A session that an `ssh` of the system holds for us."""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from internlm_setup.tunnel.engines._openssh.channel import SharedChannel
from internlm_setup.tunnel.engines._openssh.mux import Control, Declined, serves
from internlm_setup.tunnel.errors import (
    CannotListenThere,
    ChannelRefused,
    DestinationSilent,
    ForwardingProhibited,
    NoMoreStreams,
    NothingListens,
)
from internlm_setup.tunnel.model import Channel, Endpoint, Traffic

CONTROL = "control"
_ANSWER_S, _COMPLAINT_S = 10.0, 1.0
_GOODBYE_S = 0.4
_NOWHERE = ("127.0.0.1", 0)
_REASONS = {"administratively prohibited": ForwardingProhibited, "connect failed": NothingListens}


@dataclass(frozen=True, slots=True)
class Shared:
    """An `ssh` that can be shared.

    Attributes:
        process: It ends with the session.
        folder: The control socket is `control` in it.
        refusals: What it complains of streams that the server did not open.
        over: Leaves nothing of it.
    """

    process: subprocess.Popen[bytes]
    folder: Path
    refusals: queue.SimpleQueue[str]
    over: Callable[[], object]


class SharedSession:
    """See `tunnel.model.Session`.

    `ssh` does not tell when it last heard of the server. So a `cat` runs there for as long as the session does, and
    what it sends back is the sign of life. It also lifts the 40 ms stalls of older servers, as any command does, and
    ends when we are killed, and `ssh` with it.
    """

    def __init__(self, shared: Shared, main: tuple[socket.socket, socket.socket], *, echoes: bool) -> None:
        """Take an `ssh` that is up.

        Args:
            shared: The program.
            main: What it writes to and reads from.
            echoes: Whether `cat` is at the other end of that.
        """
        self._process, self._folder, self._refusals = shared.process, shared.folder, shared.refusals
        self._over = shared.over
        self._channels: set[SharedChannel] = set()
        self._listening: list[socket.socket] = []
        self._incoming: queue.SimpleQueue[tuple[Endpoint, Channel] | None] = queue.SimpleQueue()
        self._opened = self._received_bytes = self._sent_bytes = 0
        self._heard_s = time.monotonic()
        self._probing, self._probes = threading.Lock(), 0
        self._main, self._echoes = SharedChannel(self, *main), echoes
        threading.Thread(target=self._watch, daemon=True, name="ssh-watch").start()

    def open_channel(self, destination: Endpoint, origin: Endpoint, timeout_s: float) -> Channel:
        """See `tunnel.model.Session`."""
        del origin  # `ssh` names one of its own
        host, port = destination.host, destination.port
        try:
            channel = self._through(lambda control, files: control.stream(host, port, files, timeout_s))
        except Declined as cause:
            raise self._refusal(destination, str(cause)) from None
        except TimeoutError:
            raise DestinationSilent(host, port, timeout_s) from None
        return self._counted(channel)

    def listen_there(self, bind: Endpoint) -> int:
        """See `tunnel.model.Session`.

        Raises:
            CannotListenThere: The server does not.
            OSError: The session is gone, or the server does not answer.
        """
        host = {"": "localhost", "*": ""}.get(bind.host, bind.host)
        path = self._folder / f"r{len(self._listening)}"
        listening = socket.socket(socket.AF_UNIX)
        self._listening.append(listening)
        listening.bind(str(path))
        listening.listen()
        with closing(Control(self._folder / CONTROL)) as control:
            try:
                port = control.listen_there(host, bind.port, path, _ANSWER_S)
            except Declined:
                raise CannotListenThere(bind.host or "localhost", bind.port) from None
        where = Endpoint(bind.host, port)
        threading.Thread(target=self._take, args=(listening, where), daemon=True, name="ssh-remote").start()
        return port

    def accept(self) -> tuple[Endpoint, Channel] | None:
        """See `tunnel.model.Session`."""
        found = self._incoming.get()
        if found is None:
            self._incoming.put(None)  # for whoever else waits
        return found

    def probe(self, timeout_s: float) -> float | None:
        """See `tunnel.model.Session`."""
        started_s = time.monotonic()
        if not self._probing.acquire(timeout=timeout_s):
            return None
        try:
            self._ask(timeout_s)
        except OSError:
            return None
        finally:
            self._probing.release()
        return time.monotonic() - started_s

    def run(self, command: str, most_bytes: int, timeout_s: float) -> bytes | None:
        """See `tunnel.model.Session`."""
        late_s = time.monotonic() + timeout_s
        said = bytearray()
        try:
            with closing(self._command(command, timeout_s)) as channel:
                channel.end_writing()
                while len(said) < most_bytes:
                    channel.patience(late_s - time.monotonic())
                    data = channel.recv(most_bytes - len(said))
                    if not data:
                        break
                    said += data
        except (Declined, OSError):
            return None
        return bytes(said)

    def compress(self, on: bool) -> bool:
        """See `tunnel.model.Session`; `ssh` decides once, at the beginning."""
        del on
        return self.compressed

    @property
    def compressed(self) -> bool:
        """See `tunnel.model.Session`; where it does, nobody wants it otherwise."""
        return False

    @property
    def recent(self) -> bytes:
        """See `tunnel.model.Session`."""
        return b""

    @property
    def silent_s(self) -> float:
        """See `tunnel.model.Session`."""
        return time.monotonic() - self._heard_s

    @property
    def traffic(self) -> Traffic:
        """See `tunnel.model.Session`; bytes are those of the streams."""
        return Traffic(self._received_bytes, self._sent_bytes, 0, len(self._channels), self._opened)

    @property
    def alive(self) -> bool:
        """See `tunnel.model.Session`."""
        return self._process.poll() is None

    def close(self) -> None:
        """See `tunnel.model.Session`."""
        self._process.terminate()
        try:
            self._process.wait(_GOODBYE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._end()

    # For the channels

    def heard(self, size: int) -> None:
        """See `channel.Owner`."""
        self._heard_s = time.monotonic()
        self._received_bytes += size

    def said(self, size: int) -> None:
        """See `channel.Owner`."""
        self._sent_bytes += size

    def still_serves(self) -> bool:
        """See `channel.Owner`."""
        return self.alive and serves(self._folder / CONTROL)

    def forget(self, channel: SharedChannel) -> None:
        """See `channel.Owner`."""
        self._channels.discard(channel)

    def _counted(self, channel: SharedChannel) -> SharedChannel:
        self._opened += 1
        self._channels.add(channel)
        return channel

    def _through(self, ask: Callable[[Control, Sequence[int]], None]) -> SharedChannel:
        """Have something opened that `ssh` reads from one socket of ours and writes to another."""
        control = Control(self._folder / CONTROL)
        (writer, there), (reader, here) = socket.socketpair(), socket.socketpair()
        channel = SharedChannel(self, reader, writer, control.close)
        try:
            ask(control, (there.fileno(), here.fileno()))
        except BaseException:
            channel.close()
            raise
        finally:
            there.close()
            here.close()
        return channel

    def _command(self, words: str, patience_s: float) -> SharedChannel:
        def ask(control: Control, files: Sequence[int]) -> None:
            with Path(os.devnull).open("wb") as complaints:
                control.command(words, (*files, complaints.fileno()), patience_s)

        return self._through(ask)

    def _ask(self, timeout_s: float) -> None:
        """Wait for a sign of life: what `cat` sends back, or where none may run a refusal, which is one too."""
        late_s = time.monotonic() + timeout_s
        if not self._echoes:
            with suppress(Declined):
                self._through(lambda control, files: control.stream(*_NOWHERE, files, timeout_s)).close()
            self.heard(0)
            return
        self._probes = (self._probes + 1) % 256
        self._main.send_all(bytes((self._probes,)))
        answer = b""
        while answer[-1:] != bytes((self._probes,)):  # answers to those that were given up come first
            self._main.patience(late_s - time.monotonic())
            answer = self._main.recv(256)
            if not answer:
                raise ConnectionResetError("the echo has ended")

    def _refusal(self, destination: Endpoint, words: str) -> ChannelRefused:
        """Say why there is no stream; `ssh` tells the reason among its complaints, and before its answer."""
        with suppress(queue.Empty):
            words = self._refusals.get(timeout=_COMPLAINT_S)
        kind = next((kind for start, kind in _REASONS.items() if words.startswith(start)), NoMoreStreams)
        return kind(destination.host, destination.port, words.partition(": ")[2] or words)

    def _take(self, listening: socket.socket, where: Endpoint) -> None:
        with suppress(OSError):
            while True:
                sock, _ = listening.accept()
                self._incoming.put((where, self._counted(SharedChannel(self, sock, sock))))

    def _watch(self) -> None:
        self._process.wait()
        self._end()

    def _end(self) -> None:
        """Tell everybody that the session is gone, and leave nothing behind."""
        self._over()
        for channel in (self._main, *self._channels):
            channel.close()
        for listening in self._listening:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            listening.close()
        self._incoming.put(None)
