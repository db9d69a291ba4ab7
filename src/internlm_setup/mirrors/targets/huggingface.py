"""Hugging Face's hub: one variable that its library reads when it is imported. A line for the shell, no file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from internlm_setup.core.text import Text
from internlm_setup.mirrors.model import Effective, Family, Layer, Machine, Reads, Wish
from internlm_setup.mirrors.targets import Unwritten

VARIABLE = "HF_ENDPOINT"


class HuggingFace(Unwritten):
    """See the module."""

    id = "huggingface"
    title = "Hugging Face"
    families: tuple[Family, ...] = ("huggingface",)
    program = "hf"
    about = Text(
        en=(
            "`huggingface_hub` has no file for this: it reads `HF_ENDPOINT` when Python imports it. The line for your "
            "shell is printed, and no profile of yours is edited, because your token goes wherever the variable points."
        ),
        zh=(
            "`huggingface_hub` 没有这样的配置文件：Python 导入它时读取 `HF_ENDPOINT`。"
            "这里会打印适合您的 shell 的一行命令，不会修改您的任何配置文件，因为您的令牌会发往该变量所指的地址。"
        ),
    )

    def effective(self, machine: Machine, read: Reads) -> Effective:
        """Return what the variable says; an empty one counts as none."""
        del read
        url = machine.env.get(VARIABLE, "")
        return Effective((url.rstrip("/"),), Layer("variable", VARIABLE)) if url else Effective((), None)

    def advice(self, wish: Wish, machine: Machine) -> Sequence[Text]:
        """Return the line, or both lines where the shell is not known, and what to beware of."""
        lines = setting(VARIABLE, wish.site.families["huggingface"].url, machine)
        return [*(_LINE.fill(shell=shell, line=line) for shell, line in lines), _TOKEN, _BIG_FILES]


TARGET = HuggingFace()

_LINE = Text(
    en="in {shell}, before Python starts: `{line}`",
    zh="在 {shell} 中，启动 Python 之前执行：`{line}`",
)
_TOKEN = Text(
    en="if you are logged in, the site is sent your Hugging Face token with every request; to log out: "
    "`hf auth logout`",
    zh="如果您已登录，该站点会在每个请求中收到您的 Hugging Face 令牌；退出登录：`hf auth logout`",
)
_BIG_FILES = Text(
    en="big files may still be fetched from Hugging Face's own storage, which the variable does not move; "
    "`internlm-setup fetch MODEL --source modelscope` does without it",
    zh="大文件仍可能从 Hugging Face 自己的存储下载，该变量对此无效；"
    "`internlm-setup fetch MODEL --source modelscope` 不经过它",
)


def setting(variable: str, value: str, machine: Machine) -> list[tuple[str, str]]:
    """Return the lines that set a variable, each with the name of its shell; Windows does not tell which one asks."""
    shell = PurePosixPath(machine.env.get("SHELL", "").replace("\\", "/")).name.removesuffix(".exe")
    if not shell and machine.platform == "win32":
        return [("PowerShell", f'$env:{variable} = "{value}"'), ("cmd", f"set {variable}={value}")]
    if shell == "fish":
        return [(shell, f"set -gx {variable} {value}")]
    if shell in {"csh", "tcsh"}:
        return [(shell, f"setenv {variable} {value}")]
    return [(shell or "sh", f"export {variable}={value}")]
