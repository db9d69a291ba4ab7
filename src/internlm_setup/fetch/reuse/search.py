"""Files that may be the wanted contents: of the right size, and not known to be something else. Only looks."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from internlm_setup.core.errors import ConfigError
from internlm_setup.core.parallel import within
from internlm_setup.core.text import Text
from internlm_setup.fetch.reuse.places import Place
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.transfer.manifest import Entry, read_manifest
from internlm_setup.fetch.transfer.plan import STATE_FOLDER, Content

MOST_FILES = 200_000  # looked at in one place
MOST_CANDIDATES = 8  # hashed for one content
PATIENCE_S = 10.0
_BLOB = re.compile(r"[0-9a-f]{64}|[0-9a-f]{40}")
_LATE = Text(
    en="`{folder}` did not answer within {seconds:.0f} s and is not searched",
    zh="`{folder}` 在 {seconds:.0f} 秒内没有应答，不再搜索",
)


@dataclass(frozen=True, slots=True)
class Found:
    """A file that may be a wanted content.

    Attributes:
        path: Where it is, all links followed.
        name: What it is called there, before that.
        size_bytes: Its length.
        shared: Whether it may belong to somebody else too: it is in a shared place, or a link led out of all places.
        claims: Hashes that its place says it has; empty when it says none.
    """

    path: Path
    name: str
    size_bytes: int
    shared: bool
    claims: frozenset[str] = frozenset()


def search(
    contents: Sequence[Content], places: Iterable[Place], leave_out: Path, tell: events.Listener = events.ignore
) -> Mapping[str, tuple[Found, ...]]:
    """Look for contents whose size and hash are published.

    Args:
        contents: What is missing.
        places: Where to look.
        leave_out: The destination: what is there is known.
        tell: Told of a place that does not answer, as a dead network share.

    Returns:
        Of each content's key that anything was found for, the likeliest file first.
    """
    wanted = [c for c in contents if c.has_hash and c.size_bytes is not None]
    if not wanted:
        return {}
    sizes, found, known = frozenset(c.size_bytes or 0 for c in wanted), dict[Path, Found](), tuple(places)
    for place in known:
        try:
            for one in within(PATIENCE_S, partial(_of_size, place, sizes, leave_out, known)):
                found.setdefault(one.path, one)
        except TimeoutError:
            tell(events.Noted(_LATE.fill(folder=place.folder, seconds=PATIENCE_S), warning=True))
    by_size: dict[int, list[Found]] = {}
    for one in found.values():
        by_size.setdefault(one.size_bytes, []).append(one)
    told = ((c.key, _likely(c, by_size.get(c.size_bytes or 0, ()))) for c in wanted)
    return {key: candidates for key, candidates in told if candidates}


def _likely(content: Content, files: Sequence[Found]) -> tuple[Found, ...]:
    """Leave out what says that it is something else; put first what says that it is this, then what is called so."""
    hashes = {len(known): known for known in (content.sha256, content.git_sha1) if known}
    names = {path.rpartition("/")[2] for path in content.paths}
    able = [f for f in files if all(hashes.get(len(told), told) == told for told in f.claims)]
    able.sort(key=lambda f: (f.claims.isdisjoint(hashes.values()), f.name not in names))
    return tuple(able[:MOST_CANDIDATES])


def _of_size(place: Place, sizes: Collection[int], leave_out: Path, places: Sequence[Place]) -> list[Found]:
    own = [one.folder.resolve() for one in places if not one.shared]
    common = [one.folder.resolve() for one in places if one.shared]
    found = []
    for folder, name, claims in islice(_walk(place.folder, leave_out), MOST_FILES):
        with suppress(OSError):
            path = folder / name
            about = path.stat()
            if stat.S_ISREG(about.st_mode) and about.st_size in sizes:
                real = path.resolve()
                blob = frozenset({real.name} if _BLOB.fullmatch(real.name) else ())
                shared = any(map(real.is_relative_to, common)) or not any(map(real.is_relative_to, own))
                found.append(Found(real, name, about.st_size, shared, claims | blob))
    return found


def _walk(top: Path, leave_out: Path) -> Iterator[tuple[Path, str, frozenset[str]]]:
    """Yield the folder and the name of each file, with the hashes that a record of ours has of it.

    Linked folders are entered, each folder once, but never those around the first one.
    """
    recorded: dict[str, Entry] = {}
    owner, seen = top, {_identity(folder) for folder in (leave_out, *top.resolve().parents)}
    for here, folders, files in os.walk(top, followlinks=True):
        folder = Path(here)
        if (identity := _identity(folder)) in seen:
            folders.clear()
            continue
        seen.add(identity)
        if STATE_FOLDER in folders:
            recorded, owner = _recorded(folder), folder
        folders[:] = [f for f in folders if f not in {STATE_FOLDER, ".git", ".locks"}]
        inside = folder.relative_to(owner) if folder.is_relative_to(owner) else None
        for name in files:
            entry = None if inside is None else recorded.get((inside / name).as_posix())
            if not name.endswith((".incomplete", ".lock", ".part")):
                yield folder, name, _claims(entry, owner)


def _identity(folder: Path) -> tuple[int, int] | None:
    """Return what tells a folder from every other, however it was reached; None where it is not there."""
    try:
        about = folder.stat()
    except OSError:
        return None
    return about.st_dev, about.st_ino


def _claims(entry: Entry | None, folder: Path) -> frozenset[str]:
    if entry is None or not entry.unchanged(folder):
        return frozenset()
    return frozenset({entry.sha256, *([entry.git_sha1] if entry.git_sha1 else [])})


def _recorded(folder: Path) -> dict[str, Entry]:
    try:
        manifest = read_manifest(folder / STATE_FOLDER)
    except ConfigError:
        return {}
    return {e.path: e for e in manifest.files} if manifest else {}
