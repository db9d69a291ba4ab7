"""What is in force after writing, drawn: what each tool uses, what wins over it, which sites are silent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from internlm_setup.cli.session import Session
from internlm_setup.core.text import Text, printable

if TYPE_CHECKING:
    from internlm_setup.mirrors.model import Effective, Layer
    from internlm_setup.mirrors.verify import Reach, Standing

_LINE = Text(en="{tool}: {words}", zh="{tool}：{words}")
_USES = Text(en="{tool} now uses {urls} ({how})", zh="{tool} 现在使用 {urls}（{how}）")
_ASKED = Text(en="says `{program}`", zh="由 `{program}` 确认")
_RULES = Text(en="by its rules; the program did not say", zh="按其规则推算；程序本身未给出")
_ABSENT = Text(en="by its rules; it is not installed", zh="按其规则推算；尚未安装")
_WINS = Text(
    en="{tool} does not use what was written: {winner} wins over it and says {urls}",
    zh="{tool} 没有使用写入的内容：{winner} 优先于它，其值为 {urls}",
)
_IGNORED = Text(en="{tool} does not use what was written, but {urls}", zh="{tool} 没有使用写入的内容，而是 {urls}")
_DEFAULT = Text(en="its built-in default", zh="内置默认值")
_VARIABLE = Text(en="the variable `{where}`", zh="变量 `{where}`")
_FILE = Text(en="`{where}`", zh="`{where}`")
_SILENT = Text(en="{site} does not answer now: {why}", zh="{site} 目前没有应答：{why}")
_STRANDED = Text(
    en="{tool} will fail from here until {site} answers; `internlm-setup mirrors undo`",
    zh="在 {site} 恢复应答之前，{tool} 在本机会失败；`internlm-setup mirrors undo`",
)


def draw_standing(session: Session, standing: Standing) -> None:
    """Say what a tool uses now, and what wins over what was written."""
    from internlm_setup.mirrors.plan import shown

    found = standing.effective
    urls = ", ".join(printable(url) for url in shown(found.urls)) or _DEFAULT.of(session.language)
    if standing.ours:
        rules = _RULES if standing.installed else _ABSENT
        how = rules if found.asked is None else _ASKED.fill(program=found.asked)
        session.output.talk(_USES.fill(tool=standing.tool, urls=urls, how=how))
    elif found.decided_by is None:
        session.output.warn(_IGNORED.fill(tool=standing.tool, urls=urls))
    else:
        session.output.warn(_WINS.fill(tool=standing.tool, urls=urls, winner=_named(found.decided_by)))
    for note in found.notes:
        session.output.warn(_LINE.fill(tool=standing.tool, words=note))


def _named(layer: Layer) -> Text:
    words = _VARIABLE if layer.kind == "variable" else _FILE
    return words.fill(where=printable(layer.where))


def draw_silence(session: Session, reaches: Sequence[Reach]) -> None:
    """Say which sites are silent, and last of all which tools will fail because of that."""
    silent = {reach.site: reach.silence for reach in reaches if reach.silence is not None}
    for site, why in silent.items():
        session.output.talk(_SILENT.fill(site=site, why=why))
    for reach in reaches:
        if reach.stranded:
            session.output.warn(_STRANDED.fill(tool=reach.tool, site=reach.site))


def standing_as_data(tool: str, found: Effective) -> dict[str, object]:
    """Return what JSON has of what a tool uses."""
    from internlm_setup.mirrors.plan import shown

    winner = found.decided_by
    return {
        "tool": tool,
        "urls": shown(found.urls),
        "decided_by": None
        if winner is None
        else {"kind": winner.kind, "where": winner.where, "key": ".".join(winner.key)},
        "asked": found.asked,
        "notes": found.notes,
    }
