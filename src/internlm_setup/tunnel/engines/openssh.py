"""The system's `ssh`, shared: for keys in hardware, PKCS#11, GSSAPI, and servers that only it can talk to.

Its control socket opens streams one by one, so the ports here stay ours. Windows' `ssh.exe` has none.
"""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from internlm_setup.core import leaving
from internlm_setup.core.ssh.ask import Asker
from internlm_setup.core.ssh.model import HostSpec
from internlm_setup.tunnel.engines._openssh.asking import Asking
from internlm_setup.tunnel.engines._openssh.complaints import PATIENCE_S, Complaints, NoCommands, trouble
from internlm_setup.tunnel.engines._openssh.session import CONTROL, Shared, SharedSession
from internlm_setup.tunnel.errors import NO_CONTROL, NOT_THERE, NoOpenSsh
from internlm_setup.tunnel.model import Session, SessionSpec, State

_ECHO = "exec cat"
_LOOK_EVERY_S = 0.02
_ECHO_S = 10.0


class OpenSsh:
    """See `tunnel.model.Engine`."""

    id = "openssh"

    def open(self, spec: SessionSpec, ask: Asker, env: Mapping[str, str], tell: Callable[[State], object]) -> Session:
        """See `tunnel.model.Engine`.

        Raises:
            NoOpenSsh: There is no `ssh` here, or none that can be shared.
            OpenSshFailed: It says something that we have no words of our own for.
        """
        if os.name == "nt":
            raise NoOpenSsh(spec.host.host, NO_CONTROL)
        program = shutil.which("ssh", path=env.get("PATH", os.defpath))
        if program is None:
            raise NoOpenSsh(spec.host.host, NOT_THERE)
        start = _Start(program, spec, ask, env, lambda: tell("auth"))
        with suppress(NoCommands):
            session = start.up(echo=True)
            if session.probe(_ECHO_S) is not None:
                return session
            session.close()
        return start.up(echo=False)  # the server runs no commands for us, and `ssh` ends with its command


@dataclass(frozen=True, slots=True)
class _Start:
    """How to start `ssh`."""

    program: str
    spec: SessionSpec
    ask: Asker
    env: Mapping[str, str]
    proved: Callable[[], object]

    def up(self, *, echo: bool) -> SharedSession:
        """Start it, and wait until it is logged in.

        Raises:
            NoCommands: It was, and the server ran nothing.
            SetupError: It was not.
        """
        name = _name(self.spec.host)
        to = ["--", name, _ECHO] if echo else ["-N", "--", name]
        with ExitStack() as stack:
            folder = Path(tempfile.mkdtemp(prefix="ssh-"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            asking = Asking(folder, self.spec.host, self.ask)
            stack.callback(asking.close)
            (writer, there), (reader, here) = socket.socketpair(), socket.socketpair()
            for sock in (writer, reader):
                stack.callback(sock.close)
            command = [self.program, *words_of(self.program, self.spec, folder / CONTROL), *to]
            with there, here:
                process = subprocess.Popen(  # noqa: S603  # the person's own ssh
                    command,
                    env=asking.env(self.env),
                    stdin=there.fileno(),
                    stdout=here.fileno(),
                    stderr=subprocess.PIPE,
                    start_new_session=True,  # Ctrl-C is ours, and so is the terminal
                )

            def over() -> None:
                leaving.unregister(over)
                process.kill()
                process.wait()
                shutil.rmtree(folder, ignore_errors=True)

            leaving.register(over)  # a thread that still waits here may never come to an end
            stack.callback(over)
            complaints = Complaints(process, self.proved)
            while not (folder / CONTROL).exists():
                if process.poll() is not None:
                    raise trouble(complaints.lines(), self.spec.host, password=asking.password, commands=echo)
                time.sleep(_LOOK_EVERY_S)
            asking.close()
            stack.pop_all()
            shared = Shared(process, folder, complaints.refusals, over)
            return SharedSession(shared, (reader, writer), echoes=echo)


def words_of(program: str, spec: SessionSpec, control: Path) -> list[str]:
    """Return the options: what was resolved wins over the files, which say the rest."""
    hosts = (*spec.host.jumps, spec.host)
    way = hosts[0].proxy_command
    for jump, to in pairwise(hosts):
        on = ["-W", f"[{to.host}]:{to.port}", "--", _name(jump)]
        way = shlex.join([program, *_written(_of_host(jump, way, spec.accept_new)), *on])
    return [*_written(_of_host(spec.host, way, spec.accept_new) | _of_session(spec, control))]


def _name(host: HostSpec) -> str:
    return host.alias or host.host


def _of_host(host: HostSpec, way: str | None, accept_new: bool) -> dict[str, object]:
    return {
        "HostName": host.host,
        "Port": host.port,
        "User": host.user or None,
        "HostKeyAlias": host.known_as or None,
        "UserKnownHostsFile": " ".join(f'"{file}"' for file in host.known_hosts) or None,
        "GlobalKnownHostsFile": "/dev/null" if host.known_hosts else None,
        "StrictHostKeyChecking": "accept-new" if accept_new else "ask",
        "UpdateHostKeys": "no",
        "IdentityFile": [key for key in host.identity_files if key.exists()],
        "IdentitiesOnly": "yes" if host.identities_only else None,
        "CertificateFile": host.certificate_files,
        "ProxyCommand": way.replace("%", "%%") if way else "none",
        "ConnectTimeout": PATIENCE_S,
        "NumberOfPasswordPrompts": 2,
        "ClearAllForwardings": "yes",
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "PermitLocalCommand": "no",
        "RemoteCommand": "none",
        "RequestTTY": "no",
        "LogLevel": "DEBUG1",
    }


def _of_session(spec: SessionSpec, control: Path) -> dict[str, object]:
    return {
        "Compression": "yes" if spec.compression == "on" else "no",
        "ServerAliveInterval": max(1, round(spec.keepalive_s)),
        "ServerAliveCountMax": max(1, round(spec.dead_s / max(1.0, spec.keepalive_s))),
        "ControlMaster": "yes",
        "ControlPath": str(control).replace("%", "%%"),
        "ControlPersist": "no",
    }


def _written(options: Mapping[str, object]) -> Iterator[str]:
    for name, value in options.items():
        for each in value if isinstance(value, list | tuple) else [value] if value is not None else []:
            yield from ("-o", f"{name}={each}")


ENGINE = OpenSsh()
