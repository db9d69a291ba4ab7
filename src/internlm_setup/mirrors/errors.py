"""What goes wrong with mirrors, in words."""

from __future__ import annotations

from dataclasses import dataclass

from internlm_setup.core.errors import ConfigError, CorruptError, NotFoundError, WriteError
from internlm_setup.core.text import Text


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
