"""`tunnel unit`: the file that makes this system hold tunnels by itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from internlm_setup.cli.commands.tunnel._bare import COMMAND
from internlm_setup.cli.errors import WrongCommandLine
from internlm_setup.cli.help import add_command
from internlm_setup.cli.language import say
from internlm_setup.cli.session import Session
from internlm_setup.core.text import Text

_ONE = Text(
    en="here each tunnel has a file of its own: name one at a time", zh="本系统中每条隧道各有一个文件：请一次只写一个"
)


def register(noun: typer.Typer) -> None:
    """Add the verb."""
    says = Text(
        en="Print the file that makes this system hold tunnels from the login on\n\n"
        "For systemd, launchd or the Task Scheduler, on stdout; how to install it is said beside it. "
        "The profiles need a port of their own: see `tunnel list`.",
        zh="输出让系统在登录后自动保持隧道的文件\n\n"
        "适用于 systemd、launchd 或任务计划程序；文件内容写到 stdout，安装方法另行说明。"
        "配置中必须写明端口：见 `tunnel list`。",
    )
    add_command(noun, unit, says=says, examples=[f"{COMMAND} unit lab", f"{COMMAND} unit lab home --json"])


def unit(
    ctx: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="PROFILE…", help=say("Profiles to hold", "要保持的配置"))],
) -> None:
    """See that each can be held, and print the file."""
    session = Session.of(ctx)
    from internlm_setup.tunnel import units
    from internlm_setup.tunnel.service import Request, World, plan

    world = World(session.env, session.home, session.paths)
    for name in names:
        plan(Request(words=(world.profiles.want(name).name,)), world)
    made = units.for_system(sys.platform, Path(sys.executable), names)
    if made is None:
        raise WrongCommandLine(_ONE, f"{COMMAND} unit")
    session.output.result({"file": made.file, "unit": made.text})
    session.output.line(made.text.rstrip("\n"))
    for line in made.install:
        session.output.talk(line)
