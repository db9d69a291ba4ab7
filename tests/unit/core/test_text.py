"""Words in two languages, sizes people can read, addresses without their passwords."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internlm_setup.core.text import Text, human_size, language_from, without_password

HELLO = Text(en="hello {who}", zh="你好 {who}")


def test_one_language_at_a_time() -> None:
    """Each language fills its own words; without fields the braces stay."""
    assert HELLO.of("en", {"who": "you"}) == "hello you"
    assert HELLO.of("zh", {"who": "you"}) == "你好 you"
    assert HELLO.of("en") == "hello {who}"


def test_a_text_inside_a_text() -> None:
    """A field that has two languages is filled in with the right one."""
    assert HELLO.fill(who=Text(en="world", zh="世界")) == Text(en="hello world", zh="你好 世界")


def test_braces_in_a_value_are_only_characters() -> None:
    """A file called `{x}` is named, not looked up."""
    assert HELLO.fill(who="{x}").of("en") == "hello {x}"


@pytest.mark.parametrize(
    ("env", "asked", "expected"),
    [
        ({}, None, ("en", "default")),
        ({"LANG": "zh_CN.UTF-8"}, None, ("zh", "LANG")),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "en_US.UTF-8"}, None, ("en", "LC_ALL")),
        ({"LANG": "zh_CN.UTF-8", "INTERNLM_SETUP_LANG": "en"}, None, ("en", "INTERNLM_SETUP_LANG")),
        ({"INTERNLM_SETUP_LANG": "ZH"}, None, ("zh", "INTERNLM_SETUP_LANG")),
        ({"LANG": "C.UTF-8"}, None, ("en", "default")),
        ({"LANG": "POSIX"}, None, ("en", "default")),
        ({"LANG": "de_DE"}, None, ("en", "LANG")),
        ({"LANG": "zh_CN"}, "en", ("en", "--lang")),
        ({}, "zh", ("zh", "--lang")),
        ({"LANG": "zh_CN"}, "fr", ("zh", "LANG")),
    ],
)
def test_language(env: dict[str, str], asked: str | None, expected: tuple[str, str]) -> None:
    """What was asked for wins, then our variable, then the locale; a locale of nowhere says nothing."""
    assert language_from(env, asked) == expected


@pytest.mark.parametrize(
    ("count_bytes", "expected"),
    [
        (0, "0 B"),
        (86, "86 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1000 * 1024, "1.0 MiB"),
        (1023_990, "1.0 MiB"),
        (12.3 * 2**20, "12.3 MiB"),
        (14 * 2**30, "14.0 GiB"),
        (2**40, "1.0 TiB"),
    ],
)
def test_sizes(count_bytes: float, expected: str) -> None:
    """A size has one decimal and the largest unit that leaves something before the point."""
    assert human_size(count_bytes) == expected


@given(st.integers(min_value=1024, max_value=999 * 2**40))
def test_sizes_stay_short(count_bytes: int) -> None:
    """There are never more than three digits before the point."""
    assert len(human_size(count_bytes).partition(".")[0]) <= 3


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://proxy.test:3128", "http://proxy.test:3128"),
        ("http://me@proxy.test", "http://me@proxy.test"),
        ("http://me:secret@proxy.test:3128/", "http://me:***@proxy.test:3128/"),
        ("http://me:sec@ret@proxy.test", "http://me:***@proxy.test"),
        ("http://me:sec/ret@proxy.test", "http://me:***@proxy.test"),
        ("http://me:sec:ret@[::1", "http://me:***@[::1"),
    ],
)
def test_passwords_are_not_shown(url: str, shown: str) -> None:
    """Whatever characters a password has, none of them is left."""
    assert without_password(url) == shown
