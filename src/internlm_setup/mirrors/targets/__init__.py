"""The tools: one file each, found by `core.registry`; a file holds an instance of `Target` named `TARGET`."""

from __future__ import annotations

from internlm_setup.core import registry
from internlm_setup.mirrors.errors import UnknownTool, close_to
from internlm_setup.mirrors.model import Target


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
        raise UnknownTool(tool, close_to(tool, tools), ", ".join(tools))
    return tools[tool]
