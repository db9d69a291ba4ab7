"""Which site the tools of a family use now."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

from internlm_setup.core.paths import Paths
from internlm_setup.mirrors.model import Effective, Target
from internlm_setup.mirrors.targets import in_use
from internlm_setup.mirrors.world import make_world


@dataclass
class Tool:
    """What is asked of a target here."""

    families: tuple[str, ...]
    urls: tuple[str, ...]

    def effective(self, _machine: object, _read: object) -> Effective:
        return Effective(self.urls, None)


def test_the_first_tool_that_uses_a_site(tmp_path: Path) -> None:
    """Tools of other families, and addresses that are no mirror's, do not count."""
    folder = tmp_path / "mirrors"
    folder.mkdir()
    for name in ("one", "two"):
        (folder / f"{name}.yaml").write_text(f"families: {{pypi: {{url: https://{name}.test/simple}}}}")
    world = make_world({}, tmp_path, tmp_path, Paths(tmp_path, tmp_path, tmp_path, tmp_path))
    tools = [
        Tool(("conda", "pypi"), ("https://one.test/x",)),
        Tool(("pypi",), ()),
        Tool(("pypi",), ("https://upstream.test/simple", "https://two.test/simple/")),
        Tool(("pypi",), ("https://one.test/simple",)),
    ]
    assert in_use("pypi", world, cast("list[Target]", tools)) is world.sites.get("two")
    assert in_use("npm", world, cast("list[Target]", tools)) is None
