"""The options every command has: `--lang`, `--json`, `-q`, `-v`, before or after the verb.

They are lifted out of the command line before Typer parses the rest, because Typer does not share
options between a group and its commands, and because an error in the rest must already know the
language and whether to speak JSON. Everything after a bare `--` belongs to somebody else and is not
touched. An option's value that looks like one of them is written with `=`: `--include=--json`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from internlm_setup.cli.errors import WrongCommandLine
from internlm_setup.core.text import LANGUAGES, Text

Form = Literal["human", "json", "stream"]
_SHORT = {"-q": "quiet", "--quiet": "quiet", "-v": "verbose", "--verbose": "verbose"}
_PROGRAM = "internlm-setup"


@dataclass(slots=True)
class Common:
    """What the common options said.

    Attributes:
        lang: The value of `--lang`, unchecked until `problem` is looked at.
        form: `human`, or what `--json` asked for.
        quiet: Nothing on stderr but errors.
        verbose: More on stderr, and more in the log.
        problem: What is wrong with them; told once the language is known.
    """

    lang: str | None = None
    form: Form = "human"
    quiet: bool = False
    verbose: bool = False
    problem: Text | None = None

    def check(self) -> None:
        """Raise what `lift` could not yet say.

        Raises:
            WrongCommandLine: `--lang` or `--json` was given a value it does not take.
        """
        if self.problem is not None:
            raise WrongCommandLine(problem=self.problem, command=_PROGRAM)


def lift(argv: Sequence[str]) -> tuple[Common, list[str]]:
    """Take the common options out of a command line.

    Returns:
        What they said, and the rest in order, with `--` and everything after it as it was.
    """
    common = Common()
    rest: list[str] = []
    waiting = iter(argv)
    for word in waiting:
        if word == "--":
            return common, [*rest, word, *waiting]
        name, equals, value = word.partition("=")
        if word in _SHORT:
            setattr(common, _SHORT[word], True)
        elif name == "--lang":
            _lang(common, value if equals else next(waiting, ""))
        elif name == "--json":
            _json(common, value if equals else None)
        else:
            rest.append(word)
    return common, rest


def _lang(common: Common, value: str) -> None:
    common.lang = value
    if value not in LANGUAGES:
        problem = Text(
            en="`--lang` takes `en` or `zh`, not `{value}`",
            zh="`--lang` 应为 `en` 或 `zh`，而不是 `{value}`",
        )
        common.problem = problem.fill(value=value)


def _json(common: Common, value: str | None) -> None:
    if common.form != "stream":
        common.form = "stream" if value == "stream" else "json"
    if value not in {None, "stream"}:
        problem = Text(
            en="`--json` takes nothing or `=stream`, not `={value}`",
            zh="`--json` 不带值或为 `=stream`，而不是 `={value}`",
        )
        common.problem = problem.fill(value=value)
