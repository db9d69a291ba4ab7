"""What can go wrong in fetch, one small class each; the family it derives from is the exit code."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from internlm_setup.core.errors import (
    ConfigError,
    DeniedError,
    NotFoundError,
    ProtocolError,
    UnavailableError,
)
from internlm_setup.core.text import Language, Text


@dataclass(eq=False)
class UnknownModel(NotFoundError):
    """The catalogue knows no model of this name. `suggestions` has known ones, closest first."""

    name: str
    suggestions: tuple[str, ...] = ()

    code = "fetch.unknown-model"
    text = Text(en="no model is called `{name}`", zh="没有名为 `{name}` 的模型")
    hint = Text(
        en="`internlm-setup models list` shows every name; a repository outside the catalogue is written `ORG/NAME`",
        zh="用 `internlm-setup models list` 查看全部名称；目录之外的仓库请写成 `ORG/NAME`",
    )
    close: ClassVar[Text] = Text(
        en="did you mean {names}? `internlm-setup fetch {closest}`; `internlm-setup models list` shows every name",
        zh="是否想要 {names}？ `internlm-setup fetch {closest}`；用 `internlm-setup models list` 查看全部名称",
    )

    def next_step(self, language: Language = "en") -> str | None:
        """Name the closest model's command where there is one, else the list."""
        if not self.suggestions:
            return super().next_step(language)
        names = ("、" if language == "zh" else ", ").join(f"`{name}`" for name in self.suggestions)
        return self.close.of(language, {"names": names, "closest": self.suggestions[0]})


@dataclass(eq=False)
class BadModelName(NotFoundError):
    """What was typed cannot be a model's name. `command` is what to run instead."""

    name: str
    reason: Text
    command: str = "internlm-setup models list"

    code = "fetch.bad-model-name"
    text = Text(en="`{name}` is not a model's name: {reason}", zh="`{name}` 不是模型名称：{reason}")
    hint = Text(en="`{command}`", zh="`{command}`")


@dataclass(eq=False)
class BadCatalogFile(ConfigError):
    """A file of models cannot be read. `where` is a line or a field inside it."""

    path: str
    where: str
    reason: Text

    code = "fetch.bad-catalog-file"
    text = Text(en="`{path}`, {where}: {reason}", zh="`{path}`，{where}：{reason}")
    hint = Text(
        en="correct `{path}` or move it away; `internlm-setup models list` then reads it again",
        zh="请修正 `{path}` 或将其移走，再用 `internlm-setup models list` 重新读取",
    )


@dataclass(eq=False)
class HubUnreachable(UnavailableError):
    """A hub did not answer. `command` is the next thing to try."""

    code = "fetch.hub-unreachable"
    text = Text(en="cannot reach {hub} at {host}: {cause}", zh="无法连接 {hub}（{host}）：{cause}")
    hint = Text(
        en="check the network or a proxy (`internlm-setup config show`), then: `{command}`",
        zh="请检查网络或代理（`internlm-setup config show`），然后运行：`{command}`",
    )
    hub: str
    host: str
    cause: Text
    command: str


@dataclass(eq=False)
class HubBusy(UnavailableError):
    """A hub answered with a refusal that may pass: 429 or 5xx."""

    code = "fetch.hub-busy"
    text = Text(
        en="{hub} at {host} answered {status} again and again",
        zh="{hub}（{host}）反复应答 {status}",
    )
    hint = Text(en="wait a while, then run the same command again", zh="请稍候，再运行同一条命令")
    hub: str
    host: str
    status: int
    wait_s: float | None = None


@dataclass(eq=False)
class BadAnswer(ProtocolError):
    """A hub answered with something that is not its own protocol."""

    code = "fetch.bad-answer"
    text = Text(
        en="{hub} at {host} gave an answer that makes no sense: {detail}",
        zh="{hub}（{host}）的应答无法理解：{detail}",
    )
    hint = Text(
        en="a proxy or a login page may be in the way; look at `internlm-setup config show`",
        zh="可能有代理或登录页面拦截；请查看 `internlm-setup config show`",
    )
    hub: str
    host: str
    detail: str


@dataclass(eq=False)
class UnknownHub(NotFoundError):
    """No hub of this name is installed."""

    code = "fetch.unknown-hub"
    text = Text(en="no hub is called `{name}`", zh="没有名为 `{name}` 的平台")
    hint = Text(en="`--source` takes auto, {known}", zh="`--source` 可用 auto、{known}")
    name: str
    known: str


@dataclass(eq=False)
class NotAtHub(NotFoundError):
    """The catalogue says that this hub does not have the model."""

    code = "fetch.not-at-hub"
    text = Text(en="`{model}` is not published at {hub}", zh="`{model}` 没有发布在 {hub} 上")
    hint = Text(en="`{command}`", zh="`{command}`")
    model: str
    hub: str
    command: str


@dataclass(eq=False)
class RepositoryMissing(NotFoundError):
    """The hub has no such repository, or hides it from us."""

    code = "fetch.repository-missing"
    text = Text(
        en="{hub} has no model repository `{repo}`, or it is private and no accepted token was sent",
        zh="{hub} 上没有模型仓库 `{repo}`，或它是私有的而没有有效的令牌",
    )
    hint = Text(
        en="`internlm-setup models list` shows the names; for a private one, log in first: {login}",
        zh="用 `internlm-setup models list` 查看名称；若是私有仓库，请先登录：{login}",
    )
    hub: str
    repo: str
    login: str


@dataclass(eq=False)
class RevisionMissing(NotFoundError):
    """The repository has no such revision. `known` says in brackets which it has, where the hub tells."""

    code = "fetch.revision-missing"
    text = Text(
        en="`{repo}` at {hub} has no revision `{revision}`{known}",
        zh="{hub} 上的 `{repo}` 没有版本 `{revision}`{known}",
    )
    hint = Text(
        en="leave `--revision` away for the default one (`{default}`)",
        zh="去掉 `--revision` 即使用默认版本（`{default}`）",
    )
    hub: str
    repo: str
    revision: str
    default: str
    known: Text = field(default_factory=lambda: Text(en="", zh=""))


@dataclass(eq=False)
class RepositoryEmpty(NotFoundError):
    """The repository is there and holds nothing."""

    code = "fetch.repository-empty"
    text = Text(en="`{repo}` at {hub} lists no files", zh="{hub} 上的 `{repo}` 没有任何文件")
    hint = Text(en="`internlm-setup models show {repo}`", zh="`internlm-setup models show {repo}`")
    hub: str
    repo: str


@dataclass(eq=False)
class NothingMatches(NotFoundError):
    """`--include` and `--exclude` leave no file."""

    code = "fetch.nothing-matches"
    text = Text(
        en="none of the {count} files of `{repo}` is left by --include {include} --exclude {exclude}",
        zh="`{repo}` 的 {count} 个文件中没有一个符合 --include {include} --exclude {exclude}",
    )
    hint = Text(
        en="quote the pattern ('*.json'), and see the names: `internlm-setup fetch {model} --dry-run`",
        zh="请给通配符加引号（'*.json'），并查看文件名：`internlm-setup fetch {model} --dry-run`",
    )
    repo: str
    count: int
    include: str
    exclude: str
    model: str


@dataclass(eq=False)
class FileMissing(NotFoundError):
    """A hub lists a file and does not have it."""

    code = "fetch.file-missing"
    text = Text(
        en="{hub} lists `{path}` but answers {status} for it",
        zh="{hub} 列出了 `{path}`，却应答 {status}",
    )
    hint = Text(
        en="run the same command again, or use another `--source`",
        zh="请重新运行同一条命令，或换一个 `--source`",
    )
    hub: str
    path: str
    status: int


@dataclass(eq=False)
class Gated(DeniedError):
    """The repository's owner wants conditions accepted first."""

    code = "fetch.gated"
    text = Text(
        en="`{repo}` at {hub} is gated: its conditions must be accepted by your account first",
        zh="{hub} 上的 `{repo}` 需要先用你的账号接受使用条件",
    )
    hint = Text(
        en="accept them at {page}, log in with {login}, then run the same command again",
        zh="请在 {page} 接受条件，用 {login} 登录，然后重新运行同一条命令",
    )
    hub: str
    repo: str
    page: str
    login: str


@dataclass(eq=False)
class RepositoryDisabled(DeniedError):
    """The hub has switched the repository off."""

    code = "fetch.repository-disabled"
    text = Text(en="{hub} has disabled access to `{repo}`", zh="{hub} 已禁用对 `{repo}` 的访问")
    hint = Text(
        en="`internlm-setup models show {repo}` names the other hubs",
        zh="用 `internlm-setup models show {repo}` 查看其他平台",
    )
    hub: str
    repo: str


@dataclass(eq=False)
class TokenRefused(DeniedError):
    """The hub answered 401 or 403 and did not say that it is about conditions."""

    code = "fetch.token-refused"
    text = Text(en="{hub} refused access to `{repo}` ({status})", zh="{hub} 拒绝访问 `{repo}`（{status}）")
    hint = Text(en="log in with an account that may read it: {login}", zh="请用有权限的账号登录：{login}")
    hub: str
    repo: str
    status: int
    login: str


@dataclass(eq=False)
class UnknownLayout(NotFoundError):
    """No layout of this name exists."""

    name: str
    known: str

    code = "fetch.unknown-layout"
    text = Text(en="no layout is called `{name}`", zh="没有名为 `{name}` 的布局")
    hint = Text(en="`--layout` takes {known}", zh="`--layout` 可用 {known}")
