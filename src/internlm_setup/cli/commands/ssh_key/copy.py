"""`ssh-key copy`: a public key on the clipboard, on this machine or where the terminal is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from internlm_setup.cli.help import add_command
from internlm_setup.cli.key_shown import FINGERPRINT, data_of, line_of
from internlm_setup.cli.language import say
from internlm_setup.cli.session import Session
from internlm_setup.core.text import Text, printable

_COPIED = Text(en="the public key of `{path}` is on the clipboard", zh="`{path}` 的公钥已在剪贴板中")
_SENT = Text(
    en="your terminal was asked to put the public key of `{path}` on its clipboard; if pasting brings something else, "
    "it does not do that (in tmux: `set -g set-clipboard on`): `internlm-setup ssh-key show` prints the key",
    zh="已请求你的终端把 `{path}` 的公钥放入剪贴板；如果粘贴出来的是别的内容，说明终端不支持"
    "（tmux 中需要 `set -g set-clipboard on`）：`internlm-setup ssh-key show` 可输出公钥",
)


def register(noun: typer.Typer) -> None:
    """Add the verb."""
    says = Text(
        en="Put a public key on the clipboard\n\nOver SSH on that of the machine you sit at, if the terminal lets us.",
        zh="把公钥放入剪贴板\n\n通过 SSH 使用时，放入你面前那台机器的剪贴板，前提是终端允许。",
    )
    add_command(noun, copy, says=says, examples=["internlm-setup ssh-key copy"])


def copy(
    ctx: typer.Context,
    key: Annotated[
        Path | None,
        typer.Argument(metavar="KEY", help=say("The key's file, as for `show`", "密钥文件，同 `show`")),
    ] = None,
) -> None:
    """Try the clipboard here, then the terminal's."""
    session = Session.of(ctx)
    from internlm_setup.ssh_key import clipboard, service
    from internlm_setup.ssh_key.errors import NoClipboard

    found = service.chosen(service.key_folder(session.home), key)
    line, path = line_of(found), printable(str(found.path))
    if not clipboard.is_elsewhere(session.env) and clipboard.copy(line):
        how, words = "clipboard", _COPIED
    elif session.output.control(clipboard.sequence(line)):
        how, words = "terminal", _SENT
    else:
        raise NoClipboard
    session.output.result({**data_of(found), "copied_to": how})
    session.output.talk(words.fill(path=path))
    session.output.talk(FINGERPRINT.fill(fingerprint=found.fingerprint))
