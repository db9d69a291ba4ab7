"""`mirrors doctor`: what is wrong in the files of the tools, and its repair."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from internlm_setup.cli.changes import changes_as_data, draw_change, draw_undo
from internlm_setup.cli.help import add_command
from internlm_setup.cli.language import say
from internlm_setup.cli.session import Session
from internlm_setup.cli.standing import draw_standing, standing_as_data
from internlm_setup.core.text import Text, printable

if TYPE_CHECKING:
    from internlm_setup.mirrors.doctor import Diagnosis, Found
    from internlm_setup.mirrors.world import World

_LEVELS = {"wrong": Text(en="wrong:", zh="有误："), "advice": Text(en="advice:", zh="建议：")}
_REPAIR = Text(en="        repair: {repair}", zh="      修复：{repair}")
_CLEAN = Text(en="nothing is wrong", zh="没有发现问题")
_FIXABLE = Text(
    en="{count} of {wrong} can be repaired, and undone: `internlm-setup mirrors doctor --fix`",
    zh="{wrong} 处问题中有 {count} 处可自动修复，并可撤销：`internlm-setup mirrors doctor --fix`",
)
_LEFT = Text(en="left for you: {count}", zh="需要你处理：{count} 处")


def register(noun: typer.Typer) -> None:
    """Add the verb."""
    says = Text(
        en="Find what is wrong, and repair it with `--fix`\n\n"
        "Exit code 1 where something is wrong and was not repaired. Repairs are made in your home folder and in the "
        "active environment; they change nothing else in a file, and `undo` takes them back. What cannot be parsed "
        "is left alone, but for the tutorial's own blocks.",
        zh="找出问题，并用 `--fix` 修复\n\n"
        "若有问题且未修复，退出码为 1。只修复主目录和当前环境中的文件，不改动文件的其他部分，可用 `undo` 撤销。"
        "无法解析的文件不会改动，教程中的配置段除外。",
    )
    examples = ["internlm-setup mirrors doctor", "internlm-setup mirrors doctor --fix"]
    add_command(noun, doctor, says=says, examples=examples)


def doctor(
    ctx: typer.Context,
    fix: Annotated[bool, typer.Option("--fix", help=say("Repair what can be repaired", "修复可以修复的问题"))] = False,
    offline: Annotated[bool, typer.Option("--offline", help=say("Ask no site", "不询问任何站点"))] = False,
) -> None:
    """Look, repair, and ask the real programs."""
    session = Session.of(ctx)
    from internlm_setup.mirrors import service
    from internlm_setup.mirrors.doctor import diagnose
    from internlm_setup.mirrors.world import make_world

    world = make_world(session.env, session.home, Path.cwd(), session.paths)
    diagnosis = diagnose(world, online=not offline)
    changes = diagnosis.changes if fix else ()
    record = service.write(changes, world)
    left = [each for each in (diagnosis.left if fix else diagnosis.found) if each.finding.level == "wrong"]
    session.output.result(
        {
            "findings": [_as_data(each) for each in diagnosis.found],
            "undo": record,
            "files": changes_as_data(changes),
            "left": [_as_data(each) for each in left],
        }
    )
    for each in diagnosis.found:
        _draw(session, each, fix=fix)
    for change in changes:
        draw_change(session, change)
    draw_undo(session, record)
    if record is not None:
        _draw_proof(session, diagnosis, world)
    _draw_end(session, diagnosis, left, fix=fix)
    if left:
        raise typer.Exit(1)


def _draw(session: Session, each: Found, *, fix: bool) -> None:
    """Say on stdout what was found, and what is to be done where that is not being done."""
    language = session.language
    space = " " if language == "en" else ""
    found = f"{_LEVELS[each.finding.level].of(language)}{space}{each.finding.message.of(language)}"
    session.output.result({}, printable(found))
    if not (fix and each.finding.change):
        session.output.result({}, printable(_REPAIR.fill(repair=each.finding.repair).of(language)))


def _draw_proof(session: Session, diagnosis: Diagnosis, world: World) -> None:
    """Ask the tools whose files were repaired what they use now."""
    from internlm_setup.mirrors import targets, verify

    tools = [targets.get(tool) for tool in dict.fromkeys(change.tool for change in diagnosis.changes)]
    found = [
        verify.Standing(t.id, verify.effective(t, world), True, t.program in world.machine.programs) for t in tools
    ]
    session.output.result({"effective": [standing_as_data(each.tool, each.effective) for each in found]})
    for standing in found:
        draw_standing(session, standing)


def _draw_end(session: Session, diagnosis: Diagnosis, left: list[Found], *, fix: bool) -> None:
    wrong = [each for each in diagnosis.found if each.finding.level == "wrong"]
    fixable = [each for each in wrong if each.finding.change]
    if not wrong:
        session.output.talk(_CLEAN)
    elif not fix and fixable:
        session.output.talk(_FIXABLE.fill(count=len(fixable), wrong=len(wrong)))
    elif left:
        session.output.talk(_LEFT.fill(count=len(left)))


def _as_data(each: Found) -> dict[str, object]:
    finding = each.finding
    return {
        "check": each.check,
        "level": finding.level,
        "message": finding.message,
        "repair": finding.repair,
        "fixable": finding.change is not None,
    }
