"""`mirrors undo`: files as they were before a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from internlm_setup.cli.help import add_command
from internlm_setup.cli.language import say
from internlm_setup.cli.session import Session
from internlm_setup.core.text import Text, printable

_NOTHING = Text(en="there is nothing to undo", zh="没有可以撤销的更改")
_LINE = Text(en="`{path}`: {words}", zh="`{path}`：{words}")


def register(noun: typer.Typer) -> None:
    """Add the verb."""
    says = Text(
        en="Put files back as they were before a run\n\n"
        "Byte for byte; a file that was edited since is changed key by key, and that is said. "
        "Without an ID the last run that is not undone.",
        zh="把文件恢复到某次运行之前的样子\n\n"
        "逐字节恢复；此后被编辑过的文件则逐键恢复，并会说明。不带 ID 时撤销最近一次尚未撤销的运行。",
    )
    add_command(noun, undo, says=says, examples=["internlm-setup mirrors undo", "internlm-setup mirrors undo 3"])


def undo(
    ctx: typer.Context,
    record: Annotated[
        str | None,
        typer.Argument(metavar="ID", help=say("What the run called itself", "运行时给出的编号")),
    ] = None,
) -> None:
    """Undo one run and say what became of each file."""
    session = Session.of(ctx)
    from internlm_setup.mirrors import service
    from internlm_setup.mirrors.world import make_world

    undone = service.undo(record, make_world(session.env, session.home, Path.cwd(), session.paths))
    session.output.result({"files": [{"path": one.path, "how": one.how, "words": one.words} for one in undone]})
    for one in undone:
        session.output.talk(_LINE.fill(path=printable(str(one.path)), words=one.words))
    if not undone:
        session.output.talk(_NOTHING)
