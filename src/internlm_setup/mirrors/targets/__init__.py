"""The tools: one file each, found by `core.registry`; a file holds an instance of `Target` named `TARGET`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath

from internlm_setup.core import registry
from internlm_setup.core.text import Text
from internlm_setup.mirrors.errors import UnknownTool, close_to
from internlm_setup.mirrors.model import (
    Ask,
    Edit,
    Family,
    Key,
    Machine,
    Mirrored,
    Reads,
    Scope,
    Site,
    Syntax,
    Target,
    Wish,
)
from internlm_setup.mirrors.world import World, read


def known() -> dict[str, Target]:
    """Return every tool by its id."""
    return registry.plugins(__name__, "TARGET")


def get(tool: str) -> Target:
    """Return one tool.

    Raises:
        UnknownTool: There is none of this name; the close ones are named.
    """
    found: Target | None = registry.plugin(__name__, "TARGET", tool)
    if found is None:
        raise UnknownTool(tool, close_to(tool, known()), ", ".join(known()))
    return found


def in_use(family: Family, world: World, tools: Iterable[Target]) -> Site | None:
    """Return the site that the first of the tools that reads a family and is led to a site uses, by its own rules."""
    readers = (tool for tool in tools if tool.families[:1] == (family,))
    urls = (url for tool in readers for url in tool.effective(world.machine, read).urls)
    return next((site for url in urls if (site := world.sites.of(url)) is not None), None)


class Unwritten:
    """What the tools have in common that are only explained or advised about: no file of theirs is written."""

    scopes: tuple[Scope, ...] = ()
    always = False

    def files(self, machine: Machine, scope: Scope, read: Reads) -> Sequence[PurePath]:
        """Return none."""
        del machine, scope, read
        return ()

    def syntax(self, path: PurePath) -> Syntax:
        """Never called: there are no files."""
        raise LookupError(path)

    def edits(self, before: Mapping[Key, object], wish: Wish, machine: Machine) -> Sequence[Edit]:
        """Return none."""
        del before, wish, machine
        return ()

    def owned(self, before: Mapping[Key, object], is_mirror: Mirrored) -> Sequence[Edit]:
        """Return none."""
        del before, is_mirror
        return ()

    def ask(self, machine: Machine) -> Ask | None:
        """Return none."""
        del machine
        return None

    def advice(self, wish: Wish, machine: Machine) -> Sequence[Text]:
        """Return none."""
        del wish, machine
        return ()
