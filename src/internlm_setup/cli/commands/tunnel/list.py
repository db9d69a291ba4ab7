"""`tunnel list`: the profiles that a tunnel can be called by."""

from __future__ import annotations

import typer

from internlm_setup.cli.commands.tunnel._bare import COMMAND
from internlm_setup.cli.help import add_command
from internlm_setup.cli.session import Session
from internlm_setup.core.text import Text

_COLUMNS = (
    Text(en="PROFILE", zh="配置"),
    Text(en="SERVER", zh="服务器"),
    Text(en="FORWARDS", zh="转发"),
    Text(en="WHAT IT IS", zh="说明"),
)


def register(noun: typer.Typer) -> None:
    """Add the verb."""
    says = Text(
        en="List the profiles: servers and forwards that have a name\n\n"
        "Your own stand in `tunnels.yaml` in the configuration folder.",
        zh="列出配置：有名称的服务器和转发\n\n自己的配置写在配置文件夹的 `tunnels.yaml` 中。",
    )
    add_command(noun, list_, says=says, examples=[f"{COMMAND} list"], name="list")


def list_(ctx: typer.Context) -> None:
    """Show them; the default first."""
    session = Session.of(ctx)
    from internlm_setup.tunnel.held import option_of
    from internlm_setup.tunnel.service import World

    known = World(session.env, session.home, session.paths).profiles
    found = sorted(known.by_name.values(), key=lambda profile: (profile.name != known.default, profile.name))
    session.output.result({"default": known.default, "profiles": found})
    rows = []
    for one in found:
        server = (f"{one.user}@" if one.user else "") + one.host + (f" port {one.port}" if one.port else "")
        rows.append((one.name, server, ", ".join(map(option_of, one.forwards)), one.title.of(session.language)))
    session.output.table(_COLUMNS, rows)
