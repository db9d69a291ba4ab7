"""`clean`: remove what stopped downloads, side environments and logs take up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from internlm_setup.cli.errors import WrongCommandLine
from internlm_setup.cli.help import add_command
from internlm_setup.cli.language import say
from internlm_setup.cli.session import Session, expanded
from internlm_setup.core.text import Text, human_size, printable

if TYPE_CHECKING:
    from internlm_setup.core.errors import SetupError
    from internlm_setup.core.leftovers import Leftover

_KINDS = {
    "partial": Text(en="stopped download", zh="未完成的下载"),
    "environment": Text(en="side environment", zh="独立环境"),
    "log": Text(en="log", zh="日志"),
}
_NOTHING = Text(en="there is nothing to clean", zh="没有可清理的内容")
_DRY = Text(en="would remove {size}; nothing was removed", zh="将删除 {size}；没有删除任何内容")
_ASK = Text(en="remove all of it, {size}? [y/N] ", zh="全部删除，共 {size}？[y/N] ")
_KEPT = Text(en="nothing was removed", zh="没有删除任何内容")
_DONE = Text(en="removed {size}", zh="已删除 {size}")
_NOBODY_TO_ASK = Text(
    en="`clean` asks before it removes anything, and there is no terminal to ask on; add `--yes`",
    zh="`clean` 删除前需要确认，而这里没有可供确认的终端；请加上 `--yes`",
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    says = Text(
        en="Remove stopped downloads, side environments and logs\n\n"
        "What there is and how large it is comes first; then you are asked. "
        "With DIR, only the stopped download there. Finished files and their record are never touched.",
        zh="清理未完成的下载、独立环境和日志\n\n"
        "先列出内容和大小，再请你确认。指定 DIR 时只清理该处未完成的下载。已完成的文件及其记录不会被改动。",
    )
    add_command(app, clean, says=says, examples=["internlm-setup clean --dry-run", "internlm-setup clean --yes"])


def clean(
    ctx: typer.Context,
    folder: Annotated[
        str | None,
        typer.Argument(metavar="DIR", help=say("A model's folder, or its name", "模型文件夹，或模型名称")),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help=say("Show what would be removed and stop", "只显示将要删除什么")),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help=say("Do not ask", "不再询问"))] = False,
) -> None:
    """Look, show, ask, remove; whatever cannot be removed is told at the end."""
    session = Session.of(ctx)
    found = _found(session, folder)
    size_bytes = sum(one.size_bytes for one in found)
    _show(session, found, removed=[])
    if not found:
        session.output.talk(_NOTHING)
        return
    if dry_run:
        session.output.talk(_DRY.fill(size=human_size(size_bytes)))
        return
    if not yes:
        _ask(session, size_bytes)
    removed, failures = _removed(found)
    session.output.result(_data(found, removed))
    session.output.talk(_DONE.fill(size=human_size(sum(one.size_bytes for one in removed))))
    if failures:
        from internlm_setup.core.errors import SeveralErrors

        raise failures[0] if len(failures) == 1 else SeveralErrors(failures)


def _found(session: Session, folder: str | None) -> list[Leftover]:
    from internlm_setup.core.files import reading
    from internlm_setup.core.leftovers import logs, side_environments
    from internlm_setup.fetch import history
    from internlm_setup.fetch.leftovers import partials
    from internlm_setup.tunnel import leftovers as tunnels

    state = session.paths.state
    if folder is None:
        environments, tunnel_logs = side_environments(state), tunnels.logs(state)
        return [*partials(history.folders(state)), *environments, *logs(session.paths), *tunnel_logs]
    path = expanded(Path(folder))
    path = (path if path.exists() else history.find(state, folder) or path).absolute()
    with reading(path):
        path.stat()
    return list(partials([path]))


def _show(session: Session, found: list[Leftover], removed: list[Leftover]) -> None:
    session.output.result(_data(found, removed))
    if found:
        columns = [Text(en="WHAT", zh="内容"), Text(en="SIZE", zh="大小"), Text(en="WHERE", zh="位置")]
        words = session.language
        rows = [(_KINDS[f.kind].of(words), human_size(f.size_bytes), printable(str(f.path))) for f in found]
        session.output.table(columns, rows)


def _data(found: list[Leftover], removed: list[Leftover]) -> dict[str, object]:
    items = [
        {"kind": f.kind, "path": f.path, "size_bytes": f.size_bytes, "removed": any(f is r for r in removed)}
        for f in found
    ]
    return {"size_bytes": sum(f.size_bytes for f in found), "items": items}


def _ask(session: Session, size_bytes: int) -> None:
    """Ask on the terminal; without one nothing is removed that nobody agreed to."""
    answer = session.output.ask(_ASK.fill(size=human_size(size_bytes)))
    if answer is None:
        raise WrongCommandLine(problem=_NOBODY_TO_ASK, command="internlm-setup clean")
    if answer.strip().lower() not in {"y", "yes"}:
        session.output.talk(_KEPT)
        raise typer.Exit(1)


def _removed(found: list[Leftover]) -> tuple[list[Leftover], list[SetupError]]:
    from internlm_setup.core.errors import SetupError
    from internlm_setup.core.leftovers import remove
    from internlm_setup.fetch.leftovers import remove_partial

    removed: list[Leftover] = []
    failures: list[SetupError] = []
    for one in found:
        try:
            (remove_partial if one.kind == "partial" else remove)(one)
        except SetupError as error:
            failures.append(error)
        else:
            removed.append(one)
    return removed, failures
