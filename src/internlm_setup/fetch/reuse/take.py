"""Putting a file that is elsewhere on this machine in place, once its hash has proved it.

How, best first:

- A clone (FICLONE: btrfs, xfs, bcachefs) shares blocks and nothing else, so it is always safe.
- A hard link shares the file itself. Whoever writes into one name writes into both, so it is made only of a file that
  is this user's own, that nobody else may write, that is not in a folder shared by the whole machine, and that is
  large: `config.json` and `modeling_*.py` are what people edit in place, weights are replaced by renaming.
- Otherwise a copy, hashed while it is made; holes stay holes. Also between two file systems.

A `--copy` never links. See docs/adr/0019-reuse-without-surprises.md.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

from internlm_setup.core.files import writing
from internlm_setup.core.parallel import cores, each
from internlm_setup.core.text import Text, human_size
from internlm_setup.fetch.reuse.search import Found
from internlm_setup.fetch.space import check_space
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.transfer.commit import commit
from internlm_setup.fetch.transfer.manifest import Entry
from internlm_setup.fetch.transfer.plan import Content
from internlm_setup.fetch.transfer.salvage import extents
from internlm_setup.fetch.transfer.store import Store
from internlm_setup.fetch.transfer.verify import Digest, judge, wants_git

LEAST_LINKED_BYTES = 16 << 20
BLOCK_BYTES = 256 << 10  # stays in the processor's cache between being read and being hashed
TELL_EVERY_BYTES = 16 << 20
FICLONE = 0x40049409
_ZEROS = memoryview(bytes(1 << 20))
_USING = Text(
    en="using {size} in {n} {noun} from `{folder}`, found on this machine and verified",
    zh="使用本机已有的 {n} 个文件（{size}，来自 `{folder}`），已校验",
)


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of it: the contents that are still missing, and the bytes that need not come, partials counted off."""

    missing: Sequence[Content]
    size_bytes: int
    saved_bytes: int


@dataclass(slots=True)
class _Taking:
    store: Store
    copy: bool
    tell: events.Listener
    finished: Callable[[Entry], None]
    cancelled: threading.Event = field(default_factory=threading.Event)
    others: set[Path] = field(default_factory=set)  # folders of another model: a large file of the same name was wrong
    hashed: dict[Path, frozenset[str]] = field(default_factory=dict)  # what was read in vain, and is something else


def take(
    contents: Sequence[Content],
    found: Mapping[str, Sequence[Found]],
    store: Store,
    *,
    copy: bool,
    tell: events.Listener,
    finished: Callable[[Entry], None],
) -> Taken:
    """Verify what was found, one file a core, and put in place what is right.

    Args:
        contents: What is missing.
        found: From `search`.
        store: The destination, locked.
        copy: Whether nothing may be hard linked.
        tell: Told as by a transfer.
        finished: Given the record of each file, before the file gets its final name.

    Raises:
        NoSpace: A copy does not fit.
        CannotWrite: The destination refuses.
    """
    able = sorted((c for c in contents if c.key in found), key=lambda c: -(c.size_bytes or 0))
    taking = _Taking(store, copy, events.one_at_a_time(tell), finished)
    try:
        came = each(lambda c: _first_right(c, found[c.key], taking), able, cores())
    finally:
        taking.cancelled.set()  # Ctrl-C must not leave anybody reading a large file
    taken = {c.key: one for c, one in zip(able, came, strict=True) if one is not None}
    _say(able, taken, tell)
    size = sum((c.size_bytes or 0) * len(c.paths) for c in able if c.key in taken)
    saved = sum((c.size_bytes or 0) - store.present_bytes(c.key, c.size_bytes) for c in able if c.key in taken)
    for key in taken:
        store.forget(key)
    return Taken([c for c in contents if c.key not in taken], size, saved)


def _say(able: Sequence[Content], taken: Mapping[str, Found], tell: events.Listener) -> None:
    """Say in a line for each folder what is used of it."""
    folders: dict[Path, list[int]] = {}
    for content in able:
        if content.key in taken:
            folders.setdefault(taken[content.key].path.parent, []).append(content.size_bytes or 0)
    for folder, sizes in folders.items():
        noun = "file" if len(sizes) == 1 else "files"
        tell(events.Noted(_USING.fill(size=human_size(sum(sizes)), n=len(sizes), noun=noun, folder=folder)))


def _first_right(content: Content, files: Sequence[Found], taking: _Taking) -> Found | None:
    """Put the first file in place that proves to be the content."""
    hashes, names = {content.sha256, content.git_sha1}, {path.rpartition("/")[2] for path in content.paths}
    for one in files:
        large = one.size_bytes >= LEAST_LINKED_BYTES
        known = taking.hashed.get(one.path)
        if taking.cancelled.is_set() or (known is not None and known.isdisjoint(hashes)):
            continue
        if known is None and large and not one.claims and one.path.parent in taking.others:
            continue
        with suppress(OSError):  # not ours to read, or gone meanwhile
            if _put(content, one, taking):
                return one
            if large and one.name in names:
                taking.others.add(one.path.parent)
    return None


def _put(content: Content, one: Found, taking: _Taking) -> bool:
    """Clone, link or copy a file, hash it, and give it its names if it is right."""
    path, waiting = content.paths[0], taking.store.vacant(content.key)
    digest = Digest(one.size_bytes, git=wants_git(one.size_bytes, content.sha256))
    taking.tell(events.FileStarted(path, one.size_bytes, 0))
    try:
        shares = _cloned(one.path, waiting) or (not taking.copy and _linked(one, waiting))
        if not shares:
            check_space(taking.store.folder, one.size_bytes)
        with (
            (waiting if shares else one.path).open("rb", buffering=0) as file,
            nullcontext() if shares else _writing_to(waiting) as write,
        ):
            told = 0
            for at, block in _blocks(file, one.size_bytes):
                if taking.cancelled.is_set():
                    return False
                digest.update(block)
                if write is not None:
                    write(at, block)
                if digest.position - told >= TELL_EVERY_BYTES or digest.position == one.size_bytes:
                    taking.tell(events.Advanced(path, digest.position - told))
                    told = digest.position
        good, proof = judge(digest, content.sha256, content.git_sha1)
        if not good:
            taking.tell(events.Advanced(path, -told))
            taking.hashed[one.path] = frozenset({digest.sha256, digest.git_sha1 or ""})
            return False
        entries = commit(content, waiting, digest, proof, taking.store, "disk", taking.finished)
    finally:
        waiting.unlink(missing_ok=True)
    for entry in entries:
        taking.tell(events.FileFinished(entry.path, entry.size_bytes, entry.proof))
    return True


def _cloned(path: Path, waiting: Path) -> bool:
    """Make a file that shares all blocks with another one, where the file system can.

    Source:
        ioctl_ficlone(2), read 2026-11.
    """
    if sys.platform != "linux":
        return False
    import fcntl

    with path.open("rb") as source, writing(waiting), waiting.open("xb") as file:
        try:
            fcntl.ioctl(file.fileno(), FICLONE, source.fileno())
        except OSError:
            waiting.unlink()
            return False
    return True


def _linked(one: Found, waiting: Path) -> bool:
    """Give a file a second name, where that is safe (see above) and possible."""
    about = one.path.stat()
    if one.shared or about.st_size < LEAST_LINKED_BYTES or not _is_ours_alone(about):
        return False
    try:
        os.link(one.path, waiting)
    except OSError:  # another file system, or one without links
        return False
    return True


def _is_ours_alone(about: os.stat_result) -> bool:
    """Say whether this user owns a file and nobody else may write it; a group of one's own is nobody else."""
    if os.name == "nt":  # the mode does not tell
        return False
    others = about.st_mode & 0o002 or (about.st_mode & 0o020 and about.st_gid != os.getegid())
    return about.st_uid == os.geteuid() and not others


@contextmanager
def _writing_to(waiting: Path) -> Iterator[Callable[[int, memoryview], None]]:
    """Give what writes a block at its place; zeros become holes. Durable afterwards."""
    with writing(waiting):
        file = waiting.open("xb")
    end = 0

    def write(at: int, block: memoryview) -> None:
        nonlocal end
        end = at + len(block)
        if block != _ZEROS[: len(block)]:
            with writing(waiting):
                file.seek(at)
                file.write(block)

    with file:
        yield write
        with writing(waiting):
            file.truncate(end)
            os.fsync(file.fileno())


def _blocks(file: FileIO, end: int) -> Iterator[tuple[int, memoryview]]:
    """Yield a file in blocks, with where each begins; holes are not read. Ends early where the file does."""
    buffer, at = memoryview(bytearray(BLOCK_BYTES)), 0
    for start, stop in (*extents(file, end), (end, end)):
        while at < start:
            count = min(len(_ZEROS), start - at)
            yield at, _ZEROS[:count]
            at += count
        file.seek(at)
        while at < stop and (count := file.readinto(buffer[: stop - at])):
            yield at, buffer[:count]
            at += count
