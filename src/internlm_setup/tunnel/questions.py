"""Questions to a person, asked in the one thread that owns the terminal, wherever they come up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

from internlm_setup.core.ssh.ask import Asker, Login, NewHostKey, Prompt, Remembering

Answer = TypeVar("Answer")


class Questions:
    """An asker for connecting threads: it hands each question over and waits for the answer.

    Ctrl-C while somebody types is then met where the terminal is put right again. Answers are kept for reconnects.

    Attributes:
        closed: Nobody is asked any more.
    """

    def __init__(self, asker: Asker, hand_over: Callable[[Callable[[], object]], None]) -> None:
        """Take who answers, and what runs a call in the thread that may ask."""
        self._asker, self._hand_over = Remembering(asker), hand_over
        self.closed = False

    def trust(self, key: NewHostKey) -> bool | None:
        """See `Asker.trust`."""
        return self._there(lambda: self._asker.trust(key))

    def password(self, login: Login) -> str | None:
        """See `Asker.password`."""
        return self._there(lambda: self._asker.password(login))

    def answers(self, login: Login, title: str, prompts: Sequence[Prompt]) -> list[str] | None:
        """See `Asker.answers`."""
        return self._there(lambda: self._asker.answers(login, title, prompts))

    def passphrase(self, path: Path) -> str | None:
        """See `Asker.passphrase`."""
        return self._there(lambda: self._asker.passphrase(path))

    def forget(self, refused: Login | Path) -> bool:
        """See `Asker.forget`."""
        return bool(self._there(lambda: self._asker.forget(refused)))

    def _there(self, ask: Callable[[], Answer]) -> Answer | None:
        given: Future[Answer | None] = Future()

        def answer() -> None:
            answers: list[Answer | None] = [None]
            try:
                answers = [None if self.closed else ask()]
            finally:  # Ctrl-C at the question is no answer, and goes its own way here
                given.set_result(answers[0])

        self._hand_over(answer)
        return given.result()
