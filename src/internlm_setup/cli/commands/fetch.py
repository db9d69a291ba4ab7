"""`fetch`: a model from a hub to a verified folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from internlm_setup.cli.errors import WrongCommandLine
from internlm_setup.cli.fetched import show_plan, show_result
from internlm_setup.cli.help import add_command
from internlm_setup.cli.language import say
from internlm_setup.cli.session import Session, expanded
from internlm_setup.core.text import Text

EXAMPLES = (
    "internlm-setup fetch internlm-chat-7b --source modelscope",
    "internlm-setup fetch internlm2-chat-1_8b --include '*.json' --to ./model",
    "internlm-setup fetch internlm-chat-7b --dry-run",
    "internlm-setup fetch --lock internlm-chat-7b.lock",
)
_NO_MODEL = Text(
    en="`MODEL` is missing, and no `--lock FILE` says what to fetch",
    zh="缺少参数 `MODEL`，也没有 `--lock FILE` 说明要下载什么",
)

_NOT_ASKED = Text(
    en="`--endpoint` names a server of {hub}, but `--source {asked}` does not ask {hub}",
    zh="`--endpoint` 给出的是 {hub} 的服务器，但 `--source {asked}` 不查询 {hub}",
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
            help=say(
                "A name from `models list`, or ORG/NAME; left away, what --lock says",
                "`models list` 中的名称，或 ORG/NAME；省略时由 --lock 决定",
            ),
        ),
    ] = "",
    source: Annotated[
        str | None,
        typer.Option(
            "--source",
            metavar="HUB",
            help=say(
                "auto, huggingface, modelscope, openxlab, or a list in order of preference: a,b, "
                "which must hold the same weights",
                "auto、huggingface、modelscope、openxlab，或按优先顺序列出：a,b，其权重必须相同",
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
                "dir, hf-cache or modelscope-cache (--to is then the library's cache_dir)",
                "dir、hf-cache 或 modelscope-cache（后两者的 --to 即相应库的 cache_dir）",
            ),
        ),
    ] = "dir",
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            metavar="N",
            help=say(
                "Connections in all (8 for each hub; up to 32 on a far line)",
                "连接总数（每个平台 8；远距离线路上最多 32）",
            ),
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
    lock: Annotated[
        Path | None,
        typer.Option(
            "--lock",
            metavar="FILE",
            help=say(
                "With MODEL: write what was fetched to FILE; without: fetch exactly what FILE says",
                "给出 MODEL 时：把下载的内容写入 FILE；不给出时：下载 FILE 所记录的完全相同的内容",
            ),
        ),
    ] = None,
    reuse: Annotated[
        list[Path] | None,
        typer.Option(
            "--reuse",
            metavar="DIR",
            help=say(
                "Look here too for files that need not be downloaded; repeatable",
                "也在此查找无需下载的文件；可重复",
            ),
        ),
    ] = None,
    copy: Annotated[
        bool,
        typer.Option(
            "--copy",
            help=say("Copy what is found on this machine, never hard link it", "复制本机已有的文件，不用硬链接"),
        ),
    ] = False,
    endpoint: Annotated[
        list[str] | None,
        typer.Option(
            "--endpoint",
            metavar="HUB=URL",
            help=say(
                "One more server of a hub, as a cache in the local network; asked without a login; repeatable",
                "某平台的另一个服务器，如局域网缓存；不发送登录信息；可重复",
            ),
        ),
    ] = None,
    proxy: Annotated[
        str | None,
        typer.Option(
            "--proxy",
            metavar="URL",
            help=say(
                "An http, https or socks5 proxy, instead of the environment's",
                "http、https 或 socks5 代理，代替环境变量中的代理",
            ),
        ),
    ] = None,
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
    from internlm_setup.core.paths import shipped_configs
    from internlm_setup.core.proxies import proxied
    from internlm_setup.core.setting_rules import parse_endpoint
    from internlm_setup.core.settings import hub_defaults
    from internlm_setup.fetch import service
    from internlm_setup.fetch.world import make_world

    if not model and lock is None:
        raise WrongCommandLine(problem=_NO_MODEL, command="internlm-setup fetch")
    settings = session.settings(source=source, jobs=jobs, limit_rate=limit_rate)
    request = service.Request(
        model=model,
        sources=settings.sources,
        revision=revision,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        to=to and expanded(to),
        layout=layout,
        jobs=settings.jobs,
        most_jobs=settings.most_jobs,
        limit_rate_bytes_per_s=settings.limit_rate_bytes_per_s,
        force=force,
        engine=engine,
        lock=lock and expanded(lock),
        reuse=tuple(map(expanded, reuse or ())),
        copy=copy,
        trace=trace and expanded(trace),
    )
    hubs = [hub.id for hub in hub_defaults(shipped_configs() / "hubs.yaml")]
    nearer = [parse_endpoint(one, hubs) for one in endpoint or ()]
    for hub in (hub for hub, _ in nearer if settings.sources and hub not in settings.sources):
        raise WrongCommandLine(problem=_NOT_ASKED.fill(hub=hub, asked=settings.source), command="internlm-setup fetch")
    with session.progress() as listener:
        env = proxied(session.env, proxy)
        world = make_world(env, session.home, Path.cwd(), session.paths, settings, nearer)
        done = (service.plan if dry_run else service.fetch)(request, world, listener)
    if isinstance(done, service.Plan):
        show_plan(session, done)
    else:
        show_result(session, done)
