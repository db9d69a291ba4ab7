"""Answers what `ssh` asks: passwords, passphrases, whether a host key is the right one."""

from __future__ import annotations

import json
import re
import shlex
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from internlm_setup.core.ssh.ask import Asker, Login, NewHostKey, Prompt
from internlm_setup.core.ssh.model import HostSpec
from internlm_setup.tunnel.engines._openssh.complaints import called

_SCRIPT = '#!/bin/sh\nexec {python} -I {program} {socket} "$@"\n'
_PASSWORD = re.compile(r"(?P<user>.+)@(?P<host>[^@]+)'s password: ?")
_PASSPHRASE = re.compile(r"Enter (?:passphrase for(?: key)?|PIN for \S+ key) '?(?P<path>.+?)'?: ?")
_NEW_KEY = re.compile(
    r"The authenticity of host '(?P<name>\S+) .*\b(?P<type>[A-Z0-9-]+) key fingerprint is (?P<print>\S+?)\.\s",
    re.DOTALL,
)
_LONGEST_BYTES = 1 << 16


class Asking:
    """A socket, and a program that `ssh` starts for each question and that asks there.

    Attributes:
        password: Whether a password, or the server's own questions, were answered.
    """

    def __init__(self, folder: Path, spec: HostSpec, ask: Asker) -> None:
        """Begin to listen.

        Args:
            folder: Of our own; the program and the socket are put there.
            spec: Whom `ssh` connects to.
            ask: Whom to ask.
        """
        self._spec, self._ask = spec, ask
        self._login = Login(spec.user, spec.host, spec.port)
        self._asked: set[str] = set()
        self.password = False
        self._program, self._socket = folder / "askpass", folder / "ask"
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self._socket))
        self._listening.listen()
        words = {"python": sys.executable, "program": Path(__file__).with_name("askpass.py"), "socket": self._socket}
        quoted = {name: shlex.quote(str(word)) for name, word in words.items()}
        self._program.write_text(_SCRIPT.format(**quoted), "utf-8")
        self._program.chmod(0o700)
        threading.Thread(target=self._serve, daemon=True, name="ssh-asking").start()

    def env(self, env: Mapping[str, str]) -> dict[str, str]:
        """Return the environment that makes `ssh` ask here."""
        display = env.get("DISPLAY", ":")  # before 8.4 it asks nobody without one
        ours = {"SSH_ASKPASS": str(self._program), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": display, "LC_ALL": "C"}
        return {**env, **ours}

    def close(self) -> None:
        """Answer nobody any more, and leave nothing behind."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for path in (self._program, self._socket):
            path.unlink(missing_ok=True)

    def answer(self, words: str, kind: str = "") -> str | None:
        """Return what to say to a question; None for nothing.

        Args:
            words: The question.
            kind: `none` where it is no question, and `ssh` only says what a person is to do.
        """
        again = words in self._asked
        self._asked.add(words)
        if kind == "none":
            self._ask.answers(self._login, words, [])
            return ""
        if found := _NEW_KEY.match(words):
            spec = called(self._spec, found["name"])
            key = NewHostKey(spec.host, spec.port, found["type"], found["print"])
            return "yes" if self._ask.trust(key) else "no"
        if found := _PASSPHRASE.fullmatch(words):
            path = Path(found["path"])
            return self._once(path, again, lambda: self._ask.passphrase(path))
        if found := _PASSWORD.fullmatch(words):
            login = Login(found["user"], found["host"], self._spec.port)
            given = self._once(login, again, lambda: self._ask.password(login))
        else:
            given = self._once(self._login, again, lambda: self._answered(words))
        self.password = self.password or given is not None
        return given

    def _answered(self, words: str) -> str | None:
        given = self._ask.answers(self._login, "", [Prompt(words, echo=False)])
        return given[0] if given else None

    def _once(self, about: Login | Path, again: bool, ask: Callable[[], str | None]) -> str | None:
        """Ask; when the same is asked again the answer was wrong, and only an old one is worth a second try."""
        return None if again and not self._ask.forget(about) else ask()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listening.accept()
                with sock, suppress(OSError, ValueError), sock.makefile("rwb") as line:
                    words, kind = json.loads(line.readline(_LONGEST_BYTES))
                    line.write(json.dumps(self.answer(words, kind)).encode() + b"\n")
