"""Failures: their words, their fields, and the exit code of several at once."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from internlm_setup.core.errors import (
    ConfigError,
    CorruptError,
    DeniedError,
    ExitCode,
    NotFoundError,
    ProtocolError,
    SetupError,
    SeveralErrors,
    StoppedError,
    UnavailableError,
    WriteError,
)
from internlm_setup.core.text import Text


@dataclass(eq=False)
class Lost(NotFoundError):
    """A failure with fields."""

    code = "test.lost"
    text = Text(en="{name} is lost: {why}", zh="{name} 丢失：{why}")
    hint = Text(en="look for `{name}`", zh="查找 `{name}`")
    name: str
    why: Text


@dataclass(eq=False)
class Bare(SetupError):
    """A failure without a next step."""

    code = "test.bare"
    text = Text(en="bare", zh="空")


LOST = Lost("hat", Text(en="wind", zh="风"))


def test_words_in_both_languages() -> None:
    """Message and next step fill their fields in the language asked for."""
    assert (LOST.message(), LOST.message("zh")) == ("hat is lost: wind", "hat 丢失：风")
    assert (LOST.next_step(), LOST.next_step("zh")) == ("look for `hat`", "查找 `hat`")
    assert str(LOST) == "hat is lost: wind"


def test_details_are_the_fields() -> None:
    """Scripts get the fields by name; an error without fields has none."""
    assert LOST.details() == {"name": "hat", "why": Text(en="wind", zh="风")}
    assert Bare().details() == {}
    assert SeveralErrors([LOST]).details() == {}


def test_no_next_step() -> None:
    """An error without a hint gives None, and counts as a bug of ours unless its family says otherwise."""
    assert Bare().next_step() is None
    assert Bare().exit_code is ExitCode.BUG


def test_errors_are_not_equal_by_value() -> None:
    """Two failures with the same fields are two failures, and can be kept in a set."""
    assert len({LOST, Lost(LOST.name, LOST.why)}) == 2


@pytest.mark.parametrize(
    ("family", "code"),
    [
        (CorruptError, 65),
        (NotFoundError, 66),
        (UnavailableError, 69),
        (WriteError, 73),
        (StoppedError, 75),
        (ProtocolError, 76),
        (DeniedError, 77),
        (ConfigError, 78),
    ],
)
def test_families(family: type[SetupError], code: int) -> None:
    """Each family has the exit code that scripts rely on."""
    assert family.exit_code == code


@pytest.mark.parametrize(
    ("families", "expected"),
    [
        ([NotFoundError], 66),
        ([NotFoundError, NotFoundError], 66),
        ([UnavailableError, NotFoundError], 69),
        ([NotFoundError, UnavailableError], 66),
        ([CorruptError, StoppedError], 75),
        ([DeniedError, WriteError, StoppedError], 75),
    ],
)
def test_several(families: list[type[SetupError]], expected: int) -> None:
    """Several failures share their code; else one that can be resumed decides; else the first."""
    assert SeveralErrors([family() for family in families]).shared_exit_code == expected
