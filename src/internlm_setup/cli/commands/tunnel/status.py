"""`tunnel status`: the tunnels that are held on this machine; on a terminal drawn in place until Ctrl-C."""

from __future__ import annotations

import time

import typer

from internlm_setup.cli.commands.tunnel._bare import COMMAND
from internlm_setup.cli.help import add_command
from internlm_setup.cli.session import Session
from internlm_setup.core.text import Text

_NONE = Text(
    en="no tunnel is held; `internlm-setup tunnel --port 33090` holds one",
    zh="没有隧道；用 `internlm-setup tunnel --port 33090` 建立一条",
)
_UNTIL = Text(en="kept up to date until Ctrl-C", zh="持续刷新，按 Ctrl-C 结束")
_LOOK_EVERY_S = 1.0


def register(noun: typer.Typer) -> None:
    """Add the verb."""
    says = Text(
        en="Show the tunnels that are held here\n\nOn a terminal the figures are kept up to date until Ctrl-C.",
        zh="显示本机保持的隧道\n\n在终端中持续刷新，直到按 Ctrl-C。",
    )
    add_command(noun, status, says=says, examples=[f"{COMMAND} status", f"{COMMAND} status --json"])


def status(ctx: typer.Context) -> None:
    """Ask every tunnel how it stands."""
    session = Session.of(ctx)
    from internlm_setup.cli.tunnel_table import COLUMNS, Rates, row_of
    from internlm_setup.tunnel import records

    state = session.paths.state
    found = [one for _, one in records.held(state)]
    session.output.result({"tunnels": found})
    if not found:
        session.output.talk(_NONE)
        return
    rates, lasting = Rates(), session.output.redraws()
    if lasting:
        session.output.talk(_UNTIL)
    with session.output.redrawn(COLUMNS) as draw:
        try:
            draw([row_of(one, rates, session.language) for one in found])
            while lasting and found:
                time.sleep(_LOOK_EVERY_S)
                found = [one for _, one in records.held(state)]
                draw([row_of(one, rates, session.language) for one in found])
        except KeyboardInterrupt:
            session.output.line("")  # the terminal wrote ^C
