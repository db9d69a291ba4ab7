"""`mirrors reset`: our keys out of every file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from internlm_setup.cli.changes import changes_as_data, draw_change, draw_undo
from internlm_setup.cli.help import add_command
from internlm_setup.cli.language import say
from internlm_setup.cli.scopes import parse_scope, parse_tools
from internlm_setup.cli.session import Session
from internlm_setup.core.text import Text

_NOTHING = Text(en="no file leads to a mirror; nothing to do", zh="没有文件指向镜像；无需改动")


def register(noun: typer.Typer) -> None:
    """Add the verb."""
    says = Text(
        en="Take the mirrors out of every file\n\n"
        "Only keys that lead to a known mirror are removed, whoever wrote them; no other address is written. "
        "`undo` takes this back too.",
        zh="从所有文件中去掉镜像\n\n只移除指向已知镜像的键，无论由谁写入；不会写入其他地址。同样可以用 `undo` 撤销。",
    )
    examples = ["internlm-setup mirrors reset", "internlm-setup mirrors reset --tool pip --dry-run"]
    add_command(noun, reset, says=says, examples=examples)


def reset(
    ctx: typer.Context,
    tool: Annotated[str, typer.Option("--tool", metavar="A,B", help=say("These tools only", "只处理这些工具"))] = "",
    scope: Annotated[
        str | None,
        typer.Option("--scope", metavar="SCOPE", help=say("user, venv or system", "user、venv 或 system")),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help=say("Show what would be done and stop", "只显示将要做什么")),
    ] = False,
) -> None:
    """Remove, and show what was removed."""
    session = Session.of(ctx)
    from internlm_setup.mirrors import service
    from internlm_setup.mirrors.world import make_world

    world = make_world(session.env, session.home, Path.cwd(), session.paths)
    changes = service.without_mirrors(parse_tools(tool), parse_scope(scope), world)
    record = None if dry_run else service.write(changes, world)
    session.output.result({"dry_run": dry_run, "undo": record, "files": changes_as_data(changes)})
    for change in changes:
        draw_change(session, change, dry_run=dry_run)
    if not changes:
        session.output.talk(_NOTHING)
    draw_undo(session, record, dry_run=dry_run)
