"""`ssh-key install`: a public key onto a server's list, by password once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from internlm_setup.cli.errors import WrongCommandLine
from internlm_setup.cli.help import add_command
from internlm_setup.cli.key_shown import FINGERPRINT, data_of, line_of
from internlm_setup.cli.language import say
from internlm_setup.cli.session import Session
from internlm_setup.core.text import Text, printable

_ADDED = Text(
    en="the public key of `{path}` was added to `~/.ssh/authorized_keys` of {user}@{host}, and logs in",
    zh="`{path}` 的公钥已加入 {user}@{host} 的 `~/.ssh/authorized_keys`，并可用于登录",
)
_THERE = Text(
    en="`{path}` logs in to {user}@{host} already; nothing was changed there",
    zh="`{path}` 已可登录 {user}@{host}；没有改动任何内容",
)
_WOULD = Text(
    en="would add the public key of `{path}` to `~/.ssh/authorized_keys` of {user}@{host}, port {port}; "
    "nothing was connected",
    zh="将把 `{path}` 的公钥加入 {user}@{host}（端口 {port}）的 `~/.ssh/authorized_keys`；没有连接服务器",
)

_NO_HOST = Text(
    en="`{host}` is no server; write it as `user@host:port`", zh="`{host}` 不是服务器；请写成 `user@host:port`"
)


def register(noun: typer.Typer) -> None:
    """Add the verb."""
    says = Text(
        en="Add a public key to a server's list, and log in with it\n\n"
        "The password is asked for once. Other keys on the list stay as they are. HOST may be a name of "
        "`~/.ssh/config`.",
        zh="把公钥加入服务器的列表，并用它登录验证\n\n只询问一次密码；列表中的其他公钥保持不变。"
        "HOST 可以是 `~/.ssh/config` 中的名称。",
    )
    examples = ["internlm-setup ssh-key install root@ssh.intern-ai.org.cn:33090"]
    add_command(noun, install, says=says, examples=examples)


def install(
    ctx: typer.Context,
    host: Annotated[str, typer.Argument(metavar="[USER@]HOST[:PORT]", help=say("The server", "服务器"))],
    key: Annotated[
        Path | None,
        typer.Argument(metavar="KEY", help=say("The key's file, as for `show`", "密钥文件，同 `show`")),
    ] = None,
    accept_new: Annotated[
        bool,
        typer.Option(
            "--accept-new",
            help=say("Trust a server that was never seen, unasked", "首次连接的服务器直接信任，不再询问"),
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help=say("Say what would be added and stop", "只显示将要加入什么"))
    ] = False,
) -> None:
    """Log in with the key; where it is refused, log in otherwise, add it, and try again."""
    session = Session.of(ctx)
    from internlm_setup.cli.asker import TerminalAsker
    from internlm_setup.core.ssh.connect_errors import BadJump
    from internlm_setup.core.ssh.resolve import Here, parse_jump, resolve
    from internlm_setup.ssh_key import service
    from internlm_setup.ssh_key.install import install as install_key
    from internlm_setup.ssh_key.logins import Logins

    found = service.chosen(service.key_folder(session.home), key)
    line = line_of(found)
    try:
        typed = parse_jump(host)
    except BadJump as cause:
        raise WrongCommandLine(_NO_HOST.fill(host=host), "internlm-setup ssh-key install") from cause
    spec, _ = resolve(typed, Here.of(session.env, session.home))
    said = {"path": printable(str(found.path)), "user": spec.user, "host": spec.host, "port": spec.port}
    data = {**data_of(found), "user": spec.user, "host": spec.host, "port": spec.port}
    if dry_run:
        session.output.result({**data, "added": False})
        session.output.talk(_WOULD.fill(**said))
        return
    logins = Logins(spec, found.path, TerminalAsker(session.output), session.env, accept_new=accept_new)
    added = install_key(logins.log_in, logins.log_in_with_key, line)
    session.output.result({**data, "added": added})
    session.output.talk((_ADDED if added else _THERE).fill(**said))
    session.output.talk(FINGERPRINT.fill(fingerprint=found.fingerprint))
