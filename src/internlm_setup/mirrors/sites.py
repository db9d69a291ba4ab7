"""The catalogue of mirror sites: one YAML file is one site, the user's own are laid over the shipped ones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from internlm_setup.core.shapes import Misshapen, check_shape, read_yaml
from internlm_setup.core.text import Text
from internlm_setup.mirrors.errors import BadSiteFile, SiteLacks, UnknownFamily, UnknownSite, close_to
from internlm_setup.mirrors.model import Family, Serving, Site

FAMILIES: tuple[Family, ...] = ("pypi", "conda", "npm", "apt", "huggingface", "pytorch", "python")
ANACONDAS = ("main", "r", "msys2", "free", "pro")  # Anaconda's own channels, which live under `pkgs/`

_WORDS = re.compile(r".*\S.*", re.DOTALL)
_TEXT = {"en": _WORDS, "zh": _WORDS}
_URL = re.compile(r"(?=[!-~]+\Z)https?://[^/?#]+[^?#]*")  # ASCII: pip reads its files in the locale's encoding
_PATH = re.compile(r"(?!/)[^\s?#]+")  # an address, or what follows the family's
_SERVING = {
    "url": _URL,
    "kind?": re.compile("full|cache|redirect"),
    "evidence?": _WORDS,
    "channels?": {"*": _PATH},
    "paths?": {"*": _PATH},
    "style?": re.compile("index|find-links"),
}
_SITE = {
    "title?": _TEXT,
    "checked_on?": re.compile(r"\d{4}-\d\d-\d\d"),
    "hosts?": [re.compile(r"[a-z0-9.-]+")],
    "families?": {f"{family}?": _SERVING for family in FAMILIES},
    "refused?": {"*": _TEXT},
    "retired?": _TEXT,
}
_ID = re.compile(r"[a-z0-9][a-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Sites:
    """All known sites by id, retired ones too."""

    by_id: Mapping[str, Site]

    def __iter__(self) -> Iterator[Site]:
        """Yield every site in catalogue order, which is that of the ids."""
        return iter(self.by_id.values())

    def get(self, site_id: str) -> Site:
        """Return one site.

        Raises:
            UnknownSite: There is none of this name; the close ones are named.
        """
        found = self.by_id.get(site_id.lower())
        if found is None:
            raise UnknownSite(site_id, close_to(site_id.lower(), self.by_id))
        return found

    def having(self, family: Family, channel: str | None = None) -> list[Site]:
        """Return the living sites that serve a family, or a conda channel of it, in catalogue order."""
        serving = ((site, site.families.get(family)) for site in self if site.retired is None)
        return [site for site, has in serving if has is not None and (channel is None or channel in has.channels)]

    def serving(self, site_id: str, family: Family) -> Serving:
        """Return what a site has of a family.

        Raises:
            UnknownSite: As `get`.
            SiteLacks: It has nothing of it, or is retired; those that have are named.
        """
        site = self.get(site_id)
        found = site.families.get(family)
        if found is None or site.retired is not None:
            why = site.retired or site.refused.get(family)
            reason = Text(en=": {why}", zh="：{why}").fill(why=why) if why else Text(en="", zh="")
            raise SiteLacks(site.id, family, reason, ", ".join(s.id for s in self.having(family)))
        return found

    def of(self, url: str) -> Site | None:
        """Return the site an address leads to, old names and retired sites included, or None."""
        try:
            host = _host(url)
        except ValueError:
            return None
        return next((site for site in self if any(_within(host, known) for known in _hosts(site))), None)

    def is_mirror(self, url: str) -> bool:
        """Tell whether an address is one of the sites'."""
        return self.of(url) is not None


def check_family(word: str) -> Family:
    """Return the family that a word names.

    Raises:
        UnknownFamily: It names none.
    """
    if word not in FAMILIES:
        raise UnknownFamily(word, ", ".join(FAMILIES))
    return word


def channel_url(serving: Serving, name: str) -> str:
    """Return a channel's full address: the one the catalogue has, else the one that such sites give it."""
    folder = "pkgs" if name in ANACONDAS else "cloud"
    return serving.channels.get(name, f"{serving.url}/{folder}/{name}")


def load_sites(folders: Sequence[Path]) -> Sites:
    """Read every `*.yaml` in the folders, the shipped one first, then the user's.

    A later file of the same name is laid over the earlier one key by key; an absent folder is skipped.

    Raises:
        BadSiteFile: Not readable, not YAML, or not a site.
    """
    raw: dict[str, Any] = {}
    last: dict[str, Path] = {}
    for folder in folders:
        for path in sorted((*folder.glob("*.yaml"), *folder.glob("*.yml"))):
            try:
                check_shape(path.stem, _ID)
                raw[path.stem] = _over(raw.get(path.stem), read_yaml(path, shipped=folder == folders[0]))
                last[path.stem] = path
                check_shape(raw[path.stem], _SITE)
            except Misshapen as wrong:
                raise BadSiteFile(str(path), wrong.where, wrong.reason) from wrong
    return Sites({site_id: _site(site_id, raw[site_id], last[site_id]) for site_id in sorted(raw)})


def _over(below: Any, above: Any) -> Any:
    """Lay one value over another: fields are joined, anything else is replaced."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{name: _over(below.get(name), value) for name, value in above.items()}}


def _site(site_id: str, raw: Any, path: Path) -> Site:
    return Site(
        id=site_id,
        title=Text(**raw["title"]) if "title" in raw else Text(en=site_id, zh=site_id),
        checked_on=raw.get("checked_on", ""),
        families={family: _serving(each, path) for family, each in raw.get("families", {}).items()},
        refused={family: Text(**why) for family, why in raw.get("refused", {}).items()},
        retired=Text(**raw["retired"]) if "retired" in raw else None,
        hosts=tuple(raw.get("hosts", ())),
    )


def _serving(raw: Any, path: Path) -> Serving:
    url = raw["url"].rstrip("/")
    whole = {name: _whole(url, where) for name, where in raw.get("channels", {}).items()}
    return Serving(
        url=url,
        kind=raw.get("kind", "full"),
        evidence=raw.get("evidence", str(path)),
        channels=whole,
        paths={name: where.rstrip("/") for name, where in raw.get("paths", {}).items()},
        style=raw.get("style", "index"),
    )


def _whole(url: str, where: str) -> str:
    return (where if "://" in where else f"{url}/{where}").rstrip("/")


def _hosts(site: Site) -> Iterator[str]:
    yield from site.hosts
    for serving in site.families.values():
        yield from map(_host, (serving.url, *serving.channels.values()))


def _host(url: str) -> str:
    """Return the host of an address, and the port where one is written."""
    parts = urlsplit(url)
    return f"{parts.hostname or ''}:{parts.port}" if parts.port else parts.hostname or ""


def _within(host: str, known: str) -> bool:
    """Tell whether a host is a known one or a name below it, such as `mirrors6.` or MirrorZ's labels.

    A known host without a port is known on every port.
    """
    name = host if ":" in known else host.partition(":")[0]
    return name == known or name.endswith("." + known)
