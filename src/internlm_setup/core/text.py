"""Words for people, in English and Chinese, kept beside the code that says them.

Both languages are required fields: a missing translation is a type error, not a hole found by a user.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
_PASSWORD = re.compile(r"((?:://|^(?!\w+://))[^\s/:@]*:)\S*(?=@)")


@dataclass(frozen=True, slots=True)
class Text:
    """One message in both languages, with named `{placeholders}`."""

    en: str
    zh: str

    def of(self, language: Language, fields: Mapping[str, object] | None = None) -> str:
        """Return the words in one language, placeholders filled from `fields` where given."""
        words = self.zh if language == "zh" else self.en
        return words if fields is None else words.format(**fields)

    def fill(self, **fields: object) -> Text:
        """Return a copy with the placeholders filled in both languages.

        A field that is itself a `Text` is filled in its own language.
        """

        def pick(language: Language) -> dict[str, object]:
            return {k: v.of(language) if isinstance(v, Text) else v for k, v in fields.items()}

        return Text(en=self.en.format(**pick("en")), zh=self.zh.format(**pick("zh")))


def language_from(env: Mapping[str, str], asked: str | None = None) -> tuple[Language, str]:
    """Choose the language and say where the choice came from.

    Args:
        env: The environment; `INTERNLM_SETUP_LANG`, then `LC_ALL`, `LC_MESSAGES` and `LANG` are read.
        asked: What `--lang` said, if anything; unknown values are ignored here (the CLI refuses them).

    Returns:
        The language and its origin: `--lang`, a variable's name, or `default` when nothing said anything.
    """
    if asked in LANGUAGES:
        return ("zh" if asked == "zh" else "en"), "--lang"
    for name in ("INTERNLM_SETUP_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = env.get(name, "")
        if value and (name == "INTERNLM_SETUP_LANG" or value.split(".")[0] not in {"C", "POSIX"}):
            return ("zh" if value.lower().startswith("zh") else "en"), name
    return "en", "default"


def human_size(count_bytes: float) -> str:
    """Return a size as `12.3 MiB`: binary units, at most three digits before the point, plain bytes as `86 B`."""
    value, unit = float(count_bytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024 if unit == "B" else round(value, 1) < 1000:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"


def without_password(url: str) -> str:
    """Return an address that is safe to show; a password may hold any character, `@` and `/` too."""
    return _PASSWORD.sub(r"\1***", url)


def printable(words: str) -> str:
    """Return words that cannot move the cursor or colour a terminal: what a server says is not trusted."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in words)
