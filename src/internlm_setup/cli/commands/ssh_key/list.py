"""`ssh-key list`: every key of the folder, and what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from internlm_setup.cli.help import add_command
from internlm_setup.cli.key_shown import data_of
from internlm_setup.cli.language import say
from internlm_setup.cli.session import Session
from internlm_setup.core.text import Text, printable

if TYPE_CHECKING:
    from internlm_setup.ssh_key.access import TooOpen
    from internlm_setup.ssh_key.service import Found

_NONE = Text(
    en="there are no keys in `{folder}`; `internlm-setup ssh-key` makes one",
    zh="`{folder}` 中没有密钥；用 `internlm-setup ssh-key` 生成一个",
)
_OPEN = Text(en="`{path}`: {words}", zh="`{path}`：{words}")
_REPAIR = Text(en="to repair: `internlm-setup ssh-key list --fix`", zh="修复：`internlm-setup ssh-key list --fix`")
_CLOSED = Text(en="`{path}`: closed to others now", zh="`{path}`：现在其他用户已无法访问")
_YES = Text(en="passphrase", zh="有口令")


def register(noun: typer.Typer) -> None:
    """Add the verb."""
    says = Text(
        en="List the private keys in `~/.ssh`, of any format\n\n"
        "A key that others can read, which `ssh` refuses to use, is named; `--fix` repairs that and nothing else.",
        zh="列出 `~/.ssh` 中任何格式的私钥\n\n会指出其他用户可以读取、因而被 `ssh` 拒绝的密钥；`--fix` 只修复这一点。",
    )
    examples = ["internlm-setup ssh-key list", "internlm-setup ssh-key list --fix"]
    add_command(noun, list_, name="list", says=says, examples=examples)


def list_(
    ctx: typer.Context,
    fix: Annotated[
        bool, typer.Option("--fix", help=say("Take from others what lets them read keys", "收回其他用户读取密钥的权限"))
    ] = False,
) -> None:
    """Look at each, close what is open if asked to, show the rest."""
    session = Session.of(ctx)
    from internlm_setup.ssh_key import service

    folder = service.key_folder(session.home)
    found = service.survey(folder)
    closed = service.repair(folder, found) if fix else []
    if closed:
        found = service.survey(folder)
    open_ = [service.folder_too_open(folder), *(one.open for one in found)]
    _draw(session, found)
    session.output.result({"folder": folder, "keys": [_data(session, one) for one in found]})
    session.output.result({"too_open": list(filter(None, open_)), "closed": [each.path for each in closed]})
    _tell(session, found, [each for each in open_ if each is not None], closed)
    if not found:
        session.output.talk(_NONE.fill(folder=printable(str(folder))))


def _draw(session: Session, found: list[Found]) -> None:
    columns = [
        Text(en="FILE", zh="文件"),
        Text(en="TYPE", zh="类型"),
        Text(en="BITS", zh="位数"),
        Text(en="FINGERPRINT", zh="指纹"),
        Text(en="COMMENT", zh="注释"),
        Text(en="LOCKED BY", zh="保护"),
    ]
    rows = []
    for path, key in ((printable(one.path.name), one.key) for one in found):
        if key is not None:
            locked = _YES.of(session.language) if key.encrypted else "-"
            rows.append(
                (path, key.type or "?", key.bits or "?", key.fingerprint or "?", printable(key.comment), locked)
            )
    if rows:
        session.output.table(columns, rows)


def _data(session: Session, one: Found) -> dict[str, object]:
    from internlm_setup.cli.report import listed

    problem = None if one.problem is None else listed(one.problem, session.language)[0]
    return {"path": one.path, **({} if one.key is None else data_of(one.key)), "problem": problem}


def _tell(session: Session, found: list[Found], open_: list[TooOpen], closed: list[TooOpen]) -> None:
    for one in found:
        if one.problem is not None:
            session.output.warn(one.problem.message(session.language))
    for each in closed:
        session.output.talk(_CLOSED.fill(path=printable(str(each.path))))
    for each in open_:
        session.output.warn(_OPEN.fill(path=printable(str(each.path)), words=each.words))
    if open_:
        session.output.talk(_REPAIR)
