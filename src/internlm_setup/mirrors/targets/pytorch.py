"""PyTorch's wheels: one command, for the CUDA that this machine's driver can run. Advice only.

uv takes an index of one package from the project's own file alone, so there is nothing to write for a user.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Sequence

from internlm_setup.core.text import Text
from internlm_setup.mirrors.model import Effective, Family, Machine, Reads, Serving, Wish
from internlm_setup.mirrors.targets import Unwritten

PATIENCE_S = 10.0
BUILDS = ("cpu", "cu118", "cu121", "cu124", "cu126", "cu128", "cu130")  # where the catalogue names none (2026-09)
_PACKAGES = "torch torchvision"
_CUDA = re.compile(r"CUDA(?: UMD)? Version:\s*(\d+)\.(\d+)")  # drivers from 610 on say UMD
_OLD_GPU = (7, 5)  # below this only builds up to CUDA 12.6 have code for it (pytorch/pytorch#172352)
_OLD_CUDA = (12, 6)


class PyTorch(Unwritten):
    """See the module."""

    id = "pytorch"
    title = "PyTorch"
    families: tuple[Family, ...] = ("pytorch",)
    program = "nvidia-smi"
    about = Text(
        en=(
            "PyTorch has a package index of its own for each CUDA. Which one fits is found from what `nvidia-smi` says "
            "of the driver and the GPU, and the command is printed. Nothing is written: an index that stays would also "
            "be asked for every other package."
        ),
        zh=(
            "PyTorch 为每个 CUDA 版本提供单独的软件包索引。根据 `nvidia-smi` 所说的驱动和 GPU "
            "选出合适的一个，并打印命令。不写入任何内容：长期设置的索引也会被用来查找其他所有软件包。"
        ),
    )

    def effective(self, machine: Machine, read: Reads) -> Effective:
        """Return nothing: it is pip's or uv's index, which they tell of."""
        del machine, read
        return Effective((), None)

    def advice(self, wish: Wish, machine: Machine) -> Sequence[Text]:
        """Return the commands."""
        if machine.platform == "darwin":
            return [_MAC.fill(command=f"pip install {_PACKAGES}")]
        serving = wish.site.families["pytorch"]
        driver = _seen(machine)
        name = build(driver, [*serving.paths] or BUILDS)
        texts = [
            _FOR_CUDA.fill(cuda=".".join(map(str, driver)), build=name) if driver and name != "cpu" else _NO_GPU,
            *(_RUN.fill(command=command) for command in commands(serving, name, machine)),
        ]
        return texts if serving.style == "index" else [*texts, _HIGHEST.fill(build=name)]


TARGET = PyTorch()

_MAC = Text(
    en="macOS has one build, on the ordinary index: `{command}`", zh="macOS 只有一种构建，就在普通索引中：`{command}`"
)
_FOR_CUDA = Text(
    en="the driver and the GPU run programs up to CUDA {cuda}; the newest build for them is {build}",
    zh="驱动和 GPU 最高可运行 CUDA {cuda} 的程序；适合的最新构建是 {build}",
)
_NO_GPU = Text(
    en="no usable NVIDIA GPU was found, so: the build for the CPU", zh="没有找到可用的 NVIDIA GPU，因此使用 CPU 构建"
)
_RUN = Text(en="install it: `{command}`", zh="安装：`{command}`")
_HIGHEST = Text(
    en="this site has a list of files, not an index: where your own index has a higher version that one is taken; "
    "then write `torch==VERSION+{build}`",
    zh="该站点提供的是文件列表而非索引：如果您自己的索引中有更高的版本，就会选用那个；此时请写 `torch==版本+{build}`",
)


def build(cuda: tuple[int, int] | None, builds: Iterable[str]) -> str:
    """Return the newest build that runs here: `cu126`, or `cpu` where none does or no CUDA is known."""
    found = {(int(name[2:-1]), int(name[-1])): name for name in builds if re.fullmatch(r"cu\d{3,}", name)}
    fitting = [version for version in found if cuda and version <= cuda]
    return found[max(fitting)] if fitting else "cpu"


def commands(serving: Serving, name: str, machine: Machine) -> list[str]:
    """Return the command for pip, and uv's where it is installed."""
    where = f"{serving.url}/{serving.paths.get(name, name)}"
    if serving.style == "index":
        pip, uv = f"--index-url {where}", f"--default-index {where}"
    else:
        pip = uv = f"--find-links {where}/"  # its links may be relative to the page
    lines = [f"pip install {_PACKAGES} {pip}"]
    return [*lines, f"uv pip install {_PACKAGES} {uv}"] if "uv" in machine.programs else lines


def newest_cuda(smi: str, capabilities: str) -> tuple[int, int] | None:
    """Return the newest CUDA that a build may be of.

    Args:
        smi: What `nvidia-smi` prints.
        capabilities: What it prints for `--query-gpu=compute_cap`, one GPU a line; older drivers do not know that.
    """
    found = _CUDA.search(smi)
    if not found:
        return None
    cuda = int(found[1]), int(found[2])
    gpus = [(int(major), int(minor)) for major, minor in re.findall(r"^(\d+)\.(\d+)\s*$", capabilities, re.MULTILINE)]
    return min(cuda, _OLD_CUDA) if gpus and min(gpus) < _OLD_GPU else cuda


def _seen(machine: Machine) -> tuple[int, int] | None:
    """Ask the driver; None where there is none, or where it has no GPU."""
    program = machine.programs.get("nvidia-smi")
    if program is None:
        return None

    def says(*arguments: str) -> str:
        return subprocess.run(  # noqa: S603
            [program, *arguments], env=machine.env, capture_output=True, check=True, timeout=PATIENCE_S
        ).stdout.decode(errors="replace")

    try:
        smi = says()
    except (OSError, subprocess.SubprocessError):
        return None
    try:
        capabilities = says("--query-gpu=compute_cap", "--format=csv,noheader")
    except (OSError, subprocess.SubprocessError):
        capabilities = ""
    return newest_cuda(smi, capabilities)
