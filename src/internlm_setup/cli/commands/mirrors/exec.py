"""`mirrors exec`: one command through a mirror."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from internlm_setup.cli.help import add_command
from internlm_setup.cli.language import say
from internlm_setup.cli.place import run
from internlm_setup.cli.session import Session
from internlm_setup.core.text import Text

_THROUGH = Text(en="for this command alone: {variables}", zh="仅用于这一条命令：{variables}")


def register(noun: typer.Typer) -> None:
    """Add the verb."""
    says = Text(
        en="Run one command through a mirror\n\n"
        "By variables that pip, uv, pdm, conda and npm read; nothing is written, and the exit code is the command's. "
        "`HF_ENDPOINT` is set where `--site` names a site that serves Hugging Face, which is then sent your token.",
        zh="让一条命令使用镜像\n\n"
        "通过 pip、uv、pdm、conda、npm 读取的环境变量；不写入任何文件，退出码即该命令的退出码。"
        "仅当 `--site` 指定的站点提供 Hugging Face 时才设置 `HF_ENDPOINT`，此时你的令牌也会发给它。",
    )
    examples = [
        "internlm-setup mirrors exec -- pip install transformers",
        "internlm-setup mirrors exec --site tuna -- conda install numpy",
    ]
    add_command(noun, exec_, name="exec", says=says, examples=examples, settings={"allow_interspersed_args": False})


def exec_(
    ctx: typer.Context,
    command: Annotated[
        list[str], typer.Argument(metavar="COMMAND", help=say("The command, after `--`", "`--` 之后的命令"))
    ],
    site: Annotated[
        str | None,
        typer.Option("--site", metavar="ID", help=say("A site of `mirrors list`", "`mirrors list` 中的站点")),
    ] = None,
) -> None:
    """Run it, and end with its exit code."""
    session = Session.of(ctx)
    from internlm_setup.mirrors import environment
    from internlm_setup.mirrors.plan import redacted, shown
    from internlm_setup.mirrors.world import make_world

    world = make_world(session.env, session.home, Path.cwd(), session.paths)
    variables = environment.variables(command, site, world)
    safe = {name: redacted(value) for name, value in variables.items()}
    session.output.detail(_THROUGH.fill(variables=" ".join(f"{k}={v}" for k, v in safe.items())))
    code = run(command, {**session.env, **variables})
    session.output.result({"command": shown(command), "variables": safe, "exit_code": code})
    raise typer.Exit(code)
