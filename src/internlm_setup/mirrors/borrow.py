"""A mirror for one command, by its environment: nothing is written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from internlm_setup.core.text import Text
from internlm_setup.mirrors import probe, profiles, targets
from internlm_setup.mirrors.errors import ExternallyManaged, NoPip
from internlm_setup.mirrors.model import Family, Serving
from internlm_setup.mirrors.sites import channel_url
from internlm_setup.mirrors.verify import built_in, said
from internlm_setup.mirrors.world import World, read

POOR_S = 2.0
# What the programs that people put after `exec --` read. A program that is not here gets every variable.
_READS: Mapping[str, Family] = {
    **dict.fromkeys(("pip", "pip3", "python", "python3", "uv", "uvx", "pdm", "poetry", "pipx"), "pypi"),
    **dict.fromkeys(("conda", "mamba", "micromamba"), "conda"),
    **dict.fromkeys(("npm", "npx", "pnpm", "yarn"), "npm"),
    **dict.fromkeys(("hf", "huggingface-cli"), "huggingface"),
}
# Not `huggingface`: whoever is named there is sent the user's token, so that is done only where it was asked for.
_UNASKED: tuple[Family, ...] = ("pypi", "conda", "npm", "python")


def variables(command: Sequence[str], site_id: str | None, world: World) -> dict[str, str]:
    """Return what to add to a command's environment.

    Args:
        command: The command line; its first word says what must be served.
        site_id: None for each family's usual site.
        world: The run's world.

    Raises:
        UnknownSite: With what is close to it.
        SiteLacks: The site has nothing for this command; it says who has.
    """
    family = _READS.get(PurePath(command[0]).stem.lower())
    if site_id is None:
        sites = world.sites
        found = {f: sites.get(profiles.USUAL[f]) for f in _UNASKED if f in (family or f, "python")}
        return {k: v for f, site in found.items() for k, v in _of(f, sites.serving(site.id, f)).items()}
    site = world.sites.get(site_id)
    if family is not None:
        world.sites.serving(site_id, family)
    return {k: v for f, serving in site.families.items() for k, v in _of(f, serving).items()}


def _of(family: Family, serving: Serving) -> dict[str, str]:
    """Return the variables that lead a family's programs to a site."""
    if family == "conda":
        defaults = [channel_url(serving, name) for name in ("main", "r") if name in serving.channels]
        named = {"CONDA_DEFAULT_CHANNELS": ",".join(defaults)} if defaults else {"CONDA_CHANNELS": "conda-forge"}
        return {**named, "CONDA_CHANNEL_ALIAS": f"{serving.url}/cloud"}
    names = {
        "pypi": ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "PDM_PYPI_URL"),
        "npm": ("npm_config_registry",),
        "huggingface": ("HF_ENDPOINT",),
        "python": ("UV_PYTHON_INSTALL_MIRROR",),
    }
    return dict.fromkeys(names.get(family, ()), serving.url)


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
