"""Failures of the command line itself: a wrong line, a signal, a bug."""

from __future__ import annotations

import re
from dataclasses import InitVar, dataclass

from internlm_setup.core.errors import ExitCode, NotFoundError, SetupError, StoppedError, UnavailableError
from internlm_setup.core.text import Text


@dataclass(eq=False)
class WrongCommandLine(SetupError):
    """What was typed is not a command. `command` is the one whose help answers."""

    problem: Text
    command: str

    exit_code = ExitCode.USAGE
    code = "cli.usage"
    text = Text(en="{problem}", zh="{problem}")
    hint = Text(en="`{command} --help` shows how", zh="用法见 `{command} --help`")


@dataclass(eq=False)
class StoppedBySignal(StoppedError):
    """Ctrl-C, or the system asked us to end; the process exits with 128 and the signal's number."""

    signal: str
    command: str

    code = "cli.stopped"
    text = Text(en="stopped by {signal}", zh="已被 {signal} 中止")
    hint = Text(en="the same command goes on: `{command}`", zh="再次运行同一命令即可继续：`{command}`")


@dataclass(eq=False)
class Bug(SetupError):
    """Anything that no error class describes. `where` is the log, or `stderr` without one."""

    what: str
    where: str

    code = "cli.bug"
    text = Text(
        en="sorry, this is a bug in internlm-setup: {what}",
        zh="抱歉，这是 internlm-setup 的一个缺陷：{what}",
    )
    hint = Text(
        en="the details are in `{where}`; please report it to the project with that text",
        zh="详细信息在 `{where}` 中；请附上该内容向本项目反馈",
    )


_MAYBE = r"[ .(]*(?:(?:Did you mean|Possible options:) (.+?))?[?).]*"
# Typer says these in English only, and spells them differently over its releases. The last group of
# a pattern with `_MAYBE` is what it suggests.
_USAGE = (
    (r"No such option:? '?([^' ]+?)'?\.?" + _MAYBE, "no such option: `{0}`", "没有选项 `{0}`"),
    (r"No such command '(.+?)'" + _MAYBE, "no such command: `{0}`", "没有命令 `{0}`"),
    (r"Missing command\.?", "a command is missing", "缺少命令"),
    (r"Missing argument '(.+?)'\.?", "`{0}` is missing", "缺少参数 `{0}`"),
    (r"Missing option '(.+?)'\.?", "`{0}` is missing", "缺少选项 `{0}`"),
    (r"Option '(.+?)' requires an argument\.?", "`{0}` needs a value", "选项 `{0}` 需要一个值"),
    (r"Option '(.+?)' does not take a value\.?", "`{0}` takes no value", "选项 `{0}` 不带值"),
    (
        r"Got unexpected extra argument(?:s|\(s\))? \((.+)\)",
        "too many words: {0}",
        "多余的参数：{0}",
    ),
    (
        r"Invalid value for '([^']+)'(?: / '[^']+')*: '(.*)' is not a valid int(?:eger)?\.?",
        "`{0}` takes a whole number, not `{1}`",
        "`{0}` 应为整数，而不是 `{1}`",
    ),
    (r"Invalid value for '(.+?)': (.+?)\.?", "`{0}`: {1}", "`{0}` 的值无效：{1}"),
)


def usage_problem(english: str) -> Text:
    """Put Typer's sentence into both languages; one that is not known stays English in both."""
    english = " ".join(english.split())
    for pattern, en, zh in _USAGE:
        found = re.fullmatch(pattern, english)
        if found is None:
            continue
        words = [word or "" for word in found.groups()]
        if _MAYBE in pattern and words[-1]:
            close = ", ".join(f"`{name}`" for name in _names(words[-1]))
            en_close, zh_close = f"; did you mean {close}?", f"；是否想要 {close}？"
            return Text(en=en.format(*words) + en_close, zh=zh.format(*words) + zh_close)
        return Text(en=en.format(*words), zh=zh.format(*words))
    plain = english[:1].lower() + english[1:].rstrip(".")
    return Text(en=plain, zh=plain)


def _names(suggested: str) -> list[str]:
    """Return what is suggested; one release says its question twice."""
    return re.findall(r"[\w-]+", suggested.partition("?")[0])


@dataclass(eq=False)
class NoSuchProgram(NotFoundError):
    """A program that was to be run is not on PATH."""

    program: str

    code = "cli.no-such-program"
    text = Text(en="there is no program `{program}` on PATH", zh="PATH 中没有程序 `{program}`")
    hint = Text(
        en="install it, or correct its name; see where it would be: `command -v {program}`",
        zh="请安装它，或更正名称；查看它的位置：`command -v {program}`",
    )


@dataclass(eq=False)
class EndedInBackground(UnavailableError):
    """What a process in the background ended with: its words, its code and its exit code."""

    words: str
    advice: str
    cause: str
    ended_with: InitVar[int]

    code = "cli.ended-in-background"
    text = Text(en="{words}", zh="{words}")
    hint = Text(en="{advice}", zh="{advice}")

    def __post_init__(self, ended_with: int) -> None:
        self.exit_code = ExitCode(ended_with)  # type: ignore[misc]  # another process's, whatever it was
