"""A world with two hubs that come from another distribution, each a folder on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes import install_hubs, world_in
from internlm_setup.fetch.world import World


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Install the two hubs and return their world."""
    install_hubs(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return world_in(tmp_path)
