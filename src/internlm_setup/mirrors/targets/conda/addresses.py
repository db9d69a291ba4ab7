"""From the names that conda is told to the addresses it asks.

Source:
    conda 24.7.1, `models/channel.py` and `base/context.py` (`custom_multichannels`, `custom_channels`); read 2026-11,
    and compared with the program in the tests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from string import Template
from urllib.parse import urlsplit

from internlm_setup.core.text import Text, without_password
from internlm_setup.mirrors.model import Effective, Layer
from internlm_setup.mirrors.targets.conda.merge import Source, merged_list, merged_value, names
from internlm_setup.mirrors.targets.conda.words import MERGED

_ALIAS = "https://conda.anaconda.org"
_OFFICIAL = "https://repo.anaconda.com/pkgs"
_PLATFORM = re.compile(r"/(noarch|(linux|osx|win|freebsd|emscripten|wasi|zos)-[a-z0-9]+)/*$")
_TOKEN = re.compile(r"/t/[^/]+(?=/)")
_Address = tuple[str, "Layer | None"]


class Addresses:
    """What every name stands for.

    Args:
        sources: Everything that conda reads, weakest first.
        env: The environment, for variables inside values.
        is_windows: Whether `defaults` has msys2.
    """

    def __init__(self, sources: Sequence[Source], env: Mapping[str, str], *, is_windows: bool) -> None:
        self._env = env
        alias = merged_value(sources, "channel_alias")
        self._alias: _Address = (self._filled(alias[0][0]).rstrip("/"), alias[0][1]) if alias else (_ALIAS, None)
        official = ["main", "r", "msys2"] if is_windows else ["main", "r"]
        built_in: list[_Address] = [(f"{_OFFICIAL}/{name}", None) for name in official]
        defaults = merged_list(sources, "default_channels")
        self._many: dict[str, list[_Address]] = {
            name: [self._simple(*item) for item in merged_list(sources, "custom_multichannels", name) or ()]
            for name in names(sources, "custom_multichannels")
        }
        self._many["defaults"] = [self._simple(*item) for item in (built_in if defaults is None else defaults)]
        self._many["local"] = []
        self._bases: dict[str, _Address] = {}
        for url, layer in (address for many in self._many.values() for address in many):
            parts = urlsplit(url)
            self._bases[parts.path.strip("/")] = (f"{parts.scheme}://{parts.netloc}", layer)
        for name in names(sources, "custom_channels"):
            base, layer = merged_value(sources, "custom_channels", name)[0]
            is_url = "://" in base
            self._bases[name.strip("/")] = (self._filled(base).rstrip("/"), layer) if is_url else self._alias

    def of(self, channel: str) -> list[_Address]:
        """Return the addresses of one channel, strongest first, and who named each; None for the built-in ones."""
        channel = self._filled(channel)
        if "://" in channel:
            return [(_bare(channel), None)]
        if channel.startswith(("/", "~", ".")):
            return [(f"file://{channel}", None)]
        name = _PLATFORM.sub("", channel)
        if name in self._many:
            return self._many[name]
        known = name
        while known not in self._bases and "/" in known:
            known = known.rpartition("/")[0]
        base, layer = self._bases.get(known, self._alias)
        return [(_bare(f"{base}/{name}"), layer)]

    def _simple(self, item: str, layer: Layer | None) -> _Address:
        item = self._filled(item)
        return (_bare(item) if "://" in item else f"{self._alias[0]}/{item.strip('/')}", layer)

    def _filled(self, value: str) -> str:
        return Template(value).safe_substitute(self._env)


def effective(sources: Sequence[Source], env: Mapping[str, str], *, is_windows: bool, asked: str | None) -> Effective:
    """Return what conda would ask, strongest first."""
    known = Addresses(sources, env, is_windows=is_windows)
    found: dict[str, Layer | None] = {}
    channels = merged_list(sources, "channels")
    for channel, layer in [("defaults", None)] if channels is None else channels:
        for url, namer in known.of(channel):
            found.setdefault(url, namer or layer)
    overruled = [layer for _, layer in merged_value(sources, "channel_alias")[1:]]
    for name in names(sources, "custom_channels"):
        overruled += [layer for _, layer in merged_value(sources, "custom_channels", name)[1:]]
    return Effective(tuple(found), next(iter(found.values()), None), tuple(overruled), asked, tuple(_added(sources)))


def _added(sources: Sequence[Source]) -> list[Text]:
    """Return a note for every layer whose items a stronger one could not keep out."""
    notes = []
    for setting in ("channels", "default_channels"):
        items = merged_list(sources, setting) or []
        for layer in dict.fromkeys(layer for _, layer in items[1:] if layer != items[0][1]):
            what = ", ".join(f"`{without_password(item)}`" for item, whose in items if whose == layer)
            notes.append(MERGED.fill(where=layer.where, what=what, setting=setting))
    return notes


def _bare(url: str) -> str:
    """Return a channel's address without platform, token and password."""
    parts = urlsplit(_TOKEN.sub("", _PLATFORM.sub("", url)).rstrip("/"))
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
