"""What speaks against an engine; the family it derives from is the exit code."""

from __future__ import annotations

from dataclasses import dataclass

from internlm_setup.core.errors import ExitCode, NotFoundError, SetupError
from internlm_setup.core.text import Text


@dataclass(eq=False)
class UnknownEngine(NotFoundError):
    """No engine of this name exists."""

    code = "fetch.unknown-engine"
    text = Text(en="no engine is called `{name}`", zh="没有名为 `{name}` 的引擎")
    hint = Text(en="`--engine` takes {known}", zh="`--engine` 可用 {known}")
    name: str
    known: str


@dataclass(eq=False)
class NoDownloader(SetupError):
    """`--engine official` at a hub whose vendor has no downloader that we know."""

    exit_code = ExitCode.USAGE
    code = "fetch.no-official-downloader"
    text = Text(en="{hub} has no downloader of its own", zh="{hub} 没有官方下载器")
    hint = Text(
        en="leave `--engine official` away: `--engine native` fetches from every hub",
        zh="去掉 `--engine official`：`--engine native` 可从任何平台下载",
    )
    hub: str


@dataclass(eq=False)
class NoRateLimit(SetupError):
    """`--limit-rate` with an engine that cannot keep to it."""

    exit_code = ExitCode.USAGE
    code = "fetch.no-rate-limit"
    text = Text(
        en="the official downloaders know no speed limit, and one is set",
        zh="官方下载器不支持限速，而当前设置了限速",
    )
    hint = Text(
        en="use `--engine native`, or take the limit away (`internlm-setup config show` says where it is set)",
        zh="请使用 `--engine native`，或取消限速（`internlm-setup config show` 会显示它在哪里设置）",
    )


@dataclass(eq=False)
class NoTrace(SetupError):
    """`--trace` with an engine that tells nothing of single pieces."""

    exit_code = ExitCode.USAGE
    code = "fetch.no-trace"
    text = Text(
        en="the official downloaders say nothing of single pieces, so `--trace` would stay empty",
        zh="官方下载器不提供各块的信息，`--trace` 将没有内容",
    )
    hint = Text(en="leave `--trace` away, or use `--engine native`", zh="请去掉 `--trace`，或使用 `--engine native`")
