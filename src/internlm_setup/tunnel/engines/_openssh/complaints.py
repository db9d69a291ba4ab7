"""What `ssh` says while it connects and afterwards, and what of it is a trouble."""

from __future__ import annotations

import queue
import re
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import IO

from internlm_setup.core.errors import SetupError
from internlm_setup.core.log import mask
from internlm_setup.core.ssh.connect_errors import (
    ConnectionLost,
    HostKeyChanged,
    HostKeyNew,
    HostKeyRevoked,
    HostUnknown,
    HostUnreachable,
    JumpRefused,
    NoCommonAlgorithm,
    NotSsh,
    ServerSilent,
)
from internlm_setup.core.ssh.known_hosts import host_name, look
from internlm_setup.core.ssh.login_errors import KeyRefused, NoWayIn, PasswordRefused, TooManyKeys
from internlm_setup.core.ssh.model import HostSpec
from internlm_setup.core.text import Text
from internlm_setup.tunnel.errors import OpenSshFailed

PATIENCE_S = 10
_MOST_LINES = 200
_LONGEST_WORDS = 200
_DEBUG = "debug1: "
_PROVED = "SSH2_MSG_SERVICE_ACCEPT received"
_REFUSAL = re.compile(r"channel \d+: open failed: (.*)")
_NOISE = re.compile(r"debug1: |Warning: Permanently added|Pseudo-terminal|\s*$|OpenSSH_|Authenticated to")
_OFFERED = re.compile(r"Offering public key: (.*?)(?: explicit| agent|$)", re.MULTILINE)
_NOT_FROM_THERE = Text(en="the jump host could not connect to it", zh="跳板机无法连接到它")
_CAUSES = {"refused": "refused", "No route": "no-route", "unreachable": "no-route"}


class NoCommands(Exception):
    """`ssh` was logged in, and the server ran no command."""


class Complaints:
    """Reads the standard error of an `ssh -v` to its end, in a thread of its own.

    Attributes:
        refusals: Why the server did not open a stream, in order.
    """

    def __init__(self, process: subprocess.Popen[bytes], proved: Callable[[], object]) -> None:
        """Begin to read; `proved` is called when the server has proved who it is."""
        self.refusals: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._lines: deque[str] = deque(maxlen=_MOST_LINES)
        self._thread = threading.Thread(
            target=self._read, args=(process.stderr, proved), daemon=True, name="ssh-complaints"
        )
        self._thread.start()

    def lines(self, patience_s: float = 1.0) -> list[str]:
        """Return what it said last; `ssh` has ended."""
        self._thread.join(patience_s)
        return list(self._lines)

    def _read(self, pipe: IO[bytes], proved: Callable[[], object]) -> None:
        with pipe:
            for raw in pipe:
                line = raw.decode("utf-8", "replace").rstrip()
                self._lines.append(line)
                if _PROVED in line:
                    proved()
                elif found := _REFUSAL.match(line):
                    self.refusals.put(found[1])


def trouble(lines: Iterable[str], spec: HostSpec, *, password: bool, commands: bool = False) -> Exception:
    """Say in our words why an `ssh -v` did not connect. Reads the files of known hosts.

    Args:
        lines: What it said.
        spec: Whom it should have connected to.
        password: Whether a password was tried.
        commands: Whether it was told to run one.

    Returns:
        A SetupError, or NoCommands.
    """
    said = "\n".join(lines)
    if commands and "Entering interactive session" in said:
        return NoCommands()
    for find in (_way, _host_key, _login):
        if error := find(said, spec, password):
            return error
    words = [line for line in said.split("\n") if not _NOISE.match(line)]
    return OpenSshFailed(spec.host, mask(words[-1] if words else "")[:_LONGEST_WORDS])


def _way(said: str, spec: HostSpec, _: bool) -> SetupError | None:
    for pattern, error in _WAYS:
        if found := pattern.search(said):
            return error(found, spec)
    return None


def _unreachable(found: re.Match[str], _: HostSpec) -> SetupError:
    cause = next((cause for words, cause in _CAUSES.items() if words in found[3]), "time-out")
    return HostUnreachable(found[1], int(found[2]), cause, _text(found[3]))


def _no_jump(found: re.Match[str], spec: HostSpec) -> SetupError:
    if "prohibited" in found[1] and spec.jumps:
        return JumpRefused(spec.jumps[-1].host, spec.host, spec.port)
    return HostUnreachable(spec.host, spec.port, "jump", _NOT_FROM_THERE)


_WAYS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], HostSpec], SetupError]], ...] = (
    (
        re.compile(r"Could not resolve hostname (\S+): (.*)"),
        lambda found, _: HostUnknown(found[1], _text(found[2])),
    ),
    (re.compile(r"^(?:ssh: )?connect to host (\S+) port (\d+): (.*)", re.MULTILINE), _unreachable),
    (re.compile(r"open failed: (.*)\n(?:.*\n)*?stdio forwarding failed"), _no_jump),
    (
        re.compile(r"no matching (.+) found\. Their offer: (.*)"),
        lambda found, spec: NoCommonAlgorithm(spec.host, spec.port, _text(found[1]), found[2], "`ssh -Q`"),
    ),
    (
        re.compile(r"(?:banner line|version string|identification string).*?: ?(.*)"),
        lambda found, spec: NotSsh(spec.host, spec.port, found[1][:_LONGEST_WORDS]),
    ),
    (
        re.compile(r"timed out during banner exchange"),
        lambda _, spec: ServerSilent(spec.host, spec.port, PATIENCE_S),
    ),
)


def called(spec: HostSpec, name: str) -> HostSpec:
    """Return the server on the way that known hosts have under a name; the last one where it is none of them."""
    return next((each for each in spec.jumps if host_name(*_known_by(each)) == name), spec)


def _known_by(spec: HostSpec) -> tuple[str, int]:
    return (spec.known_as, 22) if spec.known_as else (spec.host, spec.port)


def _host_key(said: str, spec: HostSpec, _: bool) -> SetupError | None:
    shown = re.search(r"Server host key: (\S+) (\S+)", said)
    if ("Host key verification failed" not in said and "REVOKED HOST KEY" not in said) or shown is None:
        return None
    changed = re.search(r"Host key for (\S+) has changed", said)
    spec = called(spec, changed[1]) if changed else spec
    host, port, kind, print_ = spec.host, spec.port, shown[1], shown[2]
    name, where = _known_by(spec)
    if "REVOKED HOST KEY" in said:
        revoked = next(iter(look(spec.known_hosts, name, where).revoked), None)
        file, line = (str(revoked.file), revoked.line) if revoked else (str(spec.known_hosts[0]), 0)
        return HostKeyRevoked(host, port, print_, file, line)
    if found := re.search(r"Offending .*key in (.+):(\d+)", said):
        if found[1] not in map(str, spec.known_hosts):  # a server can say that too, and it would be part of a command
            return None
        forget = f'ssh-keygen -R "{host_name(name, where)}" -f "{found[1]}"'
        return HostKeyChanged(host, port, kind, print_, found[1], int(found[2]), forget)
    return HostKeyNew(host, port, kind, print_)


def _login(said: str, spec: HostSpec, password: bool) -> SetupError | None:
    tried = ", ".join(
        dict.fromkeys(re.findall(r"Offering public key: (.*?)(?: explicit| agent|$)", said, re.MULTILINE))
    )
    if "Too many authentication failures" in said and not password:
        return TooManyKeys(spec.host, tried.count(", ") + 1, tried)
    if found := re.search(r"Permission denied \((.*)\)", said):
        if password:
            return PasswordRefused(spec.user, spec.host, f" ({tried})" if tried else "")
        return KeyRefused(spec.user, spec.host, tried, _text("")) if tried else NoWayIn(spec.user, spec.host, found[1])
    if found := re.search(r"Received disconnect from [^\n]*?:\d+: ?(.*)", said):
        return ConnectionLost(spec.host, spec.port, f": {found[1]}")
    if re.search(r"[Cc]onnection (?:closed|reset)|closed by remote host|Broken pipe", said):
        return ConnectionLost(spec.host, spec.port)
    return None


def _text(words: str) -> Text:
    return Text(en=words, zh=words)
