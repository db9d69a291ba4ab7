"""The catalogue: which model a name means, and what each hub calls it.

Read from `configs/models/<family>.yaml` and from a folder of the user's own; no hub is asked here.
`fetch.service` calls `want`; the `models` command calls `matching` and `find`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from internlm_setup.core.shapes import Misshapen, check_shape, read_yaml
from internlm_setup.core.text import Text
from internlm_setup.fetch.errors import BadCatalogFile, UnknownModel
from internlm_setup.fetch.names import (
    EITHER,
    PART,
    REPO,
    likeness,
    natural,
    plain,
    read_name,
    short,
)

_WORDS = re.compile(r".*\S.*", re.DOTALL)

# What a file may say: `?` ends a field that may be left out, `*` is any hub's id.
_MODEL = {
    "name": PART,
    "ids": {"*": REPO},
    "original_ids?": {"*": REPO},
    "aliases?": [EITHER],
    "revisions?": {"*": {"revision": _WORDS, "source": _WORDS}},
    "source?": _WORDS,
}
_FAMILY = {"family": PART, "title?": {"en": _WORDS, "zh": _WORDS}, "models": [_MODEL]}

_ALIKE = 0.6  # of 1; below it two names have little in common


@dataclass(frozen=True, slots=True)
class Pin:
    """A revision that `source` published as the one to use."""

    revision: str
    source: str


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the catalogue.

    Attributes:
        name: The short name people type.
        family: The family's id.
        title: The family's name.
        ids: Hub id to repository id; a hub that is absent does not have the model.
        original_ids: By hub, the twin in the InternLM weight format: other bytes, never mixed.
        aliases: Other names, with or without an organisation, that no id spells.
        revisions: Pins by hub.
        source: Where we know the model from.
    """

    name: str
    family: str
    title: Text
    ids: Mapping[str, str]
    original_ids: Mapping[str, str]
    aliases: tuple[str, ...]
    revisions: Mapping[str, Pin]
    source: str

    @property
    def spellings(self) -> tuple[str, ...]:
        """All that means this model: name, aliases, ids, and the ids without organisation."""
        bare = map(short, self.ids.values())
        return tuple(dict.fromkeys((self.name, *self.aliases, *self.ids.values(), *bare)))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a typed name means: a short name, good for a folder, and the repository by hub.

    `outside` is the `ORG/NAME` of what the catalogue does not know; the short name alone would not be understood.
    """

    name: str
    ids: Mapping[str, str]
    outside: str = ""

    @property
    def typed(self) -> str:
        """What a command calls it."""
        return self.outside or self.name

    @property
    def where(self) -> str:
        """What such a command needs behind that: which hubs have what the catalogue does not know."""
        return f" --source {','.join(self.ids)}" if self.outside and [*self.ids] != ["huggingface"] else ""


@dataclass(frozen=True, slots=True)
class Catalog:
    """All known models, in catalogue order: by family, then name, numbers by value."""

    models: tuple[Model, ...]

    def matching(self, pattern: str | None = None) -> tuple[Model, ...]:
        """Return the models whose family or a short spelling matches, in catalogue order.

        Args:
            pattern: A glob if it holds `*`, `?` or `[`, else a part of a name, in any case.
        """
        part = (pattern or "").strip().casefold()
        glob = part if re.search(r"[*?[]", part) else f"*{part}*"

        def names(model: Model) -> Iterator[str]:
            return (n.casefold() for n in (model.family, *model.spellings) if "/" in glob or "/" not in n)

        return tuple(m for m in self.models if any(fnmatchcase(n, glob) for n in names(m)))

    def find(self, name: str) -> Model:
        """Return the model that a name, an alias, a hub's id or a page's address means.

        The exact spelling wins, then any case; then, in short names, `.`, `_` and `-` are one.
        An id in another weight format (`-original`) is not the model: only `want` knows it.

        Raises:
            NotFoundError: `UnknownModel`, with close names; `BadModelName`, which says why.
        """
        repo, _ = read_name(name)
        model = self._known(repo)
        if model is None:
            raise UnknownModel(repo, self.close_to(repo))
        return model

    def want(self, name: str, hubs: Sequence[str] | None = None) -> Wanted:
        """Say which repositories a typed name means.

        What the catalogue knows, under any hub's id, is that model at every hub: `ids` holds all
        hubs that have it, in `hubs` or not. `ORG/NAME` outside the catalogue is taken literally.

        Args:
            name: A name, an alias, an id at any hub, or the address of a model's page.
            hubs: The hubs the user named, or None. One that is nowhere in the catalogue (a plug-in)
                is given the id as typed, or the Hugging Face one for a short name.

        Raises:
            NotFoundError: `UnknownModel`, for a short name only; `BadModelName`, which says why.
        """
        repo, page_hub = read_name(name)
        if (model := self._known(repo)) is not None:
            literal = repo if "/" in repo else model.ids.get("huggingface", model.name)
            known = {hub for each in self.models for hub in each.ids}
            strangers = {hub: literal for hub in hubs or () if hub not in known}
            return Wanted(model.name, {**model.ids, **strangers})
        for hub, twin in (pair for each in self.models for pair in each.original_ids.items()):
            if repo.casefold() in {twin.casefold(), short(twin).casefold()}:
                return Wanted(short(twin), {hub: twin})
        if "/" not in repo:
            raise UnknownModel(repo, self.close_to(repo))
        return Wanted(short(repo), dict.fromkeys(hubs or (page_hub or "huggingface",), repo), repo)

    def close_to(self, name: str, most: int = 3) -> tuple[str, ...]:
        """Return the names most like a mistaken one, closest first; none if nothing is like it."""
        asked = plain(short(name))
        scores = {
            model.name: max(likeness(asked, plain(short(each))) for each in model.spellings) for model in self.models
        }
        ranked = sorted(scores, key=lambda each: -scores[each])
        return tuple(each for each in ranked if scores[each] >= _ALIKE)[:most]

    def _known(self, repo: str) -> Model | None:
        folds: tuple[Callable[[str], str], ...] = (str, str.casefold, plain)
        for fold in folds[: 2 if "/" in repo else 3]:
            hits = [m for m in self.models if fold(repo) in map(fold, m.spellings)]
            named = [m for m in hits if fold(m.name) == fold(short(repo))] or hits
            if len(named) == 1:
                return named[0]
        return None


def load_catalog(folders: Sequence[Path]) -> Catalog:
    """Read every `*.yaml` in the folders, the shipped one first, then the user's.

    A model in a later folder replaces the whole model of that name; an absent folder is skipped.

    Raises:
        ConfigError: `BadCatalogFile`: not readable, not YAML, or not a family of models.
    """
    models: dict[str, Model] = {}
    for folder in folders:
        here: dict[str, Model] = {}
        for path in sorted((*folder.glob("*.yaml"), *folder.glob("*.yml"))):
            for n, model in enumerate(_read_family(path, shipped=folder == folders[0]), 1):
                if here.setdefault(model.name.casefold(), model) is not model:
                    twice = Text(en=f"{model.name} is given twice", zh=f"{model.name} 重复")
                    raise BadCatalogFile(str(path), f"models[{n}]", twice)
        models.update(here)
    ordered = sorted(models.values(), key=lambda m: (natural(m.family), natural(m.name)))
    return Catalog(tuple(ordered))


def _read_family(path: Path, *, shipped: bool) -> Iterator[Model]:
    try:
        file = read_yaml(path, shipped=shipped)
        check_shape(file, _FAMILY)
    except Misshapen as wrong:
        raise BadCatalogFile(str(path), wrong.where, wrong.reason) from wrong
    title = file.get("title", {"en": file["family"], "zh": file["family"]})
    for raw in file["models"]:
        yield Model(
            name=raw["name"],
            family=file["family"],
            title=Text(en=title["en"], zh=title["zh"]),
            ids=raw["ids"],
            original_ids=raw.get("original_ids", {}),
            aliases=tuple(raw.get("aliases", ())),
            revisions={hub: Pin(**pin) for hub, pin in raw.get("revisions", {}).items()},
            source=raw.get("source", str(path)),
        )
