"""The options that several verbs of `mirrors` share, read."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from internlm_setup.cli.errors import WrongCommandLine
from internlm_setup.core.text import Text

if TYPE_CHECKING:
    from internlm_setup.mirrors.model import Scope

_BAD_SCOPE = Text(
    en="`--scope` takes user, venv or system, not `{scope}`", zh="`--scope` 应为 user、venv 或 system，而不是 `{scope}`"
)


def parse_scope(word: str | None) -> Scope | None:
    """Return the scope that a word names.

    Raises:
        WrongCommandLine: It names none.
    """
    from internlm_setup.mirrors.model import Scope

    found: Scope | None = next((scope for scope in get_args(Scope) if scope == word), None)
    if word is not None and found is None:
        raise WrongCommandLine(_BAD_SCOPE.fill(scope=word), "internlm-setup mirrors")
    return found


def parse_tools(words: str) -> tuple[str, ...]:
    """Return the names in `a,b`."""
    return tuple(name.strip() for name in words.split(",") if name.strip())
