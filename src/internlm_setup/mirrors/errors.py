"""What goes wrong with mirrors, in words."""

from __future__ import annotations

from dataclasses import dataclass

from internlm_setup.core.errors import ConfigError, NotFoundError
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
