"""The root command: finds every module of `cli.commands` and runs one command line through it."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from internlm_setup.cli import commands
from internlm_setup.cli.errors import WrongCommandLine, usage_problem
from internlm_setup.cli.help import new_app
from internlm_setup.cli.language import say
from internlm_setup.cli.session import Session
from internlm_setup.core import registry
from internlm_setup.core.errors import ExitCode
from internlm_setup.core.text import Text

PROGRAM = "internlm-setup"
COMPLETE_VARIABLE = "_INTERNLM_SETUP_COMPLETE"

_SAYS = Text(
    en="From a bare machine to a verified InternLM model you can talk to",
    zh="从一台空机器到经过校验、可以对话的书生·浦语模型",
)
_EXAMPLES = (
    "internlm-setup fetch internlm-chat-7b --source modelscope",
    "internlm-setup fetch --help",
)

# The base class of wrong command lines, whether Typer brings its own Click or uses the real one.
_UsageError: Any = typer.BadParameter.__mro__[1]


def build(word: str = "") -> Any:
    """Return the root in the language chosen before: with the command that `word` is, or with all of them."""
    app = new_app(_SAYS, _EXAMPLES, completion=True)
    app.callback()(_root)
    asked = registry.module(commands.__name__, word)
    for name in [asked] if asked else registry.modules(commands.__name__):
        importlib.import_module(name).register(app)
    return typer.main.get_command(app)


def run(arguments: Sequence[str], session: Session) -> int:
    """Run one command line, without the common options, and return its exit code.

    Raises:
        WrongCommandLine: It cannot be understood.
        SetupError: The command failed; anything else that comes out is a bug.
    """
    # Not Typer's own `main`: it prints errors, and gives signals and closed pipes other codes.
    try:
        with build(arguments[0] if arguments else "").make_context(PROGRAM, list(arguments), obj=session) as context:
            context.command.invoke(context)
    except typer.Exit as exit_:
        return exit_.exit_code
    except typer.Abort:
        return 1
    except _UsageError as wrong:
        if wrong.message.startswith("Missing command") and session.output.form == "human":
            session.output.complain(wrong.ctx.get_help())
            return int(ExitCode.USAGE)
        where = wrong.ctx.command_path if wrong.ctx else PROGRAM
        raise WrongCommandLine(usage_problem(wrong.format_message()), where) from wrong
    return 0


def complete() -> None:
    """Answer a shell's question for completions, as Typer does it; ends the process."""
    build().main(prog_name=PROGRAM, complete_var=COMPLETE_VARIABLE)


def _root(
    version: Annotated[  # `main` answers it before Typer is imported
        bool, typer.Option("--version", help=say("Show the version", "显示版本"))
    ] = False,
) -> None:
    """Hold the root's options."""
