"""The tunnels that are held on this machine: a file for each, and a control socket to ask it through.

That is a Unix socket that only its owner can open, or where there are none a port of loopback; either way a caller
shows the token that stands in the file. One line of JSON asks, one answers.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from internlm_setup.core.files import write_atomically, writing
from internlm_setup.core.text import Text
from internlm_setup.tunnel.held_errors import DoesNotStop, NoTunnel, SeveralTunnels
from internlm_setup.tunnel.status import Status

_FOLDER = "tunnels"
_GOODBYE_S, _LOOK_EVERY_S = 5.0, 0.05
_ON_PORT = Text(en=" on port {port}", zh="使用端口 {port} 的")
_IN_BACKGROUND = Text(en=" in the background", zh="后台")
_PATIENCE_S = 3.0
_MOST_BYTES = 1 << 16
_LONGEST_PATH = 100  # of a Unix socket; systems allow 104 or more


class Control:
    """The control socket of a tunnel that this process holds. Nothing of it is left after `close`."""

    def __init__(self, state: Path, status: Callable[[], Status], stop: Callable[[], None]) -> None:
        """Open it.

        Args:
            state: The state folder.
            status: Says how the tunnel stands.
            stop: Ends it.

        Raises:
            CannotWrite: The state folder cannot be written.
        """
        self._status, self._stop = status, stop
        self._token = secrets.token_hex(16)
        self._record = folder(state) / f"{os.getpid()}.json"
        self._path = self._record.with_suffix(".sock")
        with writing(self._record):
            self._record.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._sock, address = self._listen()
        record = {"pid": os.getpid(), "address": address, "token": self._token}
        try:
            write_atomically(self._record, json.dumps(record).encode(), mode=0o600)
        except BaseException:
            self.close()
            raise
        threading.Thread(target=self._serve, daemon=True, name="tunnel-control").start()

    def close(self) -> None:
        """Remove the file and the socket."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)  # wakes the thread
        self._sock.close()
        for path in (self._record, self._path):
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def _listen(self) -> tuple[socket.socket, str | int]:
        if sys.platform == "win32" or len(os.fsencode(self._path)) > _LONGEST_PATH:
            sock = socket.create_server(("127.0.0.1", 0))
            return sock, int(sock.getsockname()[1])
        self._path.unlink(missing_ok=True)
        sock = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        try:
            sock.bind(str(self._path))
        finally:
            os.umask(before)
        sock.listen()
        return sock, str(self._path)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._sock.accept()
                with caller, suppress(OSError, ValueError, RecursionError):
                    self._answer(caller, json.loads(_line(caller)))

    def _answer(self, caller: socket.socket, asked: Any) -> None:
        token = asked.get("token") if isinstance(asked, dict) else None
        if not isinstance(token, str) or not hmac.compare_digest(token.encode(), self._token.encode()):
            return
        caller.sendall(json.dumps(asdict(self._status())).encode() + b"\n")
        if asked.get("do") == "stop":
            self._stop()


@dataclass(frozen=True, slots=True)
class Record:
    """A tunnel that some process holds, or held when it was killed."""

    path: Path
    pid: int
    address: str | int
    token: str

    def ask(self, do: str = "status") -> Status | None:
        """Ask it for its status, or to `stop`; None where nobody answers."""
        try:
            with self._connected() as sock:
                sock.sendall(json.dumps({"token": self.token, "do": do}).encode() + b"\n")
                return Status.of(json.loads(_line(sock)))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def gone(self) -> bool:
        """Say whether nobody listens at its control socket any more: the process ended."""
        try:
            self._connected().close()
        except (ConnectionRefusedError, FileNotFoundError):
            return True
        except OSError:
            return False
        return False

    def forget(self) -> None:
        """Remove what a killed process left."""
        for path in (self.path, self.path.with_suffix(".sock")):
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def _connected(self) -> socket.socket:
        if isinstance(self.address, int):
            return socket.create_connection(("127.0.0.1", self.address), _PATIENCE_S)
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.settimeout(_PATIENCE_S)
            sock.connect(self.address)
        except OSError:
            sock.close()
            raise
        return sock


def folder(state: Path) -> Path:
    """Return where the records and the logs of tunnels are."""
    return state / _FOLDER


def held(state: Path) -> Iterator[tuple[Record, Status]]:
    """Yield every tunnel that answers, the oldest first; what killed ones left is removed."""
    found = []
    for path in folder(state).glob("*.json"):
        record = _read(path)
        if record is None:
            continue
        status = record.ask()
        if status is not None:
            found.append((record, status))
        elif record.gone():
            record.forget()
    yield from sorted(found, key=lambda pair: pair[1].since_s)


def chosen(state: Path, port: int | None) -> tuple[Record, Status]:
    """Return the tunnel that holds a port, or the only one.

    Raises:
        NoTunnel: There is none.
        SeveralTunnels: No port was named, and there are several.
    """
    found = [each for each in held(state) if port is None or port in each[1].ports]
    if not found:
        raise NoTunnel(Text(en="", zh="") if port is None else _ON_PORT.fill(port=port))
    if len(found) > 1:
        raise SeveralTunnels(", ".join(str(port) for _, status in found for port in status.ports[:1]))
    return found[0]


def stop(record: Record) -> None:
    """Ask a tunnel to end, and wait until nothing of it is left.

    Raises:
        DoesNotStop: It goes on.
    """
    record.ask("stop")
    give_up_s = time.monotonic() + _GOODBYE_S
    while record.path.exists() and not record.gone():
        if time.monotonic() > give_up_s:
            raise DoesNotStop(record.pid)
        time.sleep(_LOOK_EVERY_S)


def log_of(state: Path, port: int | None) -> Path:
    """Return the log of the tunnel in the background that held a port, or of the one that was started last.

    Raises:
        NoTunnel: There is no log.
    """
    if port is not None:
        log = folder(state) / f"{port}.log"
        if not log.exists():
            raise NoTunnel(_ON_PORT.fill(port=port))
        return log
    logs = sorted(folder(state).glob("*.log"), key=lambda path: path.stat().st_ctime)
    if not logs:
        raise NoTunnel(_IN_BACKGROUND)
    return logs[-1]


def _read(path: Path) -> Record | None:
    try:
        said: Mapping[str, Any] = json.loads(path.read_bytes())
        return Record(path, int(said["pid"]), said["address"], str(said["token"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _line(sock: socket.socket) -> bytes:
    said, late_s = b"", time.monotonic() + _PATIENCE_S
    while not said.endswith(b"\n") and len(said) < _MOST_BYTES:
        sock.settimeout(max(0.001, late_s - time.monotonic()))
        more = sock.recv(4096)
        if not more:
            break
        said += more
    return said
