"""What a person is asked, in whose name."""

from __future__ import annotations

from internlm_setup.cli.asker import TerminalAsker
from internlm_setup.cli.output import Output
from internlm_setup.core.ssh.ask import Login, NewHostKey, Prompt
from internlm_setup.core.text import Text

BOX = Login("root", "box", 22)


class Terminal(Output):
    """A person who says `yes` to everything, and what was shown."""

    def __init__(self) -> None:
        super().__init__(language="en", env={})
        self.shown: list[str] = []

    def ask(self, words: Text, *, hidden: bool = False) -> str | None:
        del hidden
        self.shown.append(words.en)
        return "yes\n"

    def talk(self, words: Text | str) -> None:
        self.shown.append(words if isinstance(words, str) else words.en)


def test_a_server_that_speaks_as_we_do() -> None:
    """Each line says that it is the server's; its colours and cursor are not."""
    terminal = Terminal()
    asker = TerminalAsker(terminal)
    prompts = [Prompt("\x1b[2J\npassphrase for `/home/me/.ssh/id_ed25519`:", echo=False), Prompt("Code:", echo=True)]
    assert asker.answers(BOX, "Hello", prompts) == ["yes", "yes"]
    asker.answers(BOX, "(root@box) touch it", [])
    assert terminal.shown == [
        "(root@box) Hello\n(root@box) \\x1b[2J\n(root@box) passphrase for `/home/me/.ssh/id_ed25519`: ",
        "(root@box) Code: ",
        "(root@box) touch it",
    ]


def test_names_that_are_not_ours() -> None:
    """They come from what `ssh` asked, and are shown as they can be."""
    terminal = Terminal()
    TerminalAsker(terminal).password(Login("me\x1b[8m", "box\x9b", 22))
    TerminalAsker(terminal).trust(NewHostKey("box", 22, "ED25519", "SHA256:\x1b[1A"))
    assert not any(c in "".join(terminal.shown) for c in "\x1b\x9b")
