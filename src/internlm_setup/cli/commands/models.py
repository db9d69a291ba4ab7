"""`models list` and `models show`: what the catalogue knows, and what the hubs say of it now."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from internlm_setup.cli.help import add_command, add_group
from internlm_setup.cli.language import say
from internlm_setup.cli.session import Session
from internlm_setup.core.text import Text

_OUTSIDE = Text(en="outside the catalogue", zh="目录之外")


def register(app: typer.Typer) -> None:
    """Add the noun and its verbs."""
    says = Text(en="The models this tool knows by name", zh="本工具按名称认识的模型")
    noun = add_group(app, "models", says=says, examples=["internlm-setup models list chat"])
    add_command(
        noun,
        list_,
        name="list",
        says=Text(en="List models, all or those that match", zh="列出模型，全部或匹配的部分"),
        examples=["internlm-setup models list", "internlm-setup models list 'internlm2*chat*'"],
    )
    add_command(
        noun,
        show,
        says=Text(
            en="Show a model's ids and whether the hubs hold the same bytes\n\n"
            "Hubs are asked for their listings; `--offline` shows the catalogue alone.",
            zh="查看模型在各平台的名称，以及各平台的内容是否相同\n\n会向各平台查询文件列表；`--offline` 只显示目录。",
        ),
        examples=[
            "internlm-setup models show internlm-chat-7b",
            "internlm-setup models show internlm3-8b-instruct --offline --json",
        ],
    )


def list_(
    ctx: typer.Context,
    pattern: Annotated[
        str | None,
        typer.Argument(metavar="PATTERN", help=say("Part of a name, or a glob", "名称的一部分，或通配符")),
    ] = None,
) -> None:
    """Print one line a model; exit 1 when nothing matches."""
    session = Session.of(ctx)
    from internlm_setup.core.paths import shipped_configs
    from internlm_setup.fetch.catalog import load_catalog

    catalog = load_catalog([shipped_configs() / "models", session.paths.config / "models"])
    models = catalog.matching(pattern)
    session.output.result(
        {"models": [{"name": m.name, "family": m.family, "ids": m.ids, "source": m.source} for m in models]}
    )
    columns = [
        Text(en="MODEL", zh="模型"),
        Text(en="FAMILY", zh="系列"),
        Text(en="HUBS", zh="平台"),
    ]
    session.output.table(columns, [(m.name, m.family, " ".join(m.ids)) for m in models])
    if not models:
        session.output.talk(Text(en=f"no model matches `{pattern}`", zh=f"没有模型匹配 `{pattern}`"))
        raise typer.Exit(1)


def show(
    ctx: typer.Context,
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help=say("A name or any hub's id", "名称或任一平台的 id")),
    ],
    offline: Annotated[bool, typer.Option("--offline", help=say("Ask no hub", "不查询任何平台"))] = False,
) -> None:
    """Print what is known, then what each hub answers."""
    session = Session.of(ctx)
    from internlm_setup.cli.hubs import COLUMNS, row
    from internlm_setup.fetch.catalog import Model
    from internlm_setup.fetch.choice import standings
    from internlm_setup.fetch.errors import UnknownModel
    from internlm_setup.fetch.world import make_world

    with session.progress() as listener:
        settings = session.settings()
        world = make_world(session.env, session.home, Path.cwd(), session.paths, settings)
        wanted = world.catalog.want(model, settings.sources or None)
        try:
            known = world.catalog.find(model)
        except UnknownModel:
            known = Model(wanted.typed, "", _OUTSIDE, wanted.ids, {}, (), {}, "")
        found = standings(wanted, world, listener, sources=settings.sources, ask_hubs=not offline)
    session.output.result(
        {
            "name": known.name,
            "family": known.family,
            "title": known.title,
            "aliases": known.aliases,
            "ids": known.ids,
            "original_ids": known.original_ids,
            "revisions": known.revisions,
            "source": known.source,
            "hubs": found,
        }
    )
    session.output.talk(Text(en="{n}: {t}", zh="{n}：{t}").fill(n=known.name, t=known.title))
    session.output.table(COLUMNS, [row(standing, session.language) for standing in found])
    for standing in found:
        if standing.note is not None:
            session.output.talk(standing.note)
