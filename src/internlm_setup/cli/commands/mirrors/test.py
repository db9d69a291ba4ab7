"""`mirrors test`: which sites answer from here, how new they are, how fast, and which is best."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from internlm_setup.cli.help import add_command
from internlm_setup.cli.language import say
from internlm_setup.cli.session import Session
from internlm_setup.core.errors import SeveralErrors
from internlm_setup.core.text import Text

if TYPE_CHECKING:
    from internlm_setup.mirrors.model import Family, Site
    from internlm_setup.mirrors.probe import Report, Row
    from internlm_setup.mirrors.world import World

_USUAL = ("pypi", "conda")
_ASKING = Text(
    en="{family}: asking {count} sites, then timing up to three of them (at most 4 MiB each)",
    zh="{family}：正在访问 {count} 个站点，然后对最多三个测速（每个不超过 4 MiB）",
)
_SENT_ON = Text(en="sent on to {host}", zh="跳转到 {host}")
_YES = Text(en="yes", zh="可用")
_NO = Text(en="no", zh="不可用")
_VERDICTS = {
    "best": Text(en="best", zh="最佳"),
    "kept": Text(en="keep", zh="保留"),
    "good": Text(en="good", zh="可用"),
    "unmeasured": Text(en="good", zh="可用"),
    "stale": Text(en="behind", zh="落后"),
    "unusable": Text(en="no", zh="不可用"),
}
_CHOOSE = Text(
    en="{family}: {site}; use it with `internlm-setup mirrors --site {site} --tool {tool}`",
    zh="{family}：{site}；使用它：`internlm-setup mirrors --site {site} --tool {tool}`",
)
_BEST = Text(en="{family}: {site}", zh="{family}：{site}")
_KEEP = Text(en="{family}: keep {site}", zh="{family}：保留 {site}")


def register(noun: typer.Typer) -> None:
    """Add the verb."""
    add_command(
        noun,
        measure,
        name="test",
        says=Text(
            en="Test which sites answer, how new they are, and how fast\n\n"
            "A few small requests to each, then at most 4 MiB from each of the best three. Nothing is written; "
            "`internlm-setup mirrors --site auto` uses the result for a day.",
            zh="测试哪些站点可用、内容有多新、速度如何\n\n"
            "对每个站点只发少量小请求，再从最好的三个各下载不超过 4 MiB。不写入任何设置；"
            "`internlm-setup mirrors --site auto` 会在一天内沿用结果。",
        ),
        examples=[
            "internlm-setup mirrors test",
            "internlm-setup mirrors test --family conda --site nju,sustech",
            "internlm-setup mirrors test --tool npm --json",
        ],
    )


def measure(
    ctx: typer.Context,
    family: Annotated[
        str,
        typer.Option(
            "--family",
            metavar="A,B",
            help=say("Of pypi, conda, npm, apt, …; default pypi,conda", "pypi、conda、npm、apt 等；默认 pypi,conda"),
        ),
    ] = "",
    tool: Annotated[
        str, typer.Option("--tool", metavar="A,B", help=say("What these tools read", "这些工具所用的内容"))
    ] = "",
    site: Annotated[str, typer.Option("--site", metavar="A,B", help=say("Only these sites", "只测试这些站点"))] = "",
) -> None:
    """Measure, draw, and fail where nobody can be used."""
    session = Session.of(ctx)
    from internlm_setup.mirrors import probe, targets
    from internlm_setup.mirrors.sites import check_family
    from internlm_setup.mirrors.world import make_world

    world = make_world(session.env, session.home, Path.cwd(), session.paths)
    named = [*map(check_family, _words(family)), *(targets.get(each).families[0] for each in _words(tool))]
    reports: list[Report] = []
    for one, sites in _asked(named, _words(site), world).items():
        session.output.talk(_ASKING.fill(family=one, count=len(sites)))
        current = targets.in_use(one, world, targets.known().values())
        reports.append(probe.measure(sites, one, world, current=current.id if current else None, fresh=True))
    session.output.result({"families": {report.family: _data(report) for report in reports}})
    _draw(session, reports)
    errors = [probe.none_of(report) for report in reports if report.chosen is None]
    if errors:
        raise errors[0] if len(errors) == 1 else SeveralErrors(errors)


def _words(typed: str) -> list[str]:
    return [word.strip() for word in typed.split(",") if word.strip()]


def _asked(families: list[Family], site_ids: list[str], world: World) -> dict[Family, list[Site]]:
    """Return whom to ask about what; sites that were named are asked about what they serve."""
    from internlm_setup.mirrors import probe

    if not site_ids:
        return {one: probe.candidates(world.sites, one) for one in families or _USUAL}
    for one in families:
        for site_id in site_ids:
            world.sites.serving(site_id, one)
    sites = [world.sites.get(site_id) for site_id in site_ids]
    served = [one for one in _USUAL if any(one in site.families for site in sites)]
    wanted = families or served or [one for site in sites for one in site.families]
    return {one: [site for site in sites if one in site.families] for one in wanted}


def _data(report: Report) -> dict[str, object]:
    return {"chosen": report.chosen, "sites": [_row_data(row) for row in report.rows]}


def _row_data(row: Row) -> dict[str, object]:
    from internlm_setup.mirrors.plan import redacted

    seen = row.seen
    return {
        "site": seen.site,
        "url": redacted(seen.url),
        "verdict": row.verdict,
        "why": row.why,
        "answers": seen.trouble is None,
        "sent_on_to": seen.host or None,
        "first_byte_s": seen.first_byte_s or None,
        "behind_s": row.lag.seconds,
        "behind": row.lag.behind,
        "bytes_per_s": seen.rate_bytes_per_s,
        "channels": dict(seen.channels),
    }


def _draw(session: Session, reports: list[Report]) -> None:
    columns = [
        Text(en="FOR", zh="用于"),
        Text(en="SITE", zh="站点"),
        Text(en="ANSWERS", zh="应答"),
        Text(en="FIRST BYTE", zh="首字节"),
        Text(en="FRESHNESS", zh="新鲜度"),
        Text(en="SPEED", zh="速度"),
        Text(en="VERDICT", zh="结论"),
        Text(en="WHY", zh="原因"),
    ]
    session.output.table(columns, [_cells(report, row, session) for report in reports for row in report.rows])
    for report in reports:
        if report.chosen is not None:
            tool = _writer(report.family)
            line = _KEEP if report.rows[0].verdict == "kept" else _CHOOSE if tool else _BEST
            session.output.talk(line.fill(family=report.family, site=report.chosen, tool=tool))


def _writer(family: Family) -> str | None:
    """Return the tool that people mean by a family, or None where none that is written reads it first."""
    from internlm_setup.mirrors import targets

    found = [tool for tool in targets.known().values() if tool.families[:1] == (family,) and tool.scopes]
    return min(found, key=lambda tool: (not tool.always, tool.id)).id if found else None


def _cells(report: Report, row: Row, session: Session) -> tuple[object, ...]:
    from internlm_setup.mirrors.probe import said_lag, said_rate

    seen = row.seen
    answers = _NO if seen.trouble is not None else _SENT_ON.fill(host=seen.host) if seen.host else _YES
    lag = said_lag(row.lag) if seen.trouble is None else None
    return (
        report.family,
        seen.site,
        answers.of(session.language),
        f"{seen.first_byte_s * 1000:.0f} ms" if seen.first_byte_s else None,
        lag and lag.of(session.language),
        said_rate(seen),
        _VERDICTS[row.verdict].of(session.language),
        row.why.of(session.language),
    )
