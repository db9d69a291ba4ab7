"""`mirrors upgrade-pip`: a newer pip, through a mirror where the present index is poor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from internlm_setup.cli.help import add_command
from internlm_setup.cli.language import say
from internlm_setup.cli.place import run
from internlm_setup.cli.session import Session
from internlm_setup.core.text import Text

_HOW = Text(en="upgrading pip {why}", zh="正在升级 pip：{why}")


def register(noun: typer.Typer) -> None:
    """Add the verb."""
    says = Text(
        en="Upgrade pip, through a mirror where the present index is poor\n\n"
        "The pip of the Python that PATH leads to; one that the system manages is left alone.",
        zh="升级 pip，当前软件源不佳时使用镜像\n\n升级 PATH 中 Python 的 pip；由系统管理的 Python 不会改动。",
    )
    examples = ["internlm-setup mirrors upgrade-pip", "internlm-setup mirrors upgrade-pip --site tuna"]
    add_command(noun, upgrade_pip, says=says, examples=examples)


def upgrade_pip(
    ctx: typer.Context,
    site: Annotated[
        str | None,
        typer.Option("--site", metavar="ID", help=say("A site of `mirrors list`", "`mirrors list` 中的站点")),
    ] = None,
) -> None:
    """Upgrade, and end with pip's exit code."""
    session = Session.of(ctx)
    from internlm_setup.mirrors.plan import redacted
    from internlm_setup.mirrors.upgrade_pip import upgrade as plan_upgrade
    from internlm_setup.mirrors.world import make_world

    upgrade = plan_upgrade(site, make_world(session.env, session.home, Path.cwd(), session.paths))
    session.output.talk(_HOW.fill(why=upgrade.why))
    code = run(list(upgrade.command), {**session.env, **upgrade.variables})
    safe = {name: redacted(value) for name, value in upgrade.variables.items()}
    session.output.result({"command": upgrade.command, "variables": safe, "exit_code": code})
    raise typer.Exit(code)
