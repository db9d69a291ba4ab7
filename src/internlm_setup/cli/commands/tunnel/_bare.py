"""The noun without a verb: its options, which `hold` takes too."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from internlm_setup.cli.errors import WrongCommandLine
from internlm_setup.cli.language import say
from internlm_setup.core.text import Text

if TYPE_CHECKING:
    from internlm_setup.cli.tunnel_hold import How

COMMAND = "internlm-setup tunnel"
REQUEST = "tunnel.request"
HOLD = "hold"
_TOO_EARLY = Text(en="options stand behind the verb", zh="选项应写在动词之后")
_DURATION = Text(
    en="`{option}` takes a time such as `30s`, `10m` or `2h`, not `{given}`",
    zh="`{option}` 应为时间，例如 `30s`、`10m` 或 `2h`，而不是 `{given}`",
)
_PORT = Text(en="`--port` takes 1 to 65535, not `{given}`", zh="`--port` 应为 1 到 65535，而不是 `{given}`")
_UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3600}


def tunnel(
    ctx: typer.Context,
    port: Annotated[
        int | None,
        typer.Option("--port", "-p", metavar="N", help=say("The server's SSH port", "服务器的 SSH 端口")),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            "--host",
            metavar="NAME",
            help=say("A server, or its name in `~/.ssh/config`", "服务器或其别名"),
        ),
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", metavar="NAME", help=say("The account there", "服务器上的用户名"))
    ] = None,
    local: Annotated[
        list[str] | None,
        typer.Option(
            "-L",
            metavar="FORWARD",
            help=say("A port here that leads there; repeatable", "本机到服务器；可重复"),
        ),
    ] = None,
    remote: Annotated[
        list[str] | None,
        typer.Option(
            "-R",
            metavar="FORWARD",
            help=say("A port there that leads here; repeatable", "服务器到本机；可重复"),
        ),
    ] = None,
    dynamic: Annotated[
        list[str] | None,
        typer.Option("-D", metavar="[BIND:]PORT", help=say("A SOCKS proxy here; repeatable", "SOCKS 代理；可重复")),
    ] = None,
    jump: Annotated[
        list[str] | None,
        typer.Option(
            "--jump",
            "-J",
            metavar="USER@HOST:PORT",
            help=say("A server to go through; repeatable", "跳板机；可重复"),
        ),
    ] = None,
    to_all: Annotated[
        bool, typer.Option("-g", help=say("Let other machines use the ports here", "允许其他机器使用本机的这些端口"))
    ] = False,
    accept_new: Annotated[
        bool, typer.Option("--accept-new", help=say("Trust a server that was never seen", "信任首次连接的服务器"))
    ] = False,
    wait: Annotated[
        str | None,
        typer.Option(
            "--wait",
            metavar="TIME",
            help=say("Keep trying so long for a first connection", "首次连接最多尝试多久"),
        ),
    ] = None,
    hold: Annotated[
        str | None,
        typer.Option(
            "--hold",
            metavar="TIME",
            help=say("How long connections wait for a reconnect: 30s", "重连时新连接等多久：30s"),
        ),
    ] = None,
    auto: Annotated[
        bool,
        typer.Option("--auto", help=say("Forward whatever begins to listen there", "自动转发服务器上新出现的监听端口")),
    ] = False,
    open_: Annotated[
        bool, typer.Option("--open", help=say("Open the browser when the service answers", "服务可访问时打开浏览器"))
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help=say("Go on in the background once connected", "连接成功后转入后台"))
    ] = False,
    held_by: Annotated[
        bool, typer.Option("--background", hidden=True, help=say("What `--detach` starts", "由 `--detach` 启动"))
    ] = False,
) -> None:
    """Take the options; hold a tunnel unless a verb says otherwise."""
    from internlm_setup.cli.tunnel_hold import hold_it
    from internlm_setup.tunnel import forwards
    from internlm_setup.tunnel.held import Wishes
    from internlm_setup.tunnel.service import Request

    if port is not None and not 0 < port < 65536:
        raise WrongCommandLine(_PORT.fill(given=port), COMMAND)
    typed = (("local", local), ("remote", remote), ("dynamic", dynamic))
    request = Request(
        host=host,
        user=user,
        port=port,
        jumps=tuple(each for words in jump or () for each in words.split(",")),
        forwards=tuple(forwards.parse(kind, words) for kind, several in typed for words in several or ()),  # type: ignore[arg-type]  # mypy makes them str
        to_all=to_all,
        accept_new=accept_new,
        hold_s=None if hold is None else _seconds("--hold", hold),
        wishes=Wishes(wait_s=0.0 if wait is None else _seconds("--wait", wait), follow=auto, announce=open_),
    )
    how: How = "background" if held_by else "detach" if detach else "here"
    if ctx.invoked_subcommand == HOLD:
        ctx.meta[REQUEST] = (request, how)
    elif ctx.invoked_subcommand is None:
        hold_it(ctx, request, how)
    elif (request, how) != (Request(), "here"):
        raise WrongCommandLine(_TOO_EARLY, f"{COMMAND} {ctx.invoked_subcommand}")


def _seconds(option: str, words: str) -> float:
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)(s|m|h|)", words.strip().lower())
    if found is None:
        raise WrongCommandLine(_DURATION.fill(option=option, given=words), COMMAND)
    return float(found[1]) * _UNITS_S[found[2]]
