"""Whom to ask when connecting takes a person's word: a new host key, a password, a passphrase.

The command line has a terminal; a test has answers; `NobodyToAsk` is for when there is neither.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Login:
    """An account on a server, which a password belongs to."""

    user: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class NewHostKey:
    """A key that a server showed at first contact."""

    host: str
    port: int
    key_type: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question of a server; `echo` says whether the answer may be seen while it is typed."""

    words: str
    echo: bool


class Asker(Protocol):
    """Answers when asked; None always means that nobody can be asked, or nobody wanted to answer."""

    def trust(self, key: NewHostKey) -> bool | None:
        """Say whether a new host key is the right one."""
        ...

    def password(self, login: Login) -> str | None:
        """Return the account's password."""
        ...

    def answers(self, login: Login, title: str, prompts: Sequence[Prompt]) -> list[str] | None:
        """Return one answer to each of the server's questions; `title` is the server's, and may be empty.

        Without questions the title alone is to be shown: it says what to do, such as to touch a key.
        """
        ...

    def passphrase(self, path: Path) -> str | None:
        """Return the passphrase of a key file."""
        ...

    def forget(self, refused: Login | Path) -> bool:
        """Drop what did not open the door; True when it was an old answer, so that asking again makes sense."""
        ...


class NobodyToAsk:
    """No terminal: nothing is known."""

    def trust(self, key: NewHostKey) -> bool | None:
        """See `Asker.trust`."""
        del key
        return None

    def password(self, login: Login) -> str | None:
        """See `Asker.password`."""
        del login
        return None

    def answers(self, login: Login, title: str, prompts: Sequence[Prompt]) -> list[str] | None:
        """See `Asker.answers`."""
        del login, title, prompts
        return None

    def passphrase(self, path: Path) -> str | None:
        """See `Asker.passphrase`."""
        del path
        return None

    def forget(self, refused: Login | Path) -> bool:
        """See `Asker.forget`."""
        del refused
        return False


class Remembering:
    """Asks once and keeps the answers in memory, so that a reconnect asks nobody.

    What a server refused is forgotten: a kept one-time code is asked for anew.
    """

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self._kept: dict[object, object] = {}
        self._used_again: set[object] = set()

    def trust(self, key: NewHostKey) -> bool | None:
        """See `Asker.trust`; a trusted key is in `known_hosts` afterwards, so nothing is kept here."""
        return self._asker.trust(key)

    def password(self, login: Login) -> str | None:
        """See `Asker.password`."""
        return self._once(login, lambda: self._asker.password(login))

    def answers(self, login: Login, title: str, prompts: Sequence[Prompt]) -> list[str] | None:
        """See `Asker.answers`; what asks nothing is passed on each time."""
        if not prompts:
            return self._asker.answers(login, title, prompts)
        return self._once((login, title, *prompts), lambda: self._asker.answers(login, title, prompts))

    def passphrase(self, path: Path) -> str | None:
        """See `Asker.passphrase`."""
        return self._once(path, lambda: self._asker.passphrase(path))

    def forget(self, refused: Login | Path) -> bool:
        """See `Asker.forget`."""
        found = [kept for kept in self._kept if self._belongs(kept, refused)]
        for kept in found:
            del self._kept[kept]
        old = not self._used_again.isdisjoint(found)
        self._used_again.difference_update(found)
        return old

    @staticmethod
    def _belongs(kept: object, to: Login | Path) -> bool:
        return kept == to or (isinstance(kept, tuple) and kept[0] == to)

    def _once(self, about: object, ask: Callable[[], Answer | None]) -> Answer | None:
        if about in self._kept:
            self._used_again.add(about)
        else:
            answer = ask()
            if answer is None:
                return None
            self._kept[about] = answer
        return self._kept[about]  # type: ignore[return-value]  # what `ask` gave for the same question
