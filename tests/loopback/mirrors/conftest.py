"""Two mirror sites on loopback, a catalogue that leads there, and a run's world."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from internlm_setup.core.paths import Paths
from internlm_setup.mirrors.world import World, make_world
from internlm_setup.playground.mirror import Mirrors, MirrorSite

NAMES = ("near", "far", "old", "late")


@pytest.fixture
def mirrors() -> Iterator[Mirrors]:
    """Serve four sites, nothing wrong with any."""
    with Mirrors(*NAMES) as served:
        yield served


def site_file(site: MirrorSite) -> dict[str, object]:
    """Return what the catalogue says of a stand-in."""
    conda = {name: f"pkgs/{name}" for name in ("main", "r")} | {"conda-forge": "cloud/conda-forge"}
    families = {
        "pypi": {"url": f"{site.url}/pypi/web/simple"},
        "conda": {"url": f"{site.url}/anaconda", "channels": conda},
        "npm": {"url": f"{site.url}/npm"},
        "apt": {"url": site.url, "paths": {"debian": "debian"}},
        "pytorch": {"url": f"{site.url}/pytorch/whl"},
        "python": {"url": f"{site.url}/github-release"},
        "huggingface": {"url": site.url},
    }
    return {"families": families}


@pytest.fixture
def env(mirrors: Mirrors, own_home: Path) -> dict[str, str]:
    """Return an environment whose configuration folder holds the four sites' files."""
    folder = own_home / ".config" / "internlm-setup" / "mirrors"
    folder.mkdir(parents=True)
    for site in mirrors:
        (folder / f"{site.name}.yaml").write_text(json.dumps(site_file(site)), "utf-8")
    return {"HOME": str(own_home), "PATH": os.environ["PATH"]}


@pytest.fixture
def world(env: dict[str, str], own_home: Path, tmp_path: Path) -> World:
    """Return the world of a run in that environment."""
    return make_world(env, own_home, tmp_path, Paths.of(env, own_home, "linux"))
