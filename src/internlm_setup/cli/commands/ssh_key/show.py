"""`ssh-key show`: a public key, ready to be pasted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from internlm_setup.cli.help import add_command
from internlm_setup.cli.key_shown import draw_key
from internlm_setup.cli.language import say
from internlm_setup.cli.session import Session
from internlm_setup.core.text import Text


def register(noun: typer.Typer) -> None:
    """Add the verb."""
    says = Text(
        en="Print a public key alone on stdout\n\nKEY is a private key of any format, or its `.pub`; "
        "without it the key that `ssh-key` would show. Nothing is made.",
        zh="向标准输出单独写出公钥\n\nKEY 是任何格式的私钥，或其 `.pub`；"
        "省略时为 `ssh-key` 会显示的密钥。不会生成任何内容。",
    )
    examples = ["internlm-setup ssh-key show", "internlm-setup ssh-key show ~/.ssh/id_rsa --json"]
    add_command(noun, show, says=says, examples=examples)


def show(
    ctx: typer.Context,
    key: Annotated[Path | None, typer.Argument(metavar="KEY", help=say("The key's file", "密钥文件"))] = None,
) -> None:
    """Find it and show it."""
    session = Session.of(ctx)
    from internlm_setup.ssh_key import service

    draw_key(session, service.chosen(service.key_folder(session.home), key))
