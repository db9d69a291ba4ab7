"""Somebody who answers what a server or a key file asks: a stand-in for a terminal, and the value to connect with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from internlm_setup.core.ssh.ask import Login, NewHostKey, Prompt
from internlm_setup.core.ssh.model import HostSpec
from servers.openssh import Sshd


@dataclass
class Person:
    """Answers as told; None is nobody.

    Attributes:
        asked: What was asked, in order.
    """

    trusts: bool | None = None
    passwords: list[str] = field(default_factory=list)
    replies: list[list[str]] = field(default_factory=list)
    passphrases: dict[str, str] = field(default_factory=dict)
    asked: list[object] = field(default_factory=list)

    def trust(self, key: NewHostKey) -> bool | None:
        """See `Asker.trust`."""
        self.asked.append(key)
        return self.trusts

    def password(self, login: Login) -> str | None:
        """See `Asker.password`."""
        self.asked.append(login)
        return self.passwords.pop(0) if self.passwords else None

    def answers(self, login: Login, title: str, prompts: Sequence[Prompt]) -> list[str] | None:
        """See `Asker.answers`."""
        del login, title
        self.asked += [prompt.words for prompt in prompts]
        return self.replies.pop(0) if self.replies else None

    def passphrase(self, path: Path) -> str | None:
        """See `Asker.passphrase`."""
        self.asked.append(path.name)
        return self.passphrases.get(path.name)

    def forget(self, refused: Login | Path) -> bool:
        """See `Asker.forget`."""
        del refused
        return False


def spec_of(server: Sshd, *keys: Path, known: bool = True) -> HostSpec:
    """Return how to reach a server with these keys; it is known unless said."""
    file = server.folder / "known_hosts"
    file.write_text(server.known_line if known else "")
    return HostSpec("127.0.0.1", server.port, server.user, "box", keys, known_hosts=(file,))


def public(key: Path) -> str:
    """Return the line of a key's public half."""
    return Path(f"{key}.pub").read_text().strip()
