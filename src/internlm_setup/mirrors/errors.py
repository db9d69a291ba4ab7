"""What goes wrong with mirrors, in words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from internlm_setup.core.errors import ConfigError, CorruptError, NotFoundError, UnavailableError, WriteError
from internlm_setup.core.text import Text


def close_to(word: str, known: Iterable[str]) -> Text:
    """Return `; did you mean …?` with the known words that are like one; empty where none is."""
    near = difflib.get_close_matches(word, list(known), n=3, cutoff=0.6)
    if not near:
        return Text(en="", zh="")
    return Text(
        en=f"; did you mean {', '.join(f'`{name}`' for name in near)}?",
        zh=f"；您是否想输入 {'、'.join(f'`{name}`' for name in near)}？",
    )


@dataclass(eq=False)
class FileUnparseable(ConfigError):
    """A tool's own file cannot be parsed, so it is left alone."""

    code = "mirrors.unparseable"
    text = Text(
        en="`{path}`, line {line}: {reason}; it was left as it is",
        zh="`{path}` 第 {line} 行：{reason}；文件未作改动",
    )
    hint = Text(
        en="correct that line, or see whether it can be repaired: `internlm-setup mirrors doctor`",
        zh="请更正这一行，或查看能否修复：`internlm-setup mirrors doctor`",
    )
    path: str
    line: int
    reason: str


@dataclass(eq=False)
class WouldChangeMore(ConfigError):
    """The edited file would differ in more than the key that was asked for."""

    code = "mirrors.would-change-more"
    text = Text(
        en="`{path}` is written in a way that `{key}` cannot be changed alone; it was left as it is",
        zh="`{path}` 的写法使得无法只改动 `{key}`；文件未作改动",
    )
    hint = Text(
        en="set it by hand, and see what is in force: `internlm-setup mirrors status`",
        zh="请手工设置，并查看当前生效的内容：`internlm-setup mirrors status`",
    )
    path: str
    key: str


@dataclass(eq=False)
class UnknownSite(NotFoundError):
    """Nobody in the catalogue is called that."""

    code = "mirrors.unknown-site"
    text = Text(en="there is no mirror site `{site}`{close}", zh="没有名为 `{site}` 的镜像站{close}")
    hint = Text(en="see them all: `internlm-setup mirrors list`", zh="查看全部：`internlm-setup mirrors list`")
    site: str
    close: Text


@dataclass(eq=False)
class UnknownTool(NotFoundError):
    """No tool of that name is known."""

    code = "mirrors.unknown-tool"
    text = Text(en="there is no tool `{tool}`{close}", zh="没有名为 `{tool}` 的工具{close}")
    hint = Text(en="known tools: {known}", zh="已知的工具：{known}")
    tool: str
    close: Text
    known: str


@dataclass(eq=False)
class UnknownProfile(NotFoundError):
    """No profile is called that."""

    code = "mirrors.unknown-profile"
    text = Text(en="there is no profile `{profile}`{close}", zh="没有名为 `{profile}` 的方案{close}")
    hint = Text(en="profiles: {known}", zh="可用的方案：{known}")
    profile: str
    close: Text
    known: str


@dataclass(eq=False)
class FileUnreadable(ConfigError):
    """A tool's file is there and cannot be read, so nobody knows what would be lost."""

    code = "mirrors.unreadable"
    text = Text(
        en="cannot read `{path}`: {reason}; nothing was written", zh="无法读取 `{path}`：{reason}；未写入任何内容"
    )
    hint = Text(en="look at it: `ls -ld {path}`", zh="请查看它：`ls -ld {path}`")
    path: str
    reason: Text


@dataclass(eq=False)
class NoVenv(NotFoundError):
    """The file of a virtual environment was asked for, and none is active."""

    code = "mirrors.no-venv"
    text = Text(en="no virtual environment is active", zh="没有激活的虚拟环境")
    hint = Text(
        en="activate one (`. .venv/bin/activate`), or leave `--scope venv` out",
        zh="请先激活（`. .venv/bin/activate`），或去掉 `--scope venv`",
    )


@dataclass(eq=False)
class ScopeLacks(NotFoundError):
    """A tool has no file of the scope that was asked for, or none on this machine."""

    code = "mirrors.no-such-scope"
    text = Text(en="{tool} has no file of the scope `{scope}` here", zh="{tool} 在此没有作用域为 `{scope}` 的文件")
    hint = Text(en="it has: {has}", zh="可用的作用域：{has}")
    tool: str
    scope: str
    has: str


@dataclass(eq=False)
class ExternallyManaged(WriteError):
    """The system's package manager owns this Python's packages (PEP 668)."""

    code = "mirrors.externally-managed"
    text = Text(
        en="`{python}` is managed by the system (`{marker}`), so its pip was left alone",
        zh="`{python}` 由系统管理（`{marker}`），因此没有改动它的 pip",
    )
    hint = Text(
        en="make an environment of your own: `{python} -m venv .venv && . .venv/bin/activate`, then the same command",
        zh="请建立自己的环境：`{python} -m venv .venv && . .venv/bin/activate`，然后重新运行同一条命令",
    )
    python: str
    marker: str


@dataclass(eq=False)
class NoPip(NotFoundError):
    """There is no Python with a pip on PATH."""

    code = "mirrors.no-pip"
    text = Text(en="no Python on PATH has a pip", zh="PATH 中没有带 pip 的 Python")
    hint = Text(
        en="install it, for example `apt-get install python3-pip`, or activate an environment that has one",
        zh="请安装，例如 `apt-get install python3-pip`，或激活带 pip 的环境",
    )


@dataclass(eq=False)
class SiteLacks(NotFoundError):
    """A site does not serve what is asked of it."""

    code = "mirrors.site-lacks"
    text = Text(en="`{site}` does not serve {family}{reason}", zh="`{site}` 不提供 {family}{reason}")
    hint = Text(
        en="these do: {others}; see `internlm-setup mirrors list --family {family}`",
        zh="可用的镜像站：{others}；详见 `internlm-setup mirrors list --family {family}`",
    )
    site: str
    family: str
    reason: Text
    others: str


@dataclass(eq=False)
class BadSiteFile(ConfigError):
    """A file of the catalogue of sites cannot be used. `where` is a line or a field inside it."""

    code = "mirrors.bad-site-file"
    text = Text(en="`{path}`, {where}: {reason}", zh="`{path}`，{where}：{reason}")
    hint = Text(
        en="correct `{path}` or move it away; `internlm-setup mirrors list` then reads it again",
        zh="请修正 `{path}` 或将其移走，再用 `internlm-setup mirrors list` 重新读取",
    )
    path: str
    where: str
    reason: Text


@dataclass(eq=False)
class FileChanged(WriteError):
    """Somebody wrote a tool's file between our look and our write."""

    code = "mirrors.file-changed"
    text = Text(
        en="`{path}` was changed by somebody else meanwhile; nothing was written",
        zh="`{path}` 在此期间被其他程序改动；没有写入任何内容",
    )
    hint = Text(en="run the same command again", zh="请重新运行同一条命令")
    path: str


@dataclass(eq=False)
class JournalBusy(WriteError):
    """Another run holds the journal."""

    code = "mirrors.busy"
    text = Text(
        en="another `internlm-setup mirrors` is writing (`{path}` is locked)",
        zh="另一个 `internlm-setup mirrors` 正在写入（`{path}` 已被锁定）",
    )
    hint = Text(en="wait until it has ended, then run the same command again", zh="请等它结束后重新运行同一条命令")
    path: str


@dataclass(eq=False)
class UnknownRecord(NotFoundError):
    """No change of that id can be undone. `known` has the ids that can, newest first."""

    code = "mirrors.unknown-record"
    text = Text(en="change `{record}` {reason}", zh="更改 `{record}` {reason}")
    hint = Text(
        en="changes that can be undone: {known}; `internlm-setup mirrors undo` takes the newest",
        zh="可以撤销的更改：{known}；`internlm-setup mirrors undo` 撤销最新的一个",
    )
    record: str
    reason: Text
    known: str


@dataclass(eq=False)
class SnapshotLost(CorruptError):
    """The copy of a file as it was is gone or damaged."""

    code = "mirrors.snapshot-lost"
    text = Text(
        en="the copy `{path}` that an undo needs is missing or damaged; nothing was written",
        zh="撤销所需的副本 `{path}` 缺失或已损坏；没有写入任何内容",
    )
    hint = Text(
        en="take our keys out instead: `internlm-setup mirrors reset`",
        zh="可改为移除本工具写入的键：`internlm-setup mirrors reset`",
    )
    path: str


@dataclass(eq=False)
class ArchiveMissing(NotFoundError):
    """A site has packages for apt, but not those of this distribution."""

    code = "mirrors.archive-missing"
    text = Text(
        en="`{site}` has no `{archive}` archive; nothing was written",
        zh="`{site}` 没有 `{archive}` 软件源；未写入任何内容",
    )
    hint = Text(
        en="see who has: `internlm-setup mirrors list --family apt`",
        zh="查看哪些站点有：`internlm-setup mirrors list --family apt`",
    )
    site: str
    archive: str


@dataclass(eq=False)
class NoSiteAnswers(UnavailableError):
    """Sites were to be measured, and none of them can be used."""

    code = "mirrors.no-site-answers"
    text = Text(
        en="none of the {count} mirror sites for {family} can be used from here: {why}; nothing was changed",
        zh="{family} 的 {count} 个镜像站目前都无法使用：{why}；未作任何改动",
    )
    hint = Text(
        en="check the network; what the tutorial teaches can be set without measuring: "
        "`internlm-setup mirrors --profile tutorial`",
        zh="请检查网络；教程所用的镜像无需测速即可设置：`internlm-setup mirrors --profile tutorial`",
    )
    family: str
    count: int
    why: Text


@dataclass(eq=False)
class UnknownFamily(NotFoundError):
    """No family of packages is called that."""

    code = "mirrors.unknown-family"
    text = Text(en="there is no family `{family}`", zh="没有名为 `{family}` 的类别")
    hint = Text(en="known families: {known}", zh="已知的类别：{known}")
    family: str
    known: str
