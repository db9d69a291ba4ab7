"""`ssh-key new`: one more key, with a passphrase if one is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

import typer

from internlm_setup.cli.errors import WrongCommandLine
from internlm_setup.cli.help import add_command
from internlm_setup.cli.key_shown import draw_key
from internlm_setup.cli.language import say
from internlm_setup.cli.session import Session
from internlm_setup.core.text import Text, printable

COMMAND = "internlm-setup ssh-key new"
_MADE = Text(en="made `{path}`, without a passphrase", zh="已生成 `{path}`，没有设置口令")
_LOCKED = Text(en="made `{path}`, encrypted with the passphrase", zh="已生成 `{path}`，用口令加密")
_WOULD = Text(
    en="would make `{path}` and `{path}.pub`; nothing was written",
    zh="将生成 `{path}` 和 `{path}.pub`；没有写入任何内容",
)
_TYPES = Text(en="`--type` takes {types}, not `{given}`", zh="`--type` 应为 {types}，而不是 `{given}`")
_BOTH = Text(
    en="`--passphrase` asks and `--passphrase-file` reads; give one of them",
    zh="`--passphrase` 是询问，`--passphrase-file` 是读取；请只用其中一个",
)
_NOBODY_TO_ASK = Text(
    en="there is no terminal to ask for a passphrase on; write it to a file: `--passphrase-file FILE`",
    zh="没有可供输入口令的终端；请把口令写入文件：`--passphrase-file FILE`",
)
_ASK = Text(en="passphrase for `{path}`: ", zh="`{path}` 的口令：")
_AGAIN = Text(en="the same again: ", zh="再次输入：")


def register(noun: typer.Typer) -> None:
    """Add the verb."""
    says = Text(
        en="Make a key and show it; what is there is never overwritten\n\n"
        "Ed25519 unless another type is asked for, and no passphrase. FILE is `~/.ssh/id_ed25519` or `~/.ssh/id_rsa`, "
        "which `ssh` and `tunnel` try by themselves.",
        zh="生成并显示密钥；绝不覆盖已有的文件\n\n"
        "默认类型为 Ed25519，不带口令。FILE 默认为 `~/.ssh/id_ed25519` 或 `~/.ssh/id_rsa`，"
        "`ssh` 和 `tunnel` 会自动使用。",
    )
    examples = [COMMAND, f"{COMMAND} --type rsa-4096", f"{COMMAND} --passphrase ./internstudio-key"]
    add_command(noun, new, says=says, examples=examples)


def new(
    ctx: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help=say("The private key's file", "私钥文件")),
    ] = None,
    type_: Annotated[
        str, typer.Option("--type", metavar="TYPE", help=say("ed25519 or rsa-4096", "ed25519 或 rsa-4096"))
    ] = "ed25519",
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help=say("Ask for a passphrase, twice", "询问口令，输入两次"))
    ] = False,
    passphrase_file: Annotated[
        Path | None,
        typer.Option(
            "--passphrase-file", metavar="PATH", help=say("Take the passphrase from this file", "从该文件读取口令")
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help=say("Say what would be made and stop", "只显示将要生成什么"))
    ] = False,
) -> None:
    """Ask what is to be asked, make the key, show it."""
    session = Session.of(ctx)
    from internlm_setup.core.ssh.keys import KeyType
    from internlm_setup.ssh_key import service, store

    kinds: dict[str, KeyType] = {kind: kind for kind in get_args(KeyType)}
    if type_ not in kinds:
        raise WrongCommandLine(_TYPES.fill(types=", ".join(kinds), given=type_), COMMAND)
    kind = kinds[type_]
    path = (file or service.key_folder(session.home) / service.FILES[kind]).absolute()
    store.refuse_existing(path)
    if dry_run:
        session.output.result({"path": path, "made": False})
        session.output.talk(_WOULD.fill(path=printable(str(path))))
        return
    words = _passphrase(session, path, asked=passphrase, file=passphrase_file)
    key = service.create(path, kind, service.comment_of(session.env, session.home), words)
    session.output.talk((_LOCKED if words else _MADE).fill(path=printable(str(path))))
    draw_key(session, key, made=True)


def _passphrase(session: Session, path: Path, *, asked: bool, file: Path | None) -> str | None:
    from internlm_setup.ssh_key.passphrase import checked, from_file

    if asked and file is not None:
        raise WrongCommandLine(_BOTH, COMMAND)
    if file is not None:
        return from_file(file)
    if not asked:
        return None
    words = session.output.ask(_ASK.fill(path=printable(str(path))), hidden=True)
    if words is None:
        raise WrongCommandLine(_NOBODY_TO_ASK, COMMAND)
    checked(words)
    return checked(words, session.output.ask(_AGAIN, hidden=True))
