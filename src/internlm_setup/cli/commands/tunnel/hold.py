"""`tunnel hold`: a tunnel by a profile's name, or as a pasted `ssh` command says. `hold` may be left out."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from internlm_setup.cli.commands.tunnel._bare import COMMAND, REQUEST
from internlm_setup.cli.help import add_command
from internlm_setup.cli.language import say
from internlm_setup.core.text import Text


def register(noun: typer.Typer) -> None:
    """Add the verb."""
    says = Text(
        en="Hold a tunnel by a profile's name, or as an `ssh` command says\n\n"
        "`hold` may be left out. Options of `tunnel` stand before it.",
        zh="按配置名，或按 `ssh` 命令保持隧道\n\n`hold` 可以省略。`tunnel` 的选项写在它之前。",
    )
    examples = [
        f"{COMMAND} --port 33090 hold internstudio",
        f"{COMMAND} --open hold ssh -p 33090 root@ssh.intern-ai.org.cn -CNg -L 6006:127.0.0.1:6006",
    ]
    settings = {"allow_interspersed_args": False, "ignore_unknown_options": True}
    add_command(noun, hold, says=says, examples=examples, settings=settings)


def hold(
    ctx: typer.Context,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="PROFILE|SSH…", help=say("A profile, or a whole `ssh` command", "配置名，或一整条 `ssh` 命令")
        ),
    ],
) -> None:
    """Hold it."""
    from internlm_setup.cli.tunnel_hold import hold_it

    request, how = ctx.meta[REQUEST]
    hold_it(ctx, replace(request, words=tuple(words)), how)
