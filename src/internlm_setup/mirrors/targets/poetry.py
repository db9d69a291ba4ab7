"""Poetry: it has no mirror for all projects, so nothing is written; what a project can do is explained."""

from __future__ import annotations

from collections.abc import Sequence

from internlm_setup.core.text import Text
from internlm_setup.mirrors.model import Effective, Family, Layer, Machine, Reads, Wish
from internlm_setup.mirrors.targets import Unwritten

PLUGIN_VARIABLE = "POETRY_PYPI_MIRROR_URL"


class Poetry(Unwritten):
    """See the module."""

    id = "poetry"
    title = "Poetry"
    families: tuple[Family, ...] = ("pypi",)
    program = "poetry"
    about = Text(
        en=(
            "Poetry has no setting for all projects, and it writes a source's address into `poetry.lock`, where your "
            "colleagues would meet it. So nothing is written."
        ),
        zh="Poetry 没有对所有项目生效的设置，而且会把源的地址写进 `poetry.lock`，影响您的同事。因此不写入任何内容。",
    )

    def effective(self, machine: Machine, read: Reads) -> Effective:
        """Return what the plugin's variable says, if it is set; pip's files and variables do not count for Poetry."""
        del read
        url = machine.env.get(PLUGIN_VARIABLE, "")
        if url:
            return Effective((url,), Layer("variable", PLUGIN_VARIABLE), notes=(_NEEDS_PLUGIN,))
        return Effective((), None, notes=(_PER_PROJECT,))

    def advice(self, wish: Wish, machine: Machine) -> Sequence[Text]:
        """Return the two ways there are."""
        del machine
        url = wish.site.families["pypi"].url
        return [_PROJECT.fill(url=url), _PLUGIN.fill(url=url)]


TARGET = Poetry()

_PER_PROJECT = Text(
    en="each project decides, in the `[[tool.poetry.source]]` tables of its `pyproject.toml`",
    zh="由各项目在其 `pyproject.toml` 的 `[[tool.poetry.source]]` 表中决定",
)
_NEEDS_PLUGIN = Text(
    en=f"`{PLUGIN_VARIABLE}` counts only where `poetry-plugin-pypi-mirror` is installed",
    zh=f"`{PLUGIN_VARIABLE}` 仅在安装了 `poetry-plugin-pypi-mirror` 时有效",
)
_PROJECT = Text(
    en="for one project, and in its `poetry.lock`: `poetry source add --priority=primary mirror {url}/`",
    zh="只对一个项目，且会写入其 `poetry.lock`：`poetry source add --priority=primary mirror {url}/`",
)
_PLUGIN = Text(
    en="for all, and not in `poetry.lock`: `poetry self add poetry-plugin-pypi-mirror`, then "
    "`POETRY_PYPI_MIRROR_URL={url}/`",
    zh="对所有项目，且不写入 `poetry.lock`：`poetry self add poetry-plugin-pypi-mirror`，然后设置 "
    "`POETRY_PYPI_MIRROR_URL={url}/`",
)
