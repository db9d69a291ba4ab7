"""The language of this run: chosen once by `main`, before any command module is imported."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from internlm_setup.core.setting_rules import Origin
from internlm_setup.core.settings import find_language
from internlm_setup.core.text import Language, Text

# One line for both kinds of reader; short enough for 80 columns.
NO_LOCALE = "no locale is set, so this is English; 中文：`export INTERNLM_SETUP_LANG=zh`"
_CHINESE_PRIMARY_LANGUAGE = 0x04  # LANG_CHINESE in winnt.h


class _Choice:
    """What `main` chose; help texts are built from it."""

    language: Language = "en"


def choose(env: Mapping[str, str], config_file: Path, asked: str | None, encoding: str) -> tuple[Language, Origin]:
    """Choose the language, remember it for `say`, and tell where the choice came from.

    A console that cannot show Chinese gets English, unless Chinese was asked for by name.
    """
    language, origin = find_language(env, config_file, asked)
    if origin.kind == "default" and _windows_speaks_chinese():
        language, origin = "zh", Origin("environment", "Windows")
    by_locale = origin.kind == "environment" and origin.detail != "INTERNLM_SETUP_LANG"
    if language == "zh" and by_locale and not _shows_chinese(encoding):
        language = "en"
    _Choice.language = language
    return language, origin


def chosen() -> Language:
    """Return the language of this run."""
    return _Choice.language


def say(en: str, zh: str) -> str:
    """Return the words in this run's language; for help texts, which Typer wants as strings."""
    return Text(en=en, zh=zh).of(_Choice.language)


def _shows_chinese(encoding: str) -> bool:
    try:
        "中文".encode(encoding)
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def _windows_speaks_chinese() -> bool:
    if sys.platform == "win32":
        import ctypes

        language: int = ctypes.windll.kernel32.GetUserDefaultUILanguage()
        return language & 0x3FF == _CHINESE_PRIMARY_LANGUAGE
    return False
