"""The real OpenSSH server on 127.0.0.1, with its own host keys, its own authorized keys and a program for each port.

It runs in the foreground, as root or as whoever runs the tests (who can then log in as themselves only), and ends
with the test. Nothing of the machine's own SSH is read or written.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from servers.rude import closed_port

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
needs_sshd = pytest.mark.skipif(
    not Path(SSHD).exists() or shutil.which("ssh-keygen") is None or os.geteuid() != 0, reason="sshd needs root here"
)
ME = pwd.getpwuid(os.geteuid()).pw_name if hasattr(os, "geteuid") else ""
_PATIENCE_S = 15.0


def make_key(path: Path, *more: str, kind: str = "ed25519", passphrase: str = "") -> Path:
    """Make a key pair with `ssh-keygen`; returns the private file."""
    words = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", path.name, "-f", str(path), *more]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, timeout=60)
    return path


@dataclass
class OpenSSH:
    """A server that runs.

    Attributes:
        folder: Where all its files are.
        port: Its port on 127.0.0.1.
        options: Lines of its configuration that win over ours.
        password: What opens the account on this server, and on this one only.
        user: The account that logs in.
    """

    folder: Path
    port: int
    options: Sequence[str] = ()
    password: str = ""
    user: str = ME
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def authorized_keys(self) -> Path:
        """Who may log in; a key is added with `let_in`."""
        return self.folder / "authorized_keys"

    @property
    def host_key(self) -> Path:
        """The private file of its host key."""
        return self.folder / "host_ed25519"

    @property
    def log(self) -> str:
        """What it said so far."""
        return (self.folder / "sshd.log").read_text("utf-8", "replace")

    def known_line(self) -> str:
        """Return the line that makes it known."""
        return f"[127.0.0.1]:{self.port} {self.host_key.with_suffix('.pub').read_text()}"

    def let_in(self, key: Path, before: str = "") -> None:
        """Take a key from now on; `before` are options of that line."""
        with self.authorized_keys.open("a") as file:
            file.write(before + Path(f"{key}.pub").read_text())

    def start(self) -> None:
        """Start it and wait until it answers."""
        config = self.folder / "sshd_config"
        config.write_text("\n".join([*self.options, *self._defaults()]) + "\n")
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        words = [SSHD, "-D", "-f", str(config), "-E", str(self.folder / "sshd.log")]
        if self.password:
            words = self._with_password(words)
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=True)
        give_up_s = time.monotonic() + _PATIENCE_S
        while time.monotonic() < give_up_s and self.process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as caller:
                caller.recv(1)
                return
            time.sleep(0.02)
        raise AssertionError(f"sshd did not start: {self.log}")

    def stop(self) -> None:
        """End it; connections that are up stay up, as with the real one."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(_PATIENCE_S)
            self.process = None

    def children(self) -> list[int]:
        """Return the processes that serve the connections that are up."""
        if self.process is None:
            return []
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(number) for number in listed.split()]

    def _with_password(self, words: list[str]) -> list[str]:
        """Return the command in a mount namespace of its own, where the account has this password."""
        hashed = subprocess.run(
            ["openssl", "passwd", "-6", "-stdin"], input=self.password.encode(), check=True, capture_output=True
        ).stdout.decode()
        others = [line for line in Path("/etc/shadow").read_text().splitlines() if not line.startswith(f"{self.user}:")]
        shadow = self.folder / "shadow"
        shadow.touch(0o600)
        shadow.write_text("\n".join([f"{self.user}:{hashed.strip()}:20000:0:99999:7:::", *others, ""]))
        script = 'mount --bind "$0" /etc/shadow && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", script, str(shadow), *words]

    def _defaults(self) -> Iterator[str]:
        yield f"ListenAddress 127.0.0.1:{self.port}"
        yield f"HostKey {self.host_key}"
        yield f"AuthorizedKeysFile {self.authorized_keys}"
        yield f"PidFile {self.folder}/sshd.pid"
        yield "UsePAM no"
        yield "StrictModes no"
        yield "PermitRootLogin yes"
        yield f"PasswordAuthentication {'yes' if self.password else 'no'}"
        yield "KbdInteractiveAuthentication no"
        yield "MaxStartups 100"
        yield "LogLevel VERBOSE"


@contextmanager
def openssh(folder: Path, *options: str, port: int | None = None, password: str = "") -> Iterator[OpenSSH]:
    """Run a server in a folder; a folder that served before keeps its host key and who may log in.

    Args:
        folder: It is made when it is missing.
        options: Lines of `sshd_config`; the first of a kind wins, so they win over ours.
        port: A free one, unless said.
        password: Taken besides keys, where it is given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    server = OpenSSH(folder, port or closed_port(), options, password)
    if not server.host_key.exists():
        make_key(server.host_key)
    server.authorized_keys.touch()
    server.start()
    try:
        yield server
    finally:
        children = server.children()
        server.stop()
        for number in children:
            with suppress(ProcessLookupError):
                os.kill(number, 15)
