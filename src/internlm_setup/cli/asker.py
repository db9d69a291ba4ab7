"""What a connection asks a person: whether a server is the right one, passwords, passphrases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from internlm_setup.cli.output import Output
from internlm_setup.core.ssh.ask import Login, NewHostKey, Prompt
from internlm_setup.core.text import Text, printable

_FIRST = Text(
    en="first contact with {host}, port {port}; its key ({kind}) has the fingerprint {fingerprint}",
    zh="首次连接 {host}，端口 {port}；它的密钥（{kind}）指纹为 {fingerprint}",
)
_TRUST = Text(en="is that the right server? [y/N] ", zh="这是正确的服务器吗？[y/N] ")
_PASSWORD = Text(en="password of {user}@{host}: ", zh="{user}@{host} 的密码：")
_PASSPHRASE = Text(en="passphrase for `{path}`: ", zh="`{path}` 的口令：")


class TerminalAsker:
    """Asks on the terminal; without one, or with `--json`, nobody answers."""

    def __init__(self, output: Output, aside: Callable[[], AbstractContextManager[object]] = nullcontext) -> None:
        """Take where to ask; `aside` moves away what is drawn there meanwhile."""
        self._output, self._aside = output, aside

    def trust(self, key: NewHostKey) -> bool | None:
        """See `Asker.trust`."""
        fields = {"host": key.host, "port": key.port, "kind": key.key_type, "fingerprint": key.fingerprint}
        said = {name: printable(str(words)) for name, words in fields.items()}
        question = Text(en=f"{_FIRST.en}\n{_TRUST.en}", zh=f"{_FIRST.zh}\n{_TRUST.zh}")
        answer = self._ask(question.fill(**said))
        return None if answer is None else answer.strip().lower() in {"y", "yes"}

    def password(self, login: Login) -> str | None:
        """See `Asker.password`."""
        return self._ask(_PASSWORD.fill(user=printable(login.user), host=printable(login.host)), hidden=True)

    def answers(self, login: Login, title: str, prompts: Sequence[Prompt]) -> list[str] | None:
        """See `Asker.answers`; each line of the server's own words says whose it is, and is shown as it can be.

        A server may ask for the passphrase of a key in the very words that we would use.
        """
        if not prompts:  # it only says what to do, such as touching a key
            words = _quoted(login, title)
            self._output.talk(Text(en=words, zh=words))
        given: list[str] = []
        for prompt in prompts:
            words = _quoted(login, f"{title}\n{prompt.words}".strip()) + " "
            answer = self._ask(Text(en=words, zh=words), hidden=not prompt.echo)
            if answer is None:
                return None
            given.append(answer.rstrip("\r\n"))
            title = ""
        return given

    def passphrase(self, path: Path) -> str | None:
        """See `Asker.passphrase`."""
        return self._ask(_PASSPHRASE.fill(path=printable(str(path))), hidden=True)

    def forget(self, refused: Login | Path) -> bool:
        """See `Asker.forget`: nothing is kept here."""
        del refused
        return False

    def _ask(self, words: Text, *, hidden: bool = False) -> str | None:
        with self._aside():
            return self._output.ask(words, hidden=hidden)


def _quoted(login: Login, words: str) -> str:
    whose = f"({login.user}@{login.host}) "
    lines = (line if line.startswith(whose) else whose + line for line in words.split("\n"))  # `ssh` says it itself
    return printable("\n".join(lines))
