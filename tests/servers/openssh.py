"""The real OpenSSH server on loopback, with host keys, a home folder and a list of keys of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

SSHD = shutil.which("sshd", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))
_GOODBYE_S = 5.0


@dataclass
class Sshd:
    """A server that runs.

    Attributes:
        port: On 127.0.0.1.
        user: The only account that can log in: our own.
        home: Its home folder during sessions; `authorized_keys` is where it usually is in there.
        host_key: The server's public key, as `known_hosts` has it behind the name.
        log: What the server said, line by line.
    """

    port: int
    user: str
    home: Path
    host_key: str
    log: list[str] = field(default_factory=list)

    @property
    def authorized_keys(self) -> Path:
        """The list of keys that open the door."""
        return self.home / ".ssh" / "authorized_keys"

    def authorize(self, line: str) -> None:
        """Let a public key in."""
        self.authorized_keys.parent.mkdir(mode=0o700, exist_ok=True)
        with self.authorized_keys.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


@contextmanager
def sshd(folder: Path, *lines: str) -> Iterator[Sshd]:
    """Run a server until the end of the block.

    Args:
        folder: Empty; everything of the server is in there.
        lines: More of `sshd_config`; they come first, so they win.
    """
    home, host_key = folder / "home", folder / "host_key"
    home.mkdir(mode=0o700)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", host_key], check=True)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where it locks its unprivileged half into
    port = _free_port()
    config = folder / "sshd_config"
    config.write_text("\n".join([*lines, *_settings(folder, port)]) + "\n", encoding="utf-8")
    assert SSHD is not None
    child = subprocess.Popen([SSHD, "-D", "-e", "-f", config], stderr=subprocess.PIPE, encoding="utf-8")
    key = " ".join(host_key.with_suffix(".pub").read_text().split()[:2])
    server = Sshd(port, getpass.getuser(), home, key)
    listening = threading.Event()

    def read() -> None:
        assert child.stderr is not None
        for line in child.stderr:
            server.log.append(line.rstrip())
            if "listening on" in line:
                listening.set()
        listening.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        listening.wait()
        assert child.poll() is None, server.log
        yield server
    finally:
        child.terminate()
        child.wait(_GOODBYE_S)
        reader.join(_GOODBYE_S)


def _settings(folder: Path, port: int) -> list[str]:
    home = folder / "home"
    return [
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {folder / 'host_key'}",
        f"PidFile {folder / 'sshd.pid'}",
        f"AuthorizedKeysFile {home / '.ssh' / 'authorized_keys'}",
        f"SetEnv HOME={home}",
        "StrictModes no",  # the temporary folder may be anybody's
        "UsePAM no",
        "PasswordAuthentication no",
        "PermitRootLogin yes",
        "LogLevel VERBOSE",
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
