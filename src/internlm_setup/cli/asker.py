"""Questions that connecting to a server brings up, asked on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from internlm_setup.cli.output import Output
from internlm_setup.core.ssh.ask import Login, NewHostKey, Prompt
from internlm_setup.core.text import Text, printable

_NEW = Text(
    en="{host} port {port} is not known yet; its {type} key is {fingerprint}",
    zh="尚未见过 {host} 端口 {port}；其 {type} 密钥指纹为 {fingerprint}",
)
_TRUST = Text(en="is this the machine you expect? yes/no: ", zh="这是你要连接的机器吗？yes/no：")
_PASSWORD = Text(en="password of {user}@{host}: ", zh="{user}@{host} 的密码：")
_PASSPHRASE = Text(en="passphrase for `{path}`: ", zh="`{path}` 的口令：")
_YES = {"y", "yes", "是"}


class TerminalAsker:
    """Asks a person; where there is no terminal nobody answers."""

    def __init__(self, output: Output, aside: Callable[[], AbstractContextManager[object]] = nullcontext) -> None:
        """Take where to ask; `aside` moves away what is drawn on the terminal meanwhile."""
        self._output, self._aside = output, aside

    def trust(self, key: NewHostKey) -> bool | None:
        """See `core.ssh.ask.Asker.trust`."""
        if not self._output.can_ask():
            return None
        words = _NEW.fill(host=printable(key.host), port=key.port, type=key.key_type, fingerprint=key.fingerprint)
        with self._aside():
            self._output.complain(words.of(self._output.language))
            answer = self._output.ask(_TRUST)
        return answer is not None and answer.strip().lower() in _YES

    def password(self, login: Login) -> str | None:
        """See `core.ssh.ask.Asker.password`."""
        return self._hidden(_PASSWORD.fill(user=printable(login.user), host=printable(login.host)))

    def answers(self, login: Login, title: str, prompts: Sequence[Prompt]) -> list[str] | None:
        """See `core.ssh.ask.Asker.answers`."""
        del login
        if not self._output.can_ask():
            return None
        given = []
        with self._aside():
            if title:
                self._output.complain(printable(title))
            for prompt in prompts:
                words = printable(prompt.words)
                answer = self._output.ask(Text(en=words, zh=words), hidden=not prompt.echo)
                given.append((answer or "").rstrip("\n"))
        return given

    def passphrase(self, path: Path) -> str | None:
        """See `core.ssh.ask.Asker.passphrase`."""
        return self._hidden(_PASSPHRASE.fill(path=printable(str(path))))

    def forget(self, refused: Login | Path) -> bool:
        """See `core.ssh.ask.Asker.forget`: nothing is kept here."""
        del refused
        return False

    def _hidden(self, words: Text) -> str | None:
        with self._aside():
            return self._output.ask(words, hidden=True) or None
