"""`mirrors list`: the catalogue of mirror sites; nobody is asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from internlm_setup.cli.help import add_command
from internlm_setup.cli.language import say
from internlm_setup.cli.session import Session
from internlm_setup.core.text import Text

if TYPE_CHECKING:
    from internlm_setup.mirrors.model import Site

_CHECKED = Text(
    en="from the catalogue; what answers now: `internlm-setup mirrors test`",
    zh="以上来自目录；当前哪些可用：`internlm-setup mirrors test`",
)
_REFUSED = Text(en="not offered: {site} for {what}: {why}", zh="未提供：{site} 的 {what}：{why}")


def register(noun: typer.Typer) -> None:
    """Add the verb."""
    add_command(
        noun,
        list_,
        name="list",
        says=Text(
            en="List the mirror sites and what they serve\n\n"
            "`-v` adds what is not offered and why. Nobody is asked; see `mirrors test`.",
            zh="列出镜像站及其提供的内容\n\n`-v` 会另外列出未提供的内容及原因。不会访问网络；见 `mirrors test`。",
        ),
        examples=["internlm-setup mirrors list", "internlm-setup mirrors list --family conda"],
    )


def list_(
    ctx: typer.Context,
    family: Annotated[
        str | None,
        typer.Option(
            "--family",
            metavar="NAME",
            help=say("Only sites that serve pypi, conda, npm, apt, …", "只列出提供 pypi、conda、npm、apt 等的站点"),
        ),
    ] = None,
) -> None:
    """Print one line a site; with a family, where it is there."""
    session = Session.of(ctx)
    from internlm_setup.mirrors.sites import check_family
    from internlm_setup.mirrors.world import make_world

    world = make_world(session.env, session.home, Path.cwd(), session.paths)
    sites = list(world.sites) if family is None else world.sites.having(check_family(family))
    session.output.result({"sites": [_safe(site) for site in sites]})
    if family is None:
        _draw_all(session, [site for site in sites if site.retired is None])
    else:
        _draw_family(session, family, sites)
    for site in world.sites:
        for what, why in site.refused.items():
            if family in {None, what.partition("/")[0]}:
                session.output.detail(_REFUSED.fill(site=site.id, what=what, why=why))
    session.output.talk(_CHECKED)


def _safe(site: Site) -> Site:
    """Return a site that is safe to show: somebody's own may have a password in its addresses."""
    from internlm_setup.mirrors.plan import redacted

    safe = {}
    for family, has in site.families.items():
        channels = {name: redacted(url) for name, url in has.channels.items()}
        safe[family] = replace(has, url=redacted(has.url), channels=channels)
    return replace(site, families=safe)


def _draw_all(session: Session, sites: list[Site]) -> None:
    columns = [
        Text(en="SITE", zh="站点"),
        Text(en="NAME", zh="名称"),
        Text(en="SERVES", zh="提供"),
        Text(en="CHECKED", zh="核对日期"),
    ]
    rows = [(s.id, s.title.of(session.language), " ".join(s.families), s.checked_on) for s in sites]
    session.output.table(columns, rows)


def _draw_family(session: Session, family: str, sites: list[Site]) -> None:
    columns = [
        Text(en="SITE", zh="站点"),
        Text(en="KIND", zh="类型"),
        Text(en="ADDRESS", zh="地址"),
        Text(en="HAS", zh="包含"),
        Text(en="CHECKED", zh="核对日期"),
    ]
    found = [(site, site.families[family]) for site in map(_safe, sites)]
    rows = [(s.id, has.kind, has.url, " ".join([*has.channels, *has.paths]), s.checked_on) for s, has in found]
    session.output.table(columns, rows)
