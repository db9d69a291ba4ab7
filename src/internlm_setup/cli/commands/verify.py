"""`verify`: the files of a folder against its record, or against what a hub publishes; and their repair."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from internlm_setup.cli.errors import WrongCommandLine
from internlm_setup.cli.help import add_command
from internlm_setup.cli.language import say
from internlm_setup.cli.proofs import described
from internlm_setup.cli.session import Session, expanded
from internlm_setup.core.text import Text, human_size, printable

if TYPE_CHECKING:
    from internlm_setup.core.settings import Settings
    from internlm_setup.fetch.check import Report
    from internlm_setup.fetch.repair import Repair
    from internlm_setup.fetch.transfer.events import Listener
    from internlm_setup.fetch.world import World

EXAMPLES = (
    "internlm-setup verify ./internlm-chat-7b",
    "internlm-setup verify ./from-a-usb-disk --as internlm-chat-7b",
    "internlm-setup verify ./internlm-chat-7b --repair",
)
_STATES = {
    "bad": Text(en="differs", zh="内容不同"),
    "missing": Text(en="missing", zh="缺失"),
    "unverified": Text(en="not verified", zh="未经校验"),
    "extra": Text(en="extra", zh="多余"),
}
_WHYS = {
    "missing": Text(en="it was missing", zh="原先缺失"),
    "pieces": Text(en="only its bad pieces", zh="只有损坏的分片"),
    "visible": Text(en="only what was visibly damaged", zh="只有明显损坏的部分"),
    "whole": Text(en="all of it: nothing tells which part was bad", zh="整个文件：无法得知哪一部分损坏"),
}
_REPAIR = Text(en="to repair: `{command}`", zh="修复：`{command}`")


def register(app: typer.Typer) -> None:
    """Add the command."""
    says = Text(
        en="Check every file of a model's folder, and repair it\n\n"
        "Without `--as`, against the record that `fetch` left in the folder, and without network. "
        "With it, a folder that any tool made, against what a hub publishes. "
        "Exit 1 when anything differs or is missing; `--repair` then fetches that, and of a bad file only the bad "
        "pieces where they can be told.",
        zh="核对模型文件夹中的每个文件，并可修复\n\n"
        "不带 `--as` 时按 `fetch` 留在文件夹中的记录核对，不用网络；"
        "带 `--as` 时按平台公布的内容核对任何工具得到的文件夹。"
        "有任何不同或缺失时以 1 退出；`--repair` 只下载这些内容，能分辨时只下载损坏的分片。",
    )
    add_command(app, verify, says=says, examples=EXAMPLES)


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
    as_model: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="MODEL[@REV]",
            help=say("What it should be: a name or ORG/NAME", "它应该是什么：名称或 ORG/NAME"),
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            metavar="HUB",
            help=say("With --as: the hub to compare with, as for `fetch`", "配合 --as：与哪个平台比较，同 `fetch`"),
        ),
    ] = None,
    repair: Annotated[
        bool,
        typer.Option("--repair", help=say("Fetch what is bad or missing", "下载损坏或缺失的内容")),
    ] = False,
) -> None:
    """Check, and repair if asked to; exit 1 if anything is wrong and stays so."""
    session = Session.of(ctx)
    if source is not None and as_model is None:
        raise WrongCommandLine(problem=_SOURCE_ALONE, command="internlm-setup verify")
    from internlm_setup.fetch import check, history

    path = expanded(Path(folder))
    path = (path if path.exists() else history.find(session.paths.state, folder) or path).absolute()
    with session.progress() as listener:
        if as_model is None:
            report = check.verify(path, listener)
        else:
            report = _check_as(session, path, as_model, source, listener)
    _show(session, report)
    if report.good:
        return
    if repair:
        with session.progress() as listener:
            done = _mend(session, report, listener)
        _show_repair(session, done)
    else:
        session.output.talk(_REPAIR.fill(command=_again(folder, as_model, source)))
        raise typer.Exit(1)


def _world(session: Session, settings: Settings) -> World:
    from internlm_setup.fetch.world import make_world

    return make_world(session.env, session.home, Path.cwd(), session.paths, settings)


def _check_as(session: Session, path: Path, as_model: str, source: str | None, listener: Listener) -> Report:
    from internlm_setup.fetch.check import verify_as
    from internlm_setup.fetch.names import split_revision

    settings = session.settings(source=source)
    model, revision = split_revision(as_model)
    world, usual = _world(session, settings), settings.sources
    sources = () if source is None else usual
    return verify_as(path, model, world, revision=revision, sources=sources, usual=usual, tell=listener)


def _mend(session: Session, report: Report, listener: Listener) -> Repair:
    from internlm_setup.fetch.repair import repair

    settings = session.settings()
    rate = settings.limit_rate_bytes_per_s
    return repair(report, _world(session, settings), jobs=settings.jobs, limit_rate_bytes_per_s=rate, tell=listener)


def _show(session: Session, report: Report) -> None:
    made = report.snapshot
    data = {
        "path": report.folder,
        "model": report.model,
        "against": "record" if report.hub is None else "hub",
        "hub": made.hub,
        "repo": made.repo,
        "revision": made.revision,
        "commit": made.commit,
        "files": len(report.findings),
        "bad": report.bad,
        "missing": report.missing,
        "extra": report.extra,
        "unverified": report.unverified,
    }
    session.output.result(data)
    states = [(f.path, f.state) for f in report.findings if f.state != "good"]
    if report.hub is None:  # a record without hashes is said in the summary alone
        states = [(path, state) for path, state in states if state != "unverified"]
    rows = [*states, *((path, "extra") for path in report.extra)]
    if rows:
        columns = [Text(en="FILE", zh="文件"), Text(en="STATE", zh="状态")]
        shown = [(printable(path), _STATES[state].of(session.language)) for path, state in rows]
        session.output.table(columns, shown)
    session.output.talk(_summary(report))


def _show_repair(session: Session, done: Repair) -> None:
    session.output.result(done)
    columns = [
        Text(en="FILE", zh="文件"),
        Text(en="SIZE", zh="大小"),
        Text(en="FETCHED", zh="已下载"),
        Text(en="WHY", zh="原因"),
    ]
    rows = [
        (m.path, human_size(m.size_bytes), human_size(m.fetched_bytes), _WHYS[m.why].of(session.language))
        for m in done.mended
    ]
    session.output.table(columns, rows)
    words = Text(
        en="repaired {n} {noun}: {received} fetched of {size}; every file is right now",
        zh="已修复 {n} 个文件：在 {size} 中下载了 {received}；现在所有文件都正确",
    )
    received, size = human_size(done.received_bytes), human_size(sum(m.size_bytes for m in done.mended))
    n = len(done.mended)
    session.output.talk(words.fill(n=n, noun="file" if n == 1 else "files", received=received, size=size))


def _again(folder: str, as_model: str | None, source: str | None) -> str:
    """Return the command that repairs what this one found."""
    import shlex

    words = ["internlm-setup", "verify", folder]
    words += ["--as", as_model] if as_model is not None else []
    words += ["--source", source] if source is not None else []
    return shlex.join([*words, "--repair"])


def _summary(report: Report) -> Text:
    count = len(report.findings)
    if not report.good:
        words = Text(
            en="{bad} of {count} files differ, {missing} are missing",
            zh="{count} 个文件中有 {bad} 个不同，{missing} 个缺失",
        )
        return words.fill(bad=len(report.bad), count=count, missing=len(report.missing))
    unproved = len(report.unverified)
    if report.hub is not None:
        made = report.snapshot
        proof = described((f.entry.proof, f.entry.proof_from) for f in report.findings if f.entry is not None)
        words, revision = _NOT_ALL_PROVED if unproved else _AS_PUBLISHED, made.commit or made.revision or "-"
        return words.fill(count=count, n=unproved, hub=made.hub, repo=made.repo, revision=revision, proof=proof)
    if unproved:
        words = Text(
            en="all {count} files are as they came; {n} of them were never proved by a published hash",
            zh="{count} 个文件均与下载时一致；其中 {n} 个从未经公布的哈希值证明",
        )
        return words.fill(count=count, n=unproved)
    return Text(en="all {count} files are good", zh="{count} 个文件全部正确").fill(count=count)


_AS_PUBLISHED = Text(
    en="all {count} files are those of `{repo}` at {hub} ({revision}): {proof}",
    zh="{count} 个文件与 {hub} 上的 `{repo}`（{revision}）一致：{proof}",
)
_NOT_ALL_PROVED = Text(
    en="nothing is known to differ from `{repo}` at {hub} ({revision}), but no published hash proves {n} of {count} "
    "files, so they are NOT verified; {proof}",
    zh="没有发现与 {hub} 上的 `{repo}`（{revision}）不同之处，但 {count} 个文件中有 {n} 个没有公布的哈希值可以证明，"
    "因此【未经】校验；{proof}",
)
_SOURCE_ALONE = Text(
    en="`--source` says what to compare with, so it needs `--as MODEL`",
    zh="`--source` 指定与哪个平台比较，因此需要 `--as MODEL`",
)
