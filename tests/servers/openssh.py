"""The real OpenSSH server on loopback, with host keys, a home folder and a list of keys of its own."""

from __future__ import annotations

import base64
import getpass
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from servers.rude import closed_port

SSHD = shutil.which("sshd", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))
_GOODBYE_S = 5.0
# The password list that the account's password stands in is the server's alone: it lives in its own namespace.
_OWN_SHADOW = 'mount --bind "$0" /etc/shadow && exec "$@"'


@dataclass
class Sshd:
    """A server.

    Attributes:
        folder: All its files are in there.
        port: On 127.0.0.1.
        user: The only account that can log in: our own.
        password: What lets it in besides keys; empty for keys alone.
        lines: More of `sshd_config`, which win.
        enter: Words that lead a command into the network where it listens.
        log: What the server said, line by line.
    """

    folder: Path
    port: int
    user: str
    password: str = ""
    lines: Sequence[str] = ()
    enter: Sequence[str] = ()
    log: list[str] = field(default_factory=list)
    _process: subprocess.Popen[str] | None = None

    @property
    def home(self) -> Path:
        """The account's home folder during sessions."""
        return self.folder / "home"

    @property
    def authorized_keys(self) -> Path:
        """The list of keys that open the door, where it usually is."""
        return self.home / ".ssh" / "authorized_keys"

    @property
    def host_key(self) -> str:
        """The server's public key, as `known_hosts` has it behind the name."""
        return " ".join((self.folder / "host_key.pub").read_text().split()[:2])

    @property
    def known_line(self) -> str:
        """The line that makes the server known."""
        return f"[127.0.0.1]:{self.port} {self.host_key}\n"

    def authorize(self, line: str) -> None:
        """Let a public key in."""
        self.authorized_keys.parent.mkdir(mode=0o700, exist_ok=True)
        with self.authorized_keys.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def configure(self) -> Path:
        """Write its configuration, for whoever starts it."""
        config = self.folder / "sshd_config"
        config.write_text("\n".join([*self.lines, *self._settings()]) + "\n", encoding="utf-8")
        return config

    def start(self) -> None:
        """Start it, again with the same keys on the same port; it listens when this returns."""
        assert SSHD is not None
        config = self.configure()
        command = [*self.enter, SSHD, "-D", "-e", "-f", str(config)]
        if self.password:
            command = ["unshare", "--mount", "sh", "-c", _OWN_SHADOW, str(self._shadow()), *command]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8")
        self._process = process
        listening = threading.Event()

        def read() -> None:
            assert process.stderr is not None
            with process.stderr as lines:
                for line in lines:
                    self.log.append(line.rstrip())
                    if "listening on" in line:
                        listening.set()
            listening.set()

        threading.Thread(target=read, daemon=True).start()
        listening.wait()
        assert process.poll() is None, self.log

    def stop(self) -> None:
        """End it; connections that are up stay up, as they do with the real one."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_GOODBYE_S)
            self._process = None

    def sessions(self) -> list[int]:
        """Return the processes that serve the connections that are up."""
        if self._process is None:
            return []
        pid = self._process.pid
        return [int(number) for number in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def _shadow(self) -> Path:
        hashing = ["openssl", "passwd", "-6", "-stdin"]
        hashed = subprocess.run(hashing, input=self.password, check=True, capture_output=True, encoding="utf-8").stdout
        others = [line for line in Path("/etc/shadow").read_text().splitlines() if not line.startswith(f"{self.user}:")]
        file = self.folder / "shadow"
        file.touch(0o600)
        file.write_text("\n".join([f"{self.user}:{hashed.strip()}:20000:0:99999:7:::", *others, ""]))
        return file

    def _settings(self) -> list[str]:
        return [
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {self.folder / 'host_key'}",
            f"PidFile {self.folder / 'sshd.pid'}",
            f"AuthorizedKeysFile {self.authorized_keys}",
            f"SetEnv HOME={self.home}",
            "StrictModes no",  # the temporary folder may be anybody's
            "UsePAM no",
            f"PasswordAuthentication {'yes' if self.password else 'no'}",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin yes",
            "MaxStartups 100",
            "LogLevel VERBOSE",
        ]


@contextmanager
def sshd(
    folder: Path, *lines: str, port: int | None = None, password: str = "", enter: Sequence[str] = ()
) -> Iterator[Sshd]:
    """Run a server until the end of the block; its connections end there too.

    Args:
        folder: Empty, or missing; everything of the server is in there.
        lines: More of `sshd_config`; they come first, so they win.
        port: Where it listens; a free port unless said.
        password: Taken for the account, besides keys. Needs root and a mount namespace.
        enter: Words that lead a command into another network.
    """
    (folder / "home").mkdir(mode=0o700, parents=True)
    make_key(folder / "host_key")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where it locks its unprivileged half into
    server = Sshd(folder, port or closed_port(), getpass.getuser(), password, lines, enter)
    server.start()
    try:
        yield server
    finally:
        sessions = server.sessions()
        server.stop()
        for number in sessions:
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGTERM)


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    """Make a key pair with `ssh-keygen`; returns the private file."""
    words = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "", "-f", str(path)]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, timeout=60)
    return path


def hardware_key(path: Path) -> Path:
    """Write a key file of the kind that `ssh-keygen -t ed25519-sk` makes, for a device that nobody has."""

    def string(data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + data

    kind = string(b"sk-ssh-ed25519@openssh.com")
    public = kind + string(bytes(range(32))) + string(b"ssh:")
    private = bytes(8) + public + b"\1" + string(b"handle") + string(b"") + string(b"me@here")
    private += bytes(range(1, 9))[: -len(private) % 8]
    none = string(b"none")
    whole = b"openssh-key-v1\0" + none + none + string(b"") + (1).to_bytes(4, "big") + string(public) + string(private)
    body = base64.encodebytes(whole).decode()
    path.write_text(f"-----BEGIN OPENSSH PRIVATE KEY-----\n{body}-----END OPENSSH PRIVATE KEY-----\n")
    path.chmod(0o600)
    Path(f"{path}.pub").write_text(f"sk-ssh-ed25519@openssh.com {base64.b64encode(public).decode()}\n")
    return path
