"""`tunnel stop`: end a tunnel that is held on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from internlm_setup.cli.commands.tunnel._bare import COMMAND
from internlm_setup.cli.help import add_command
from internlm_setup.cli.language import say
from internlm_setup.cli.session import Session
from internlm_setup.core.text import Text

_STOPPED = Text(en="the tunnel to {server} is stopped (process {pid})", zh="到 {server} 的隧道已停止（进程 {pid}）")


def register(noun: typer.Typer) -> None:
    """Add the verb."""
    says = Text(en="Stop a tunnel, here or in the background", zh="停止一条隧道，无论在前台还是后台")
    add_command(noun, stop, says=says, examples=[f"{COMMAND} stop", f"{COMMAND} stop 6006"])


def stop(
    ctx: typer.Context,
    port: Annotated[
        int | None,
        typer.Argument(metavar="PORT", help=say("A port that it holds here", "它在本机占用的端口")),
    ] = None,
) -> None:
    """Find it, ask it, wait for its end."""
    session = Session.of(ctx)
    from internlm_setup.tunnel import records

    record, status = records.chosen(session.paths.state, port)
    records.stop(record)
    session.output.result({"pid": status.pid, "server": status.server, "ports": status.ports})
    session.output.talk(_STOPPED.fill(server=status.server, pid=status.pid))
