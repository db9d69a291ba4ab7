"""Help that measures columns, and usage errors in both languages."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internlm_setup.cli.errors import usage_problem
from internlm_setup.cli.help import _wrapped, width_of
from internlm_setup.cli.language import choose


def test_width() -> None:
    """Chinese characters take two columns, accents none."""
    assert width_of("a模e\u0301") == 4


def test_wraps_between_chinese_characters() -> None:
    """Chinese has no spaces; a line never begins with closing punctuation."""
    assert list(_wrapped("显示每一项设置，并说明来源", 14)) == ["显示每一项设", "置，并说明来源"]


@given(st.text("模型 ab，.`-", max_size=80), st.integers(10, 30))
def test_wrapping_loses_nothing(text: str, width: int) -> None:
    """Only spaces at the breaks go."""
    lines = list(_wrapped(text, width))
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize(
    ("said", "en", "zh"),
    [
        ("No such option: --nope", "no such option: `--nope`", "没有选项 `--nope`"),
        ("No such option '--nope'.", "no such option: `--nope`", "没有选项 `--nope`"),
        (
            "No such option: --jbs (Possible options: --jobs, --json)",
            "no such option: `--jbs`; did you mean `--jobs`, `--json`?",
            "没有选项 `--jbs`；是否想要 `--jobs`, `--json`？",
        ),
        (
            "No such command 'conf'. Did you mean 'config'? Did you mean 'config'?",
            "no such command: `conf`; did you mean `config`?",
            "没有命令 `conf`；是否想要 `config`？",
        ),
        ("Missing argument 'MODEL'.", "`MODEL` is missing", "缺少参数 `MODEL`"),
        ("Option '--to' requires an argument.", "`--to` needs a value", "选项 `--to` 需要一个值"),
        ("Got unexpected extra arguments (a b)", "too many words: a b", "多余的参数：a b"),
        (
            "Invalid value for '--jobs': 'x' is not a valid integer.",
            "`--jobs` takes a whole number, not `x`",
            "`--jobs` 应为整数，而不是 `x`",
        ),
        (
            "Invalid value for '--port' / '-p': 'x' is not a valid int.",
            "`--port` takes a whole number, not `x`",
            "`--port` 应为整数，而不是 `x`",
        ),
        ("Invalid value for '--to': no way.", "`--to`: no way", "`--to` 的值无效：no way"),
        ("Something new {here}.", "something new {here}", "something new {here}"),
    ],
)
def test_usage_problems(said: str, en: str, zh: str) -> None:
    """Typer's sentences in both languages, whatever release they come from."""
    problem = usage_problem(said)
    assert (problem.en, problem.zh) == (en, zh)


@pytest.mark.parametrize(
    ("env", "encoding", "expected"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "utf-8", "zh"),
        ({"LANG": "zh_CN.GBK"}, "gbk", "zh"),
        ({"LANG": "zh_CN"}, "ascii", "en"),
        ({"LANG": "zh_CN"}, "no-such-encoding", "en"),
        ({"INTERNLM_SETUP_LANG": "zh"}, "ascii", "zh"),
    ],
)
def test_a_console_without_chinese(env: dict[str, str], encoding: str, expected: str) -> None:
    """A locale that the console cannot show gives English; a wish is a wish."""
    assert choose(env, Path("/nowhere"), None, encoding)[0] == expected
