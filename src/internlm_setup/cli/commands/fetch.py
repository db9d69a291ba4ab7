"""`fetch`: a model from a hub to a verified folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from internlm_setup.cli.help import add_command
from internlm_setup.cli.language import say
from internlm_setup.cli.proofs import described
from internlm_setup.cli.session import Session
from internlm_setup.core.text import Text, human_size

if TYPE_CHECKING:
    from internlm_setup.fetch.model import FetchResult
    from internlm_setup.fetch.service import Plan

EXAMPLES = (
    "internlm-setup fetch internlm-chat-7b --source modelscope",
    "internlm-setup fetch internlm2-chat-1_8b --include '*.json' --to ./model",
    "internlm-setup fetch internlm-chat-7b --dry-run",
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    says = Text(
        en="Download a model and verify every file\n\n"
        "Stop it any way you like: the same command goes on where it was. "
        "On success stdout is the model's folder alone.",
        zh="下载模型并校验每个文件\n\n"
        "可以随时以任何方式中断：再次运行同一条命令即从中断处继续。成功时标准输出只有模型文件夹的路径。",
    )
    add_command(app, fetch, says=says, examples=EXAMPLES)


def fetch(
    ctx: typer.Context,
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help=say("A name from `models list`, or ORG/NAME", "`models list` 中的名称，或 ORG/NAME"),
        ),
    ],
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            metavar="HUB",
            help=say(
                "auto, huggingface, modelscope, openxlab, or a list in order of preference: a,b",
                "auto、huggingface、modelscope、openxlab，或按优先顺序列出：a,b",
            ),
        ),
    ] = None,
    revision: Annotated[
        str | None,
        typer.Option("--revision", metavar="REV", help=say("Branch, tag or commit", "分支、标签或提交")),
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(
            "--include",
            metavar="GLOB",
            help=say("Only these files; repeatable", "只要这些文件；可重复"),
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude",
            metavar="GLOB",
            help=say("Not these files; repeatable", "不要这些文件；可重复"),
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            metavar="DIR",
            help=say("Destination; default ./<repository name>", "目标文件夹；默认 ./<仓库名>"),
        ),
    ] = None,
    layout: Annotated[
        str,
        typer.Option(
            "--layout",
            metavar="LAYOUT",
            help=say(
                "dir, or modelscope-cache (--to is its cache_dir)",
                "dir，或 modelscope-cache（此时 --to 即 cache_dir）",
            ),
        ),
    ] = "dir",
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            metavar="N",
            help=say("Connections in all (8; up to 32 on a far line)", "连接总数（8；远距离线路上最多 32）"),
        ),
    ] = None,
    limit_rate: Annotated[
        str | None,
        typer.Option(
            "--limit-rate",
            metavar="RATE",
            help=say("Speed limit in all: 10M is 10 MiB/s", "总速度上限：10M 即 10 MiB/s"),
        ),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            metavar="ENGINE",
            help=say(
                "native, or official: the vendor's own downloader, verified afterwards",
                "native，或 official：平台官方的下载器，下载后同样校验",
            ),
        ),
    ] = "native",
    trace: Annotated[
        Path | None,
        typer.Option(
            "--trace",
            metavar="FILE",
            help=say(
                "Write a line of JSON for every piece: from whom it came, and when",
                "为每一块写一行 JSON：来自谁、何时",
            ),
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help=say("Show what would be done and stop", "只显示将要做什么")),
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help=say("Replace files that are in the way", "覆盖挡路的文件")),
    ] = False,
) -> None:
    """Build the request, run it under the progress display, say how it ended."""
    session = Session.of(ctx)
    from internlm_setup.fetch import service
    from internlm_setup.fetch.world import make_world

    settings = session.settings(source=source, jobs=jobs, limit_rate=limit_rate)
    request = service.Request(
        model=model,
        sources=settings.sources,
        revision=revision,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        to=to,
        layout=layout,
        jobs=settings.jobs,
        most_jobs=settings.most_jobs,
        limit_rate_bytes_per_s=settings.limit_rate_bytes_per_s,
        force=force,
        engine=engine,
        trace=trace,
    )
    with session.progress() as listener:
        world = make_world(session.env, session.home, Path.cwd(), session.paths, settings)
        done = (service.plan if dry_run else service.fetch)(request, world, listener)
    if isinstance(done, service.Plan):
        _show_plan(session, done)
    else:
        _show_result(session, done)


def _show_plan(session: Session, plan: Plan) -> None:
    done = {entry.path for entry in plan.found.done}
    rows = [
        (f.path, f.size_bytes, f.sha256 or f.git_sha1, "present" if f.path in done else "missing") for f in plan.files
    ]
    data = {
        "path": plan.folder,
        "hub": plan.snapshot.hub,
        "repo": plan.snapshot.repo,
        "revision": plan.snapshot.revision,
        "commit": plan.snapshot.commit,
        "size_bytes": plan.size_bytes,
        "missing_bytes": plan.missing_bytes,
        "files": [{"path": p, "size_bytes": s, "hash": h, "state": state} for p, s, h, state in rows],
    }
    session.output.result(data)
    columns = [Text(en="FILE", zh="文件"), Text(en="SIZE", zh="大小"), Text(en="HERE", zh="已有")]
    shown = [(p, "?" if s is None else human_size(s), "✓" if st == "present" else "") for p, s, _, st in rows]
    session.output.table(columns, shown)
    words = Text(
        en="would fetch {missing} of {size} from {hub} (`{repo}`, {revision}) into `{folder}`; nothing was written",
        zh="将从 {hub}（`{repo}`，{revision}）下载 {missing}（共 {size}）到 `{folder}`；没有写入任何内容",
    )
    session.output.talk(
        words.fill(
            missing=human_size(plan.missing_bytes),
            size=human_size(plan.size_bytes),
            hub=plan.hub.title,
            repo=plan.snapshot.repo,
            revision=plan.snapshot.commit or plan.snapshot.revision or "-",
            folder=plan.folder,
        )
    )


def _show_result(session: Session, result: FetchResult) -> None:
    session.output.result(result, result.path)
    size = human_size(sum(f.size_bytes for f in result.files))
    received = human_size(result.received_bytes)
    words = Text(
        en="{model} is complete: {count} files, {size} ({received} received now); {proof}",
        zh="{model} 已完整：{count} 个文件，{size}（本次接收 {received}）；{proof}",
    )
    session.output.talk(
        words.fill(
            model=result.model,
            count=len(result.files),
            size=size,
            received=received,
            proof=described((f.proof, f.proof_from) for f in result.files),
        )
    )
    if result.unverified:
        warning = Text(
            en="no published hash was found for {count} files, so they are NOT verified: {names}",
            zh="有 {count} 个文件没有找到公布的哈希值，因此【未经】校验：{names}",
        )
        names = ", ".join(result.unverified[:3]) + (", …" if len(result.unverified) > 3 else "")
        session.output.warn(warning.fill(count=len(result.unverified), names=names))
