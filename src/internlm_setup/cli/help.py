"""How a command is added, and what its `--help` looks like.

Typer's own help is English around our words and measures Chinese by characters, not by columns;
this one is small, needs no rich, and always ends with an example.
"""

from __future__ import annotations

import inspect
import shutil
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from internlm_setup.cli.language import say
from internlm_setup.core.text import Text

_NARROWEST, _WIDEST = 60, 100
_LONGEST_NAME = 30
_EVERYWHERE = {"--help", "--lang", "--json", "--quiet", "--verbose"}


def add_command(
    app: typer.Typer,
    function: Callable[..., None],
    *,
    says: Text,
    examples: Sequence[str],
    name: str | None = None,
    settings: dict[str, Any] | None = None,
) -> None:
    """Make a function a command.

    Args:
        app: The root, or what `add_group` returned.
        function: Its annotated parameters are the command's; `ctx: typer.Context` comes first.
        says: What it does: the first line is shown in lists, the rest only in its own help.
        examples: At least one whole command line.
        name: Default: the function's name with dashes.
        settings: Typer's `context_settings`.
    """
    app.command(
        name or function.__name__.replace("_", "-"),
        cls=_Command,
        help=say(says.en, says.zh),
        epilog="\n".join(examples),
        context_settings=settings,
    )(function)


def add_group(
    app: typer.Typer,
    name: str,
    *,
    says: Text,
    examples: Sequence[str],
    bare: Any = None,
    kind: type[Group] | None = None,
) -> typer.Typer:
    """Make a noun that holds verbs.

    Args:
        app: The root.
        name: The noun.
        says: What it is for.
        examples: At least one whole command line.
        bare: A function for the noun without a verb; without it that is a usage error.
        kind: How verbs are found, where it is not by their names alone.

    Returns:
        What `add_command` takes for the verbs.
    """
    group = new_app(says, examples)
    if bare is not None:
        group.callback(cls=kind or Group, invoke_without_command=True)(bare)
    app.add_typer(group, name=name, help=say(says.en, says.zh), epilog="\n".join(examples))
    return group


def new_app(says: Text, examples: Sequence[str], *, completion: bool = False) -> typer.Typer:
    """Return an empty Typer of ours."""
    return typer.Typer(
        cls=Group,
        help=say(says.en, says.zh),
        epilog="\n".join(examples),
        add_completion=completion,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        # A noun alone is answered by `Missing command`, which is an error in `--json` too.
        no_args_is_help=False,
    )


def width_of(text: str) -> int:
    """Return how many columns a terminal gives to a text."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _shown(
    lang: Annotated[str, typer.Option("--lang", metavar="en|zh", help=say("Language of all output", "输出语言"))] = "",
    json: Annotated[
        bool,
        typer.Option(
            "--json",
            help=say(
                "One JSON object on stdout; `--json=stream` adds a line per event",
                "向标准输出写一个 JSON 对象；`--json=stream` 另逐行输出事件",
            ),
        ),
    ] = False,
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help=say("Nothing on stderr but errors", "标准错误只留错误")),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help=say("Say and log more", "显示并记录更多信息"))
    ] = False,
) -> None:
    """Hold the options that `options.lift` takes; these serve help and completion."""


def _common_parameters() -> list[Any]:
    app = typer.Typer(add_completion=False)
    app.command()(_shown)
    parameters: list[Any] = list(typer.main.get_command(app).params)
    for parameter in parameters:
        parameter.expose_value = False
    return parameters


class _Command(TyperCommand):
    """A command with our help and the common options."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Add the common options behind the command's own."""
        return [*super().get_params(ctx), *_common_parameters()]

    def get_help(self, ctx: Any) -> str:
        """Draw the help text."""
        return draw_help(self, ctx)


class Group(TyperGroup):
    """A group with our help and the common options."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Add the common options behind the group's own."""
        return [*super().get_params(ctx), *_common_parameters()]

    def get_help(self, ctx: Any) -> str:
        """Draw the help text."""
        return draw_help(self, ctx)


def draw_help(command: Any, ctx: Any) -> str:
    """Return a command's whole help: usage, words, arguments, verbs, options, examples."""
    width = max(_NARROWEST, min(_WIDEST, shutil.get_terminal_size().columns))
    lines = [say("Usage: ", "用法：") + _usage(command, ctx), ""]
    for paragraph in inspect.cleandoc(command.help or "").splitlines():
        lines += list(_wrapped(paragraph, width)) or [""]
    for title, rows in _sections(command, ctx):
        if rows:
            lines += ["", title, *_table(rows, width)]
    if command.epilog:
        examples = command.epilog.splitlines()
        lines += ["", say("Examples:", "示例："), *(f"  {line}" for line in examples)]
    return "\n".join(lines)


def _usage(command: Any, ctx: Any) -> str:
    arguments = [p for p in command.get_params(ctx) if p.param_type_name == "argument"]
    words = [_metavar(p) if p.required else f"[{_metavar(p)}]" for p in arguments]
    verb = [say("COMMAND …", "命令 …")] if hasattr(command, "commands") else []
    return " ".join([ctx.command_path, say("[OPTIONS]", "[选项]"), *words, *verb])


def _metavar(parameter: Any) -> str:
    """Return what stands for a value; Typer's own spelling differs between its releases."""
    name: str = parameter.metavar or parameter.name.upper()
    return name + "…" if parameter.nargs == -1 and not name.endswith("…") else name


def _sections(command: Any, ctx: Any) -> list[tuple[str, list[tuple[str, str]]]]:
    own = command.get_params(ctx)
    arguments = [p for p in own if p.param_type_name == "argument"]
    options = [p for p in own if p.param_type_name == "option" and not p.hidden]
    everywhere = [p for p in options if _EVERYWHERE.intersection(p.opts)]
    special = [p for p in options if p not in everywhere]
    verbs = [
        (name, inspect.cleandoc(child.help or "").partition("\n")[0])
        for name in getattr(command, "commands", {})
        if (child := command.get_command(ctx, name)) and not child.hidden
    ]
    return [
        (say("Arguments:", "参数："), [(_metavar(p), p.help or "") for p in arguments]),
        (say("Commands:", "命令："), verbs),
        (say("Options:", "选项："), [_option(p) for p in special]),
        (say("Everywhere:", "通用选项："), [_option(p) for p in everywhere]),
    ]


def _option(parameter: Any) -> tuple[str, str]:
    """Return the spelling and the words of one option; Typer's own are put into our language."""
    typers = {
        "--help": say("Show this", "显示本帮助"),
        "--install-completion": say("Install completion for this shell", "为当前 shell 安装补全"),
        "--show-completion": say("Print the completion script", "打印补全脚本"),
    }
    names = sorted([*parameter.opts, *parameter.secondary_opts], key=len)
    spelling = ", ".join(names)
    if not parameter.is_flag and not parameter.count:
        spelling += f" {_metavar(parameter)}"
    return spelling, typers.get(parameter.opts[0]) or parameter.help or ""


def _table(rows: list[tuple[str, str]], width: int) -> Iterator[str]:
    left = min(_LONGEST_NAME, max(width_of(name) for name, _ in rows)) + 2
    for name, words in rows:
        lines = list(_wrapped(words, width - left - 2)) or [""]
        if width_of(name) + 2 > left:
            yield f"  {name}"
        else:
            yield f"  {name}{' ' * (left - width_of(name))}{lines.pop(0)}".rstrip()
        yield from (" " * (left + 2) + line for line in lines)


def _wrapped(text: str, width: int) -> Iterator[str]:
    """Break at spaces, and between Chinese characters where there are none."""
    line = ""
    for word in _pieces(text):
        if line and width_of(line) + width_of(word.rstrip()) > width:
            yield line.rstrip()
            line = ""
        line += word
    if line.strip():
        yield line.rstrip()


def _pieces(text: str) -> Iterator[str]:
    """Yield the smallest pieces a line may end after; punctuation stays with what it closes."""
    piece = ""
    for index, character in enumerate(text):
        piece += character
        following = text[index + 1 : index + 2]
        wide = width_of(character) == 2 or (following and width_of(following) == 2)
        if character == " " or (wide and following not in "，。；：、）》”！？,.;:) "):
            yield piece
            piece = ""
    if piece:
        yield piece
