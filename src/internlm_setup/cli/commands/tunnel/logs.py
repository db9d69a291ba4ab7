"""`tunnel logs`: what a tunnel in the background has said so far."""

from __future__ import annotations

from typing import Annotated

import typer

from internlm_setup.cli.commands.tunnel._bare import COMMAND
from internlm_setup.cli.help import add_command
from internlm_setup.cli.language import say
from internlm_setup.cli.session import Session
from internlm_setup.core.text import Text

_TO_THE_SECOND = len("2026-12-31T23:59:59")


def register(noun: typer.Typer) -> None:
    """Add the verb."""
    says = Text(
        en="Print what a tunnel in the background said\n\n"
        "Without PORT the one that was started last, even if it has ended.",
        zh="输出后台隧道的日志\n\n省略 PORT 时为最近启动的一条；它可以已经结束。",
    )
    add_command(noun, logs, says=says, examples=[f"{COMMAND} logs", f"{COMMAND} logs 6006 --json"])


def logs(
    ctx: typer.Context,
    port: Annotated[
        int | None,
        typer.Argument(metavar="PORT", help=say("The first port that it holds here", "它在本机占用的第一个端口")),
    ] = None,
) -> None:
    """Find the log and print its lines."""
    session = Session.of(ctx)
    from internlm_setup.cli.tunnel_background import logged
    from internlm_setup.core.files import reading
    from internlm_setup.tunnel import records

    log = records.log_of(session.paths.state, port)
    with reading(log):
        said = [event for event in logged(log) if event.get("event") != "asked"]
    session.output.result({"path": log, "events": [event for event in said if "event" in event]})
    for event in said:
        words = event.get("words") or [error["message"] for error in event.get("errors", ())]
        for line in words:
            session.output.line(f"{event.get('at', '')[:_TO_THE_SECOND].replace('T', ' ')} {line}".strip())
