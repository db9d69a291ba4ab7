"""`mirrors`: bare, it leads pip and conda to mirrors; one file a verb."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from internlm_setup.cli.changes import changes_as_data, draw_change, draw_undo
from internlm_setup.cli.errors import WrongCommandLine
from internlm_setup.cli.help import add_group
from internlm_setup.cli.language import say
from internlm_setup.cli.scopes import parse_scope, parse_tools
from internlm_setup.cli.session import Session
from internlm_setup.cli.standing import draw_silence, draw_standing, standing_as_data
from internlm_setup.core import registry
from internlm_setup.core.text import Text

if TYPE_CHECKING:
    from internlm_setup.mirrors.plan import Plan
    from internlm_setup.mirrors.world import World

EXAMPLES = (
    "internlm-setup mirrors",
    "internlm-setup mirrors --site tuna --tool pip,uv",
    "internlm-setup mirrors --site auto --dry-run",
    "internlm-setup mirrors --profile conda-forge-only",
)
_BOTH = Text(
    en="`--profile auto` chooses the site itself; leave `--site {site}` or the profile out",
    zh="`--profile auto` 会自行选择站点；请去掉 `--site {site}` 或该方案",
)
_TOO_EARLY = Text(en="options stand behind the verb", zh="选项应写在动词之后")
_UNTOUCHED = {"profile": "tutorial", "tool": "", "security": False, "dry_run": False}
_LINE = Text(en="{tool}: {words}", zh="{tool}：{words}")
_SKIPPED = Text(
    en="skipped, not installed: {tools} (`--tool {list}` writes for them all the same)",
    zh="已跳过未安装的工具：{tools}（`--tool {list}` 可照样写入）",
)
_SKIPPED_FOR = Text(en="skipped {tool}: {reason}", zh="已跳过 {tool}：{reason}")


def register(app: typer.Typer) -> None:
    """Add the noun, and every verb that has a file here."""
    says = Text(
        en="Point pip and conda at mirrors, and undo it exactly\n\n"
        "Bare: as the tutorial teaches. Only the keys that matter are changed; every other byte of your files stays. "
        "The diff goes to stdout; what was done, and how to undo it, to stderr.",
        zh="让 pip 和 conda 使用镜像，并可原样撤销\n\n"
        "不带参数时按教程设置。只改动相关的键，文件的其余字节保持不变。差异写到标准输出，做了什么及如何撤销写到标准错误。",
    )
    noun = add_group(app, "mirrors", says=says, examples=EXAMPLES, bare=mirrors)
    for name in registry.modules(__name__):
        importlib.import_module(name).register(noun)


def mirrors(
    ctx: typer.Context,
    site: Annotated[
        str | None,
        typer.Option(
            "--site",
            metavar="ID",
            help=say("A site of `mirrors list`, or auto: measured", "`mirrors list` 中的站点，或 auto：实测选择"),
        ),
    ] = None,
    profile: Annotated[
        str,
        typer.Option(
            "--profile",
            metavar="NAME",
            help=say("tutorial, auto, conda-forge-only or gpu", "方案：tutorial、auto、conda-forge-only、gpu"),
        ),
    ] = "tutorial",
    tool: Annotated[
        str,
        typer.Option(
            "--tool", metavar="A,B", help=say("These tools only, installed or not", "只处理这些工具，无论是否已安装")
        ),
    ] = "",
    scope: Annotated[
        str | None,
        typer.Option("--scope", metavar="SCOPE", help=say("user, venv or system", "user、venv 或 system")),
    ] = None,
    security: Annotated[
        bool,
        typer.Option("--security", help=say("apt: the security suites too", "apt：安全更新也使用镜像")),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help=say("Show what would be done and stop", "只显示将要做什么")),
    ] = False,
) -> None:
    """Look, plan, write, and ask the real programs."""
    if ctx.invoked_subcommand is not None:
        if ctx.params != dict.fromkeys(ctx.params) | _UNTOUCHED:
            raise WrongCommandLine(_TOO_EARLY, f"internlm-setup mirrors {ctx.invoked_subcommand}")
        return
    session = Session.of(ctx)
    from internlm_setup.mirrors import service
    from internlm_setup.mirrors.world import make_world

    if site not in {None, "auto"} and profile == "auto":
        raise WrongCommandLine(_BOTH.fill(site=site), "internlm-setup mirrors")
    world = make_world(session.env, session.home, Path.cwd(), session.paths)
    request = service.Request(site, profile, parse_tools(tool), parse_scope(scope), security)
    planned = service.plan(request, world, session.output.talk)
    record = None if dry_run else service.write(planned.changes, world)
    session.output.result(
        {
            "dry_run": dry_run,
            "undo": record,
            "files": changes_as_data([change for step in planned.steps for change in step.changes]),
            "sites": {step.target.id: step.wish.site.id for step in planned.steps if step.wish},
            "not_installed": planned.absent,
            "skipped": [{"tool": skip.tool, "reason": skip.reason} for skip in planned.skips],
        }
    )
    _draw_plan(session, planned, dry_run=dry_run)
    if dry_run:
        _draw_advice(session, planned)
    draw_undo(session, record, dry_run=dry_run)
    if not dry_run:
        _draw_proof(session, planned, world)


def _draw_plan(session: Session, planned: Plan, *, dry_run: bool) -> None:
    """Say what becomes of every file, and which tools are left alone."""
    output = session.output
    for step in planned.steps:
        for change in step.changes:
            draw_change(session, change, dry_run=dry_run)
        for note in step.notes:
            output.talk(_LINE.fill(tool=step.target.id, words=note))
    for skip in planned.skips:
        output.talk(_SKIPPED_FOR.fill(tool=skip.tool, reason=skip.reason))
    if planned.absent:
        names = Text(en=", ".join(planned.absent), zh="、".join(planned.absent))
        output.talk(_SKIPPED.fill(tools=names, list=",".join(planned.absent)))


def _draw_proof(session: Session, planned: Plan, world: World) -> None:
    """Ask the real programs and the sites, all at the same time; what needs a hand comes last."""
    from internlm_setup.mirrors import verify

    found = verify.verified(planned, world)
    session.output.result(
        {
            "effective": [{**standing_as_data(s.tool, s.effective), "ours": s.ours} for s in found.standings],
            "silent": [
                {"tool": r.tool, "site": r.site, "why": r.silence, "stranded": r.stranded}
                for r in found.reaches
                if r.silence is not None
            ],
        }
    )
    if found.standings:
        session.output.talk("")
    for standing in found.standings:
        draw_standing(session, standing)
    _draw_advice(session, planned)
    draw_silence(session, found.reaches)


def _draw_advice(session: Session, planned: Plan) -> None:
    """Say what the tools have to say beside their files."""
    from internlm_setup.mirrors.plan import redacted

    said = [(step.target.id, words) for step in planned.steps for words in step.advice]
    advice = [(tool, Text(en=redacted(words.en), zh=redacted(words.zh))) for tool, words in said]
    session.output.result({"advice": [{"tool": tool, "words": words} for tool, words in advice]})
    for tool, words in advice:  # some begin with the tool's name as it is
        session.output.talk(words if words.en.startswith(f"{tool} ") else _LINE.fill(tool=tool, words=words))
