"""`ssh-key`: bare, it makes a key if there is none, and shows it; one file a verb."""

from __future__ import annotations

import importlib
from typing import Annotated

import typer

from internlm_setup.cli.errors import WrongCommandLine
from internlm_setup.cli.help import add_group
from internlm_setup.cli.key_shown import draw_key
from internlm_setup.cli.language import say
from internlm_setup.cli.session import Session
from internlm_setup.core import registry
from internlm_setup.core.text import Text, printable

_TOO_EARLY = Text(en="options stand behind the verb", zh="选项应写在动词之后")
_THERE = Text(en="this key was there already: `{path}`", zh="已有的密钥：`{path}`")
_MADE = Text(en="made `{path}`, without a passphrase", zh="已生成 `{path}`，没有设置口令")
_WOULD = Text(
    en="would make an Ed25519 key, `{path}`; nothing was written", zh="将生成 Ed25519 密钥 `{path}`；没有写入任何内容"
)


def register(app: typer.Typer) -> None:
    """Add the noun, and every verb that has a file here."""
    says = Text(
        en="Make an SSH key, show it, and put it where it is needed\n\n"
        "Bare: the key that is there already is shown, or else an Ed25519 key is made, without a passphrase. "
        "The public key alone goes to stdout; its fingerprint, and where to paste it, to stderr.",
        zh="生成、查看 SSH 密钥，并放到需要的地方\n\n"
        "不带动词时显示已有的密钥；没有则生成一个不带口令的 Ed25519 密钥。"
        "标准输出只有公钥；指纹及粘贴位置写到标准错误。",
    )
    noun = add_group(app, "ssh-key", says=says, examples=["internlm-setup ssh-key"], bare=ssh_key)
    for name in registry.modules(__name__):
        importlib.import_module(name).register(noun)


def ssh_key(
    ctx: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help=say("Say what would be made and stop", "只显示将要生成什么"))
    ] = False,
) -> None:
    """Show the standing key, or make one and show it."""
    if ctx.invoked_subcommand is not None:
        if dry_run:
            raise WrongCommandLine(_TOO_EARLY, f"internlm-setup ssh-key {ctx.invoked_subcommand}")
        return
    session = Session.of(ctx)
    from internlm_setup.ssh_key import service

    folder = service.key_folder(session.home)
    key, path = service.standing(folder), folder / service.FILES["ed25519"]
    if key is None and dry_run:
        session.output.result({"path": path, "made": False})
        session.output.talk(_WOULD.fill(path=printable(str(path))))
        return
    if made := key is None:
        key = service.create(path, "ed25519", service.comment_of(session.env, session.home))
    session.output.talk((_MADE if made else _THERE).fill(path=printable(str(key.path))))
    draw_key(session, key, made=made)
