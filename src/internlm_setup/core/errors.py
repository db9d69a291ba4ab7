"""The families of failure; one family is one exit code.

A concrete error is a small dataclass in its feature's `errors.py`: typed fields, a stable `code`, a `text`, and a
`hint` that names the next command. The command line has one handler for `SetupError`, so a new one edits nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from enum import IntEnum
from typing import ClassVar

from internlm_setup.core.text import Language, Text, printable


class ExitCode(IntEnum):
    """What the process says when it ends (sysexits.h where one fits)."""

    OK = 0
    NO = 1
    USAGE = 2
    CORRUPT = 65
    NOT_FOUND = 66
    UNAVAILABLE = 69
    BUG = 70
    WRITE = 73
    STOPPED = 75
    PROTOCOL = 76
    DENIED = 77
    CONFIG = 78


class SetupError(Exception):
    """Base of every failure that a person is told about.

    Subclasses are dataclasses; their fields fill the placeholders of `text` and `hint` and appear in `--json`.
    """

    code: ClassVar[str] = ""
    text: ClassVar[Text]
    hint: ClassVar[Text | None] = None
    exit_code: ClassVar[ExitCode] = ExitCode.BUG

    def details(self) -> dict[str, object]:
        """Return the error's own fields by name."""
        kind: type = type(self)
        names = [f.name for f in fields(kind)] if is_dataclass(kind) else []
        return {name: getattr(self, name) for name in names}

    def message(self, language: Language = "en") -> str:
        """Return what happened and why, in one language."""
        return self.text.of(language, self._words(language))

    @property
    def as_text(self) -> Text:
        """What happened and why, in every language: for what is told of an error that ends nothing."""
        return Text(en=self.message("en"), zh=self.message("zh"))

    def next_step(self, language: Language = "en") -> str | None:
        """Return the exact next command, or None when there is none to give."""
        return None if self.hint is None else self.hint.of(language, self._words(language))

    def _words(self, language: Language) -> dict[str, object]:
        words = {k: v.of(language) if isinstance(v, Text) else v for k, v in self.details().items()}
        return {k: printable(v) if isinstance(v, str) else v for k, v in words.items()}

    def __str__(self) -> str:
        return self.message()


class CorruptError(SetupError):
    """Bytes do not match the promised size or hash."""

    exit_code = ExitCode.CORRUPT


class NotFoundError(SetupError):
    """A model, hub, repository, revision or file is unknown."""

    exit_code = ExitCode.NOT_FOUND


class UnavailableError(SetupError):
    """Nobody answered after all retries and fall-backs."""

    exit_code = ExitCode.UNAVAILABLE


class WriteError(SetupError):
    """Disk full, no permission, lock held, or a file in the way."""

    exit_code = ExitCode.WRITE


class StoppedError(SetupError):
    """Stopped part-way with progress kept; the same command goes on."""

    exit_code = ExitCode.STOPPED


class ProtocolError(SetupError):
    """The peer broke its own rules."""

    exit_code = ExitCode.PROTOCOL


class DeniedError(SetupError):
    """A token is missing or not accepted, or access was not granted."""

    exit_code = ExitCode.DENIED


class ConfigError(SetupError):
    """One of our own files, or a tool's own file, cannot be read as what it should be."""

    exit_code = ExitCode.CONFIG


class SeveralErrors(SetupError):
    """More than one failure in one run, each of which is reported."""

    code = "core.several"
    text = Text(en="several things failed", zh="有多处失败")

    def __init__(self, errors: Sequence[SetupError]) -> None:
        super().__init__()
        self.errors = tuple(errors)

    @property
    def shared_exit_code(self) -> ExitCode:
        """The family all agree on; else 75 when any can be resumed; else the first one's."""
        codes = [e.exit_code for e in self.errors]
        if len(set(codes)) == 1:
            return codes[0]
        return ExitCode.STOPPED if ExitCode.STOPPED in codes else codes[0]
