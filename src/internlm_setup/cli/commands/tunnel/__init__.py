"""`tunnel`: bare, it holds forwards to a server open; one file a verb."""

from __future__ import annotations

import importlib
from typing import Any

import typer

from internlm_setup.cli.commands.tunnel._bare import COMMAND, HOLD, tunnel
from internlm_setup.cli.help import Group, add_group
from internlm_setup.core import registry
from internlm_setup.core.text import Text


def register(app: typer.Typer) -> None:
    """Add the noun, and every verb that has a file here."""
    says = Text(
        en="Hold a server's ports open here, through drops, sleep and recreated machines\n\n"
        "Bare: port 6006 of your InternStudio dev machine, at http://127.0.0.1:6006. "
        "A profile's name, or the `ssh` command that a console shows, may stand behind the options.",
        zh="把服务器的端口保持在本机可用，断线、休眠、重建开发机都不中断\n\n"
        "不带动词时，把 InternStudio 开发机的 6006 端口接到 http://127.0.0.1:6006。"
        "选项之后可以写配置名，或控制台显示的 `ssh` 命令。",
    )
    examples = [
        f"{COMMAND} --port 33090",
        f"{COMMAND} --port 33090 -L 7860 --open",
        f"{COMMAND} ssh -p 33090 root@ssh.intern-ai.org.cn -CNg -L 6006:127.0.0.1:6006",
    ]
    noun = add_group(app, "tunnel", says=says, examples=examples, bare=tunnel, kind=_Words)
    for name in registry.modules(__name__):
        importlib.import_module(name).register(noun)


class _Words(Group):
    """What is no verb is a profile or a pasted command: `hold` may be left out."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the verb."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = [HOLD, *args]
        return super().resolve_command(ctx, args)
