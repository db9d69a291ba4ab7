"""What goes wrong with mirrors, in words."""

from __future__ import annotations

from dataclasses import dataclass

from internlm_setup.core.errors import ConfigError, NotFoundError, UnavailableError
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
