"""conda, and mamba, which reads the same files: which channels, and where each is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePath

from internlm_setup.core.text import Text
from internlm_setup.mirrors.edit import Unparseable, yaml
from internlm_setup.mirrors.model import (
    Ask,
    Edit,
    Effective,
    Family,
    Key,
    Layer,
    Machine,
    Mirrored,
    Reads,
    Scope,
    Syntax,
    Target,
    Value,
    Wish,
)
from internlm_setup.mirrors.targets.conda import addresses, merge, search, words

_MAMBAS = ("mamba", "micromamba")
_TRUE = {"true", "yes", "on", "y", "1"}

_ADDRESSES = {"channel", "channel_alias", "mirrored_channels", *merge.LISTS, *merge.MAPS}


class Conda:
    """See the module."""

    id = "conda"
    title = "conda"
    families: tuple[Family, ...] = ("conda",)
    scopes: tuple[Scope, ...] = ("user", "venv", "system")
    program = "conda"
    always = True
    about = words.ABOUT

    def files(self, machine: Machine, scope: Scope, read: Reads) -> Sequence[PurePath]:
        """See `Target.files`; none of `venv` where no conda environment is active."""
        return search.chosen(machine, scope, read)

    def syntax(self, path: PurePath) -> Syntax:
        """Return YAML."""
        del path
        return yaml

    def edits(self, before: Mapping[Key, object], wish: Wish, machine: Machine) -> Sequence[Edit]:
        """See `Target.edits`: conda puts a channel's name behind its base, mamba wants the full address."""
        mamba = any(name in machine.programs for name in _MAMBAS)
        official = tuple(c.url for c in wish.channels if c.url.endswith(f"/pkgs/{c.name}"))
        channels: Key = ("channel",) if ("channel",) in before else ("channels",)
        wanted: dict[Key, Value] = {channels: _order(before.get(channels), wish)}
        if str(before.get(("show_channel_urls",))).lower() not in _TRUE:
            wanted["show_channel_urls",] = True
        if official:
            wanted["default_channels",] = official
        for channel in wish.channels:
            if channel.url not in official:
                wanted["custom_channels", channel.name] = channel.url.removesuffix(f"/{channel.name}")
                if mamba or ("mirrored_channels", channel.name) in before:
                    wanted["mirrored_channels", channel.name] = (channel.url,)
        return [Edit(key, value) for key, value in wanted.items() if before.get(key) != value]

    def owned(self, before: Mapping[Key, object], is_mirror: Mirrored) -> Sequence[Edit]:
        """See `Target.owned`: `channels` stays, but for addresses of mirrors in it."""
        edits = []
        for key, value in before.items():
            if key[0] not in _ADDRESSES:
                continue
            items = value if isinstance(value, tuple) else (value,)
            kept = tuple(item for item in items if not (isinstance(item, str) and is_mirror(item)))
            if len(kept) < len(items):
                edits.append(Edit(key, kept or None))
        return edits

    def effective(self, machine: Machine, read: Reads) -> Effective:
        """See `Target.effective`."""
        sources, unread = [], []
        for path, scope, data in search.files(machine, read):
            try:
                sources.append(merge.of_file(Layer("file", str(path), (), scope), data))
            except Unparseable as error:
                unread.append(words.UNREAD.fill(where=path, line=error.line, reason=error.reason))
        found = self._effective([*sources, merge.of_variables(machine)], machine, None)
        return replace(found, notes=(*unread, *found.notes))

    def ask(self, machine: Machine) -> Ask | None:
        """Ask conda which files and variables it reads, and what they say."""
        where = search.program(machine)

        def read(stdout: str) -> Effective:
            said = json.loads(stdout)
            if not isinstance(said, dict) or not all(isinstance(values, dict) for values in said.values()):
                raise ValueError("conda names no sources")
            return self._effective(_in_order(said, machine), machine, "conda")

        return Ask((str(where), "config", "--show-sources", "--json"), read) if where else None

    def advice(self, wish: Wish, machine: Machine) -> Sequence[Text]:
        """See `Target.advice`."""
        texts = [words.LICENCE] if any(f"/pkgs/{c.name}" in c.url for c in wish.channels) else []
        if search.program(machine):
            return [words.REFRESH, *texts]
        path = machine.home / ".condarc"
        mamba = next((name for name in _MAMBAS if name in machine.programs), None)
        return [words.MAMBA_ALONE.fill(mamba=mamba, path=path) if mamba else words.ABSENT.fill(path=path), *texts]

    def _effective(self, sources: Sequence[merge.Source], machine: Machine, asked: str | None) -> Effective:
        return addresses.effective(sources, machine.env, is_windows=machine.platform == "win32", asked=asked)


def _order(there: object, wish: Wish) -> tuple[str, ...]:
    """Return the value of `channels`: where the wish has no opinion, names that somebody chose stay.

    An address in their list would lead past the mirror. Where no name leads to it, `defaults` goes first.
    """
    items = there if isinstance(there, tuple) else (there,) if there else ()
    chosen = tuple(name for name in items if name != "nodefaults")  # which conda takes for a channel's name
    if wish.order != ("defaults",) or any("://" in str(name) for name in chosen):
        return wish.order
    served = {"defaults", *(channel.name for channel in wish.channels)}
    return chosen if served.intersection(chosen) else (*wish.order, *chosen)


def _in_order(said: Mapping[str, Mapping[str, object]], machine: Machine) -> list[merge.Source]:
    """Return the sources that conda named, weakest first: it sorts them by name, and leaves out marks in comments."""
    places = search.places(machine)
    rank = {str(place): at for at, (place, _) in enumerate(places)}
    root = max(at for at, (_, scope) in enumerate(places) if scope == "system")  # whose folder only conda knows
    path = type(machine.home)
    found = []
    for where in said.keys() - {"cmd_line", "envvars"}:
        at = rank.get(where, rank.get(str(path(where).parent), root))
        found.append((at, where, Layer("file", where, (), places[at][1])))
    sources = []
    for _, where, layer in sorted(found, key=lambda row: row[:2]):
        source = merge.Source(layer, merge.known(said[where]))
        with suppress(OSError, Unparseable):
            source = replace(source, flags=merge.of_file(layer, Path(where).read_bytes()).flags)
        sources.append(source)
    return [*sources, merge.Source(Layer("variable", "CONDA_CHANNELS"), merge.known(said.get("envvars", {})))]


TARGET: Target = Conda()
