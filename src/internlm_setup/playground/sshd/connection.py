"""One SSH connection, the server's side; paramiko does the protocol."""

from __future__ import annotations

import logging
import queue
import re
import socket
import threading
import time
from contextlib import suppress
from io import StringIO
from typing import TYPE_CHECKING, Any, cast

import paramiko

from internlm_setup.playground.sshd.page import Page, listening

if TYPE_CHECKING:
    from internlm_setup.playground.sshd.machine import DevMachine

_LOOK_EVERY_S = 0.1
_PATIENCE_S = 20.0
_SLEEP = re.compile(r"(exec )?sleep \d+")
_RUNS_NOTHING = b"playground: this stand-in for a dev machine runs no commands\n"

_LOG = logging.getLogger("playground.sshd")  # what clients do to a stand-in is nobody's trouble: its lines go nowhere
_LOG.addHandler(logging.NullHandler())
_LOG.propagate = False


def serve(client: socket.socket, machine: DevMachine, moving: threading.Event) -> None:
    """Serve a connection to its end.

    Args:
        client: Who called.
        machine: What it is let do.
        moving: Nothing is read or sent while this is not set.
    """
    transport = paramiko.Transport(_Wire(client, moving))
    transport.set_log_channel(_LOG.name)
    transport.add_server_key(paramiko.Ed25519Key.from_private_key(StringIO(machine.host_key.decode("ascii"))))
    account = _Account(machine)
    try:
        transport.start_server(server=account)
        while transport.is_active():
            channel = transport.accept(_LOOK_EVERY_S)
            if channel is not None:
                threading.Thread(target=account.attend, args=(channel,), daemon=True).start()
    except (paramiko.SSHException, EOFError, OSError):
        pass  # the client went away, or speaks something else
    finally:
        account.leave()
        transport.close()


class _Wire:
    """The connection as paramiko uses it, which stands still while the machine does."""

    def __init__(self, client: socket.socket, moving: threading.Event) -> None:
        self._client, self._moving = client, moving

    def recv(self, most_bytes: int) -> bytes:
        self._wait()
        return self._client.recv(most_bytes)

    def send(self, data: bytes) -> int:
        self._wait()
        return self._client.send(data)

    def _wait(self) -> None:
        if not self._moving.wait(_LOOK_EVERY_S):
            raise TimeoutError  # paramiko looks whether it is still wanted, and tries again

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


class _Account(paramiko.ServerInterface):  # type: ignore[misc]  # paramiko has no types
    """What is let in, and what it may do."""

    def __init__(self, machine: DevMachine) -> None:
        self._machine = machine
        self._commands: dict[int, queue.SimpleQueue[str]] = {}

    def get_allowed_auths(self, username: str) -> str:
        del username
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        good = self._machine.lets_in(username, key.asbytes())
        return int(paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        if kind != "session":
            return int(paramiko.OPEN_FAILED_UNKNOWN_CHANNEL_TYPE)
        self._commands[chanid] = queue.SimpleQueue()
        return int(paramiko.OPEN_SUCCEEDED)

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        if self._machine.refuses_commands or channel.get_id() not in self._commands:
            return False
        self._commands[channel.get_id()].put(command.decode("utf-8", "replace"))
        return True

    def check_channel_direct_tcpip_request(
        self, chanid: int, origin: tuple[str, int], destination: tuple[str, int]
    ) -> int:
        del chanid, origin
        if self._machine.refuses_forwarding:
            return int(paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED)
        host, port = destination
        there = host in {"127.0.0.1", "localhost"} and port in self._machine.ports
        return int(paramiko.OPEN_SUCCEEDED if there else paramiko.OPEN_FAILED_CONNECT_FAILED)

    def attend(self, channel: paramiko.Channel) -> None:
        """Serve a channel to its end: the one command of a session, or the page."""
        commands = self._commands.get(channel.get_id())
        with suppress(OSError, EOFError, queue.Empty), channel:
            if commands is None:
                Page(cast("socket.socket", channel), ("127.0.0.1", 0), None)  # type: ignore[arg-type]  # no server
            else:
                self._run(channel, commands.get(timeout=_PATIENCE_S))
        self._commands.pop(channel.get_id(), None)

    def leave(self) -> None:
        """The connection ended: nobody waits for a command any more."""
        for commands in tuple(self._commands.values()):
            commands.put("")

    def _run(self, channel: paramiko.Channel, command: str) -> None:
        code = 0
        if "/proc/net/tcp" in command:
            channel.sendall(listening(self._machine.ports))
        elif _SLEEP.fullmatch(command):
            while not channel.closed:
                time.sleep(_LOOK_EVERY_S)
        elif command not in {"exit 0", "true", ""}:
            channel.sendall_stderr(_RUNS_NOTHING)
            code = 127
        channel.send_exit_status(code)
