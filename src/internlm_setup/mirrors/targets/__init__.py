"""The tools: one file each, found by `core.registry`; a file holds an instance of `Target` named `TARGET`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from internlm_setup.core import registry
from internlm_setup.core.text import Text
from internlm_setup.mirrors.errors import UnknownTool
from internlm_setup.mirrors.model import Family, Site, Target
from internlm_setup.mirrors.world import World, read


def known() -> dict[str, Target]:
    """Return every tool by its id."""
    return registry.plugins(__name__, "TARGET")


def get(tool: str) -> Target:
    """Return one tool.

    Raises:
        UnknownTool: There is none of this name; the close ones are named.
    """
    tools = known()
    if tool not in tools:
        near = difflib.get_close_matches(tool, tools, n=3, cutoff=0.5)
        words = ", ".join(f"`{name}`" for name in near)
        close = Text(en=f"; did you mean {words}?", zh=f"；您是否想输入 {words}？") if near else Text(en="", zh="")
        raise UnknownTool(tool, close, ", ".join(tools))
    return tools[tool]


def in_use(family: Family, world: World, tools: Iterable[Target]) -> Site | None:
    """Return the site that the first of the tools that reads a family and is led to a site uses, by its own rules."""
    readers = (tool for tool in tools if tool.families[:1] == (family,))
    urls = (url for tool in readers for url in tool.effective(world.machine, read).urls)
    return next((site for url in urls if (site := world.sites.of(url)) is not None), None)
