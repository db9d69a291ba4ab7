"""`playground`: run anything where hubs, mirrors and a dev machine are stand-ins on this one."""

from __future__ import annotations

import shlex
import sys
import threading
from collections.abc import Mapping
from typing import Annotated

import typer

from internlm_setup.cli.help import add_command
from internlm_setup.cli.language import say
from internlm_setup.cli.place import Place, opened, run
from internlm_setup.cli.session import Session
from internlm_setup.cli.signals import ended_by_ctrl_c
from internlm_setup.cli.standins import SSH_PORT, dev_host, give_key
from internlm_setup.core.text import Text

EXAMPLES = (
    "internlm-setup playground -- internlm-setup fetch internlm-chat-7b --source modelscope",
    "internlm-setup playground -- internlm-setup tunnel --port 33090",
    "internlm-setup playground shell",
    "internlm-setup playground serve",
)
STAND_IN = Text(
    en="playground: the hubs, the model, the mirrors and the dev machine here are small stand-ins on this machine; "
    "nothing leaves it, and HOME is a throw-away folder",
    zh="playground：这里的平台、模型、镜像站和开发机都是本机上的小型替身；不会有任何数据离开本机，HOME 也是临时文件夹",
)
_ELSEWHERE = Text(
    en="port {usual} is taken here, so the dev machine is on another: `internlm-setup tunnel --port {port}`",
    zh="本机端口 {usual} 已被占用，开发机改用另一个端口：`internlm-setup tunnel --port {port}`",
)
_DEV_MACHINE = Text(en="and for the dev machine: `{command}`", zh="开发机：`{command}`")


def register(app: typer.Typer) -> None:
    """Add the command."""
    says = Text(
        en="Run a command where hubs, mirrors and a dev machine are stand-ins\n\n"
        "After `--` comes the command; `shell` opens a shell; `serve` keeps the servers up for other clients. "
        "No internet is needed. The real servers, your logins and your home folder are not touched.",
        zh="在本机的替身平台、镜像站和开发机中运行命令\n\n"
        "`--` 之后是要运行的命令；`shell` 打开一个 shell；`serve` 让服务器一直运行，供其他客户端使用。"
        "不需要互联网，也不会接触真实的服务器、你的登录信息和主目录。",
    )
    settings = {"allow_interspersed_args": False}
    add_command(app, playground, says=says, examples=EXAMPLES, settings=settings)


def playground(
    ctx: typer.Context,
    command: Annotated[
        list[str],
        typer.Argument(
            metavar="COMMAND", help=say("shell, serve, or -- and any command", "shell、serve，或 -- 加任意命令")
        ),
    ],
) -> None:
    """Open the playground, run what was asked, end with its exit code."""
    session = Session.of(ctx)
    with opened(session.env, session.language) as place:
        session.output.talk(STAND_IN)
        if place.machine.port != SSH_PORT:
            session.output.talk(_ELSEWHERE.fill(usual=SSH_PORT, port=place.machine.port))
        give_key(place.home)
        if command == ["serve"]:
            _serve(session, place)
            return
        line = [_shell(session.env)] if command == ["shell"] else command
        code = run(line, place.env)
    session.output.result({"command": line, "exit_code": code})
    raise typer.Exit(code)


def _shell(env: Mapping[str, str]) -> str:
    return env.get("COMSPEC", "cmd") if sys.platform == "win32" else env.get("SHELL", "/bin/sh")


def _serve(session: Session, place: Place) -> None:
    """Print how to get here, then wait for Ctrl-C."""
    variables = place.variables
    config = shlex.quote(str(place.home / ".ssh" / "config"))
    ssh = f"ssh -F {config} -p {place.machine.port} {dev_host()} -N -L 6006:127.0.0.1:6006"
    session.output.result({"environment": variables, "ssh": ssh})
    session.output.event({"event": "serving", "environment": variables, "ssh": ssh})
    for name, value in variables.items():
        session.output.result({}, f"export {name}={value}")
    session.output.talk(
        Text(
            en="serving; set these variables in another terminal; Ctrl-C ends it",
            zh="正在服务；请在另一个终端中设置以上变量；按 Ctrl-C 结束",
        )
    )
    session.output.talk(_DEV_MACHINE.fill(command=ssh))
    with ended_by_ctrl_c():
        threading.Event().wait()
