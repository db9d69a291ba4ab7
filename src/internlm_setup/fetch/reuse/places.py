"""Where a model may lie already: folders that were named, those of a profile, the vendors' caches, earlier fetches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from internlm_setup.core.errors import NotFoundError
from internlm_setup.core.text import Text
from internlm_setup.fetch import history, layouts


@dataclass(eq=False)
class NoSuchPlace(NotFoundError):
    """`--reuse` names something that is no folder."""

    folder: str

    code = "fetch.no-such-place"
    text = Text(
        en="`--reuse {folder}`: there is no such folder, so nothing can be reused from it",
        zh="`--reuse {folder}`：没有这个文件夹，无法复用其中的内容",
    )
    hint = Text(
        en="look for it with `ls -d {folder}`, or leave `--reuse` away",
        zh="用 `ls -d {folder}` 查看，或去掉 `--reuse`",
    )


@dataclass(frozen=True, slots=True)
class Place:
    """One folder to search. What is `shared` belongs to everybody on the machine, and is never hard linked."""

    folder: Path
    shared: bool = False


def expand(patterns: Sequence[str]) -> tuple[Path, ...]:
    """Return the folders that a profile's patterns name and that are there, in order."""
    found = (folder for p in patterns for folder in sorted(Path("/").glob(p.lstrip("/"))) if folder.is_dir())
    return tuple(dict.fromkeys(found))


def named(folders: Sequence[Path], cwd: Path) -> list[Path]:
    """Return the absolute folders that a person named.

    Raises:
        NoSuchPlace: One is not there.
    """
    found = [cwd / folder for folder in folders]
    for folder in found:
        if not folder.is_dir():
            raise NoSuchPlace(str(folder))
    return found


def places(
    asked: Sequence[Path], shared: Sequence[str], state: Path, home: Path, env: Mapping[str, str]
) -> Iterator[Place]:
    """Yield every folder to search, those that a person named first.

    Args:
        asked: From `named`.
        shared: Patterns of the folders that profiles name.
        state: Our state folder, for earlier fetches.
        home: The home folder.
        env: The environment, where a vendor's variable may move its cache.
    """
    yield from map(Place, asked)
    for folder in expand(shared):
        yield Place(folder, shared=True)
    caches = [cache for one in layouts.known().values() if (cache := one.cache(home, env)) is not None]
    for folder in (*caches, *history.folders(state)):
        if folder.is_dir():
            yield Place(folder)
