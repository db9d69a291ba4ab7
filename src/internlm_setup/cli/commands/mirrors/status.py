"""`mirrors status`: what every tool uses now, and which file or variable decides it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from internlm_setup.cli.help import add_command
from internlm_setup.cli.language import say
from internlm_setup.cli.scopes import parse_tools
from internlm_setup.cli.session import Session
from internlm_setup.cli.standing import standing_as_data
from internlm_setup.core.text import Text, printable

if TYPE_CHECKING:
    from internlm_setup.mirrors.model import Layer
    from internlm_setup.mirrors.status import Status

_LINE = Text(en="{tool}: {words}", zh="{tool}：{words}")
_DEFAULT = Text(en="built-in default", zh="内置默认值")
_ABSENT = Text(en="not installed", zh="未安装")
_RULES = Text(en="its rules", zh="其规则")
_MORE = Text(en="{first} and {count} more", zh="{first} 等 {count} 个")
_ASKED = Text(en="`{program}`", zh="`{program}`")
_SILENT = Text(en="{site} does not answer now: {why}", zh="{site} 目前没有应答：{why}")
_OVERRULED = Text(en="does not count: {where}", zh="未生效：{where}")
_REST = Text(en="not installed, and nothing is set: {tools}", zh="未安装且没有任何设置：{tools}")
_HEALTH = {
    "answers": Text(en="{site}, answers", zh="{site}，有应答"),
    "silent": Text(en="{site}, silent", zh="{site}，无应答"),
    "not asked": Text(en="{site}, not asked", zh="{site}，未询问"),
}


def register(noun: typer.Typer) -> None:
    """Add the verb."""
    says = Text(
        en="Show what each tool uses now, and what decides it\n\n"
        "The real programs are asked where they are installed; else it is worked out from their rules. "
        "Nothing is written.",
        zh="显示每个工具现在使用什么，以及由什么决定\n\n已安装的程序会被直接询问，未安装的按其规则推算。不写入任何内容。",
    )
    examples = ["internlm-setup mirrors status", "internlm-setup mirrors status --tool pip,conda --json"]
    add_command(noun, status, says=says, examples=examples)


def status(
    ctx: typer.Context,
    tool: Annotated[
        str,
        typer.Option("--tool", metavar="A,B", help=say("These tools only", "只显示这些工具")),
    ] = "",
    offline: Annotated[bool, typer.Option("--offline", help=say("Ask no site", "不询问任何站点"))] = False,
) -> None:
    """Ask, and draw a line a tool."""
    session = Session.of(ctx)
    from internlm_setup.mirrors.status import statuses
    from internlm_setup.mirrors.world import make_world

    world = make_world(session.env, session.home, Path.cwd(), session.paths)
    named = parse_tools(tool)
    found = statuses(named, world, online=not offline)
    session.output.result({"tools": [_as_data(each) for each in found]})
    shown = [each for each in found if named or each.installed or each.is_set or each.target.always]
    _draw(session, shown)
    for each in shown:
        _draw_notes(session, each, explain=bool(named) or not each.target.scopes)
    rest = [each.target.id for each in found if each not in shown]
    if rest:
        session.output.talk(_REST.fill(tools=Text(en=", ".join(rest), zh="、".join(rest))))


def _draw(session: Session, shown: list[Status]) -> None:
    columns = [
        Text(en="TOOL", zh="工具"),
        Text(en="USES", zh="使用"),
        Text(en="DECIDED BY", zh="由此决定"),
        Text(en="SAYS", zh="依据"),
        Text(en="SITE", zh="站点"),
    ]
    language = session.language
    rows = [
        (
            each.target.id,
            _uses(each).of(language),
            _named(each.effective.decided_by).of(language),
            _source(each).of(language),
            _HEALTH[each.health].fill(site=each.site).of(language) if each.site else "",
        )
        for each in shown
    ]
    session.output.table(columns, rows)


def _draw_notes(session: Session, each: Status, *, explain: bool) -> None:
    """Say what a line of the table has no room for."""
    tool, output = each.target.id, session.output
    if each.silence is not None:
        output.warn(_LINE.fill(tool=tool, words=_SILENT.fill(site=each.site, why=each.silence)))
    for layer in dict.fromkeys(each.effective.overruled):
        output.talk(_LINE.fill(tool=tool, words=_OVERRULED.fill(where=_named(layer))))
    for note in each.effective.notes:
        output.talk(_LINE.fill(tool=tool, words=note))
    if explain:
        output.talk(_LINE.fill(tool=tool, words=each.target.about))


def _uses(each: Status) -> Text:
    from internlm_setup.mirrors.plan import shown

    urls = [printable(url) for url in shown(each.effective.urls)]
    if len(urls) < 2:
        return Text(en=urls[0], zh=urls[0]) if urls else _DEFAULT
    return Text(en=_MORE.fill(first=urls[0], count=len(urls) - 1).en, zh=_MORE.fill(first=urls[0], count=len(urls)).zh)


def _source(each: Status) -> Text:
    if each.effective.asked:
        return _ASKED.fill(program=each.effective.asked)
    return _RULES if each.installed else _ABSENT


def _named(layer: Layer | None) -> Text:
    words = "" if layer is None else printable(" ".join(filter(None, (layer.where, ".".join(layer.key)))))
    return Text(en=words, zh=words)


def _as_data(each: Status) -> dict[str, object]:
    return {
        **standing_as_data(each.target.id, each.effective),
        "overruled": [{"kind": o.kind, "where": o.where, "key": ".".join(o.key)} for o in each.effective.overruled],
        "installed": each.installed,
        "site": each.site,
        "health": each.health,
        "why": each.silence,
        "about": each.target.about,
    }
