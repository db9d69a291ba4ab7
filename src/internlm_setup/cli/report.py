"""One error, drawn for a person or given to a program."""

from __future__ import annotations

from collections.abc import Iterator

from internlm_setup.cli.output import Output, as_json
from internlm_setup.core.errors import SetupError, SeveralErrors
from internlm_setup.core.text import Language, Text

_LABEL = Text(en="error: ", zh="错误：")


def single(error: SetupError) -> Iterator[SetupError]:
    """Yield the errors inside one, or the one."""
    if isinstance(error, SeveralErrors):
        for inner in error.errors:
            yield from single(inner)
    else:
        yield error


def draw(error: SetupError, output: Output) -> None:
    """Write what happened, a blank line, and the next command, to stderr."""
    label = output.paint("error", _LABEL.of(output.language).rstrip())
    space = " " if output.language == "en" else ""
    for one in single(error):
        hint = one.next_step(output.language)
        tail = f"\n\n{hint}" if hint else ""
        output.complain(f"{label}{space}{one.message(output.language)}{tail}")


def listed(error: SetupError, language: Language) -> list[dict[str, object]]:
    """Return the envelope's `errors`: code, message, hint, and each error's own fields."""
    return [
        {
            "code": one.code,
            "message": one.message(language),
            "hint": one.next_step(language),
            **as_json(one.details(), language),
        }
        for one in single(error)
    ]
