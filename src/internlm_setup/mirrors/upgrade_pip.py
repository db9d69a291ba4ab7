"""Upgrading pip: by what it uses now where that answers well, else through a mirror."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from internlm_setup.core.text import Text
from internlm_setup.mirrors import probe, profiles, targets
from internlm_setup.mirrors.environment import variables
from internlm_setup.mirrors.errors import ExternallyManaged, NoPip
from internlm_setup.mirrors.verify import built_in, said
from internlm_setup.mirrors.world import World, read

POOR_S = 2.0


@dataclass(frozen=True, slots=True)
class Upgrade:
    """How pip is upgraded.

    Attributes:
        command: The command line.
        variables: What to add to its environment; empty where the present index is good enough.
        why: Why it goes there.
    """

    command: tuple[str, ...]
    variables: Mapping[str, str]
    why: Text


_LOOK = """
import json, os, sys, sysconfig
import pip
marker = os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
managed = sys.prefix == sys.base_prefix and os.path.exists(marker)
print(json.dumps({"python": sys.executable, "marker": marker if managed else ""}))
"""


def upgrade(site_id: str | None, world: World) -> Upgrade:
    """Say how pip is upgraded: by what it uses now where that answers well, else through a mirror.

    Raises:
        NoPip: No Python on PATH has one.
        ExternallyManaged: The system's package manager owns it (PEP 668).
        UnknownSite, SiteLacks: The site that was named cannot serve it.
    """
    python = world.machine.programs.get("python")
    answer = said((str(python), "-c", _LOOK), world, 20) if python else None
    if answer is None:
        raise NoPip
    found = json.loads(answer)
    if found["marker"]:
        raise ExternallyManaged(found["python"], found["marker"])
    command = (found["python"], "-m", "pip", "install", "--upgrade", "pip")
    if site_id is not None:
        return Upgrade(command, variables(["pip"], site_id, world), _ASKED.fill(site=site_id))
    now = targets.get("pip").effective(world.machine, read).urls
    present = now[0] if now else built_in("pip", world)
    if present is not None and probe.answers(f"{present.rstrip('/')}/pip/", world.network, POOR_S) is None:
        return Upgrade(command, {}, _GOOD)
    return Upgrade(command, variables(["pip"], None, world), _POOR.fill(seconds=POOR_S, site=profiles.USUAL["pypi"]))


_ASKED = Text(en="through {site}, as asked", zh="按要求通过 {site}")
_GOOD = Text(en="through the present package index, which answers well", zh="通过当前的软件源，它应答良好")
_POOR = Text(
    en="through {site}: the present package index does not answer within {seconds:.0f} s",
    zh="通过 {site}：当前的软件源在 {seconds:.0f} 秒内没有应答",
)
