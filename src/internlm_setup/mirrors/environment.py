"""A mirror for one command, by variables of its environment: nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath

from internlm_setup.mirrors import profiles
from internlm_setup.mirrors.model import Family, Serving
from internlm_setup.mirrors.sites import channel_url
from internlm_setup.mirrors.world import World

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
