"""What is said to people about conda."""

from __future__ import annotations

from internlm_setup.core.text import Text

ABOUT = Text(
    en=(
        "Written are `channels`, `show_channel_urls`, `default_channels` (what `defaults` stands for) and a line of "
        "`custom_channels` for each further channel; where mamba is installed, `mirrored_channels` too, because mamba "
        "reads it first. `channel_alias` is never written: it would send every unknown channel to a site that lacks "
        "it. conda merges the lists and maps of all its files, so what the file of the installation names comes "
        "behind ours and cannot be taken out from there."
    ),
    zh=(
        "写入 `channels`、`show_channel_urls`、`default_channels`（即 `defaults` 的含义），"
        "以及其余每个频道在 `custom_channels` 中的一行；"
        "若安装了 mamba，还会写 `mirrored_channels`，因为 mamba 优先读取它。"
        "从不写 `channel_alias`：它会把所有未知频道指向并不提供它们的站点。"
        "conda 会合并所有配置文件的列表和映射，因此安装目录中的配置会排在我们之后，无法从用户文件中去掉。"
    ),
)
REFRESH = Text(
    en="lists of packages of the old addresses stay in a cache: `conda clean -i` drops them",
    zh="旧地址的软件包索引仍在缓存中：用 `conda clean -i` 清除",
)
ABSENT = Text(
    en="not installed here; conda, mamba or micromamba will read `{path}` as soon as one is",
    zh="本机没有安装；以后安装的 conda、mamba 或 micromamba 会读取 `{path}`",
)
MAMBA_ALONE = Text(
    en="not installed here; {mamba} reads `{path}`",
    zh="本机没有安装；{mamba} 会读取 `{path}`",
)
LICENCE = Text(
    en=(
        "a mirror of `defaults` does not change Anaconda's terms: organisations of more than 200 people need a "
        "licence; `internlm-setup mirrors --profile conda-forge-only` does without"
    ),
    zh=(
        "使用 `defaults` 的镜像并不改变 Anaconda 的条款：超过 200 人的组织需要许可证；"
        "`internlm-setup mirrors --profile conda-forge-only` 可避开该问题"
    ),
)
UNREAD = Text(
    en="`{where}`, line {line} cannot be parsed: {reason}; conda leaves the file out or stops",
    zh="`{where}` 第 {line} 行无法解析：{reason}；conda 会忽略该文件或直接退出",
)
MERGED = Text(
    en="`{where}` adds {what} to `{setting}`: conda merges lists, so no stronger file can take it out",
    zh="`{where}` 向 `{setting}` 追加了 {what}：conda 会合并各文件的列表，更高优先级的文件无法将其去掉",
)
