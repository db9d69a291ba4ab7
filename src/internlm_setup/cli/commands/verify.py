"""`verify`: the files of a fetched folder against their recorded hashes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from internlm_setup.cli.help import add_command
from internlm_setup.cli.language import say
from internlm_setup.cli.session import Session
from internlm_setup.core.text import Text

if TYPE_CHECKING:
    from internlm_setup.fetch.check import Report


def register(app: typer.Typer) -> None:
    """Add the command."""
    says = Text(
        en="Check every file of a fetched folder against its hash\n\nExit 1 when anything differs or is missing.",
        zh="按哈希值核对已下载文件夹中的每个文件\n\n有任何不同或缺失时以 1 退出。",
    )
    add_command(app, verify, says=says, examples=["internlm-setup verify ./internlm-chat-7b"])


def verify(
    ctx: typer.Context,
    folder: Annotated[
        str,
        typer.Argument(
            metavar="DIR",
            help=say(
                "The folder, or the name of a model fetched before",
                "文件夹，或以前下载过的模型名称",
            ),
        ),
    ],
) -> None:
    """Hash, list what differs, exit 1 if anything does."""
    session = Session.of(ctx)
    from internlm_setup.fetch import check, history

    path = Path(folder)
    if not path.exists():
        path = history.find(session.paths.state, folder) or path
    with session.progress() as listener:
        report = check.verify(path.absolute(), listener)
    data = {
        "path": report.folder,
        "files": len(report.manifest.files),
        "bad": report.bad,
        "missing": report.missing,
        "unverified": report.unverified,
    }
    session.output.result(data)
    states = [*((p, _BAD) for p in report.bad), *((p, _MISSING) for p in report.missing)]
    if states:
        columns = [Text(en="FILE", zh="文件"), Text(en="STATE", zh="状态")]
        session.output.table(columns, [(p, s.of(session.language)) for p, s in states])
    session.output.talk(_summary(report))
    if not report.good:
        session.output.talk(_REPAIR.fill(command=_repair(report)))
        raise typer.Exit(1)


_BAD = Text(en="differs", zh="内容不同")
_MISSING = Text(en="missing", zh="缺失")
_REPAIR = Text(en="to repair: `{command}`", zh="修复：`{command}`")


def _repair(report: Report) -> str:
    """Return the command that fetches exactly what is bad or missing, at the recorded hub and revision."""
    import shlex

    made = report.manifest
    pinned = made.commit or made.revision
    words = ["internlm-setup", "fetch", made.repo, "--source", made.hub, "--to", str(report.folder), "--force"]
    words += ["--revision", pinned] if pinned else []
    for path in (*report.bad, *report.missing):
        words += ["--include", path]
    return shlex.join(words)


def _summary(report: Report) -> Text:
    count = len(report.manifest.files)
    if not report.good:
        words = Text(
            en="{bad} of {count} files differ, {missing} are missing",
            zh="{count} 个文件中有 {bad} 个不同，{missing} 个缺失",
        )
        return words.fill(bad=len(report.bad), count=count, missing=len(report.missing))
    if report.unverified:
        words = Text(
            en="all {count} files are as they came; {n} of them were never proved by a published hash",
            zh="{count} 个文件均与下载时一致；其中 {n} 个从未经公布的哈希值证明",
        )
        return words.fill(count=count, n=len(report.unverified))
    return Text(en="all {count} files are good", zh="{count} 个文件全部正确").fill(count=count)
