"""`config show` and `config path`: what is set, and where that comes from."""

from __future__ import annotations

import typer

from internlm_setup.cli.help import add_command, add_group
from internlm_setup.cli.session import Session
from internlm_setup.core.setting_rules import Origin
from internlm_setup.core.text import Text

_KINDS = {
    "command line": Text(en="command line", zh="命令行"),
    "default": Text(en="default", zh="默认值"),
}


def register(app: typer.Typer) -> None:
    """Add the noun and its verbs."""
    says = Text(en="Show the settings and where they come from", zh="查看设置及其来源")
    noun = add_group(app, "config", says=says, examples=["internlm-setup config show"])
    add_command(
        noun,
        show,
        says=Text(
            en="List every setting, its value and its origin\n\n"
            "The order is: command line, environment variable, config file, default.",
            zh="列出每项设置、其值及来源\n\n优先顺序：命令行、环境变量、配置文件、默认值。",
        ),
        examples=["internlm-setup config show", "internlm-setup config show --json"],
    )
    add_command(
        noun,
        path,
        says=Text(
            en="Print the path of the config file\n\nIt need not exist; it holds lines such as `jobs: 4`.",
            zh="输出配置文件的路径\n\n文件可以不存在；其中是形如 `jobs: 4` 的行。",
        ),
        examples=["internlm-setup config path"],
    )


def show(ctx: typer.Context) -> None:
    """Show every setting, then the proxies and certificates that are obeyed."""
    session = Session.of(ctx)
    from internlm_setup.core.settings import network_settings

    found = [*session.settings(), *network_settings(session.env)]
    session.output.result(
        {
            "settings": {s.name: {"value": s.value, "origin": s.origin.kind, "detail": s.origin.detail} for s in found},
            "config_file": session.paths.config_file,
        }
    )
    columns = [Text(en="SETTING", zh="设置"), Text(en="VALUE", zh="值"), Text(en="FROM", zh="来源")]
    rows = [(s.name, "-" if s.value is None else s.value, _words(s.origin, session)) for s in found]
    session.output.table(columns, rows)


def path(ctx: typer.Context) -> None:
    """Print where the config file is or would be."""
    session = Session.of(ctx)
    file = session.paths.config_file
    session.output.result({"path": file, "exists": file.is_file()}, file)


def _words(origin: Origin, session: Session) -> str:
    return origin.detail or _KINDS[origin.kind].of(session.language)
