"""A stand-in on loopback for every mirror site of the catalogue, and site files that lead there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from internlm_setup.mirrors.model import Serving
    from internlm_setup.playground.mirror import Mirrors


@contextmanager
def stand_ins(folder: Path) -> Iterator[Mirrors]:
    """Serve until the block ends.

    Args:
        folder: Gets one file a site, to be laid over the catalogue (`INTERNLM_SETUP_MIRRORS`).
    """
    from internlm_setup.core.paths import shipped_configs
    from internlm_setup.mirrors.sites import load_sites
    from internlm_setup.playground.mirror import Mirrors

    living = [site for site in load_sites([shipped_configs() / "mirrors"]) if site.retired is None]
    with Mirrors(*(site.id for site in living)) as mirrors:
        for site in living:
            own = mirrors[site.id]
            if "conda" in site.families:
                own.channels = frozenset(site.families["conda"].channels)
            families = {family: _moved(serving, own.url) for family, serving in site.families.items()}
            # JSON is YAML, and needs no library.
            (folder / f"{site.id}.yaml").write_text(json.dumps({"families": families}), encoding="utf-8")
        yield mirrors


def _moved(serving: Serving, origin: str) -> dict[str, object]:
    """Return what a site serves as if it were at another origin."""
    moved: dict[str, object] = {"url": origin + urlsplit(serving.url).path}
    if serving.channels:
        moved["channels"] = {name: origin + urlsplit(url).path for name, url in serving.channels.items()}
    return moved
