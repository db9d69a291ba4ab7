"""What to fetch, decided from values alone: no disk, no network.

A listing comes from a server and is hostile until `check_listing` has passed it.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import pairwise

from internlm_setup.core.text import Text
from internlm_setup.fetch.model import Location, RemoteFile, called
from internlm_setup.fetch.transfer.errors import HostileListing

STATE_FOLDER = ".internlm-setup"
MOST_FILES = 99_999
LARGEST_FILE_BYTES = 16 << 40
LARGEST_TOTAL_BYTES = 1 << 50
LATENCIES_PER_PIECE = 5
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?$", re.IGNORECASE)
_SHORT_NAME = re.compile(r"intern~[0-9]", re.IGNORECASE)  # what Windows may call our own folder
_HASHES = {"sha256": re.compile(r"[0-9a-f]{64}"), "git_sha1": re.compile(r"[0-9a-f]{40}")}


@dataclass(frozen=True, slots=True)
class Source:
    """One hub that has a content, and how to ask it where.

    Attributes:
        hub: Its id.
        locate: Says where the bytes are.
        endpoint: Its address, where the hub is asked at several.
        vendor_only: Whether the hub gives the content to its own downloader alone.
    """

    hub: str
    locate: Callable[[], Location]
    endpoint: str = ""
    vendor_only: bool = False

    @property
    def name(self) -> str:
        """What the source is called: two contents with the same one come over the same line."""
        return called(self.hub, self.endpoint)


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes to have, once, however many paths and hubs hold them.

    Attributes:
        key: Names the bytes across hubs and runs; safe as a file name.
        size_bytes: None when nobody said.
        sha256: What they must hash to, where published.
        git_sha1: The git blob hash, where that is published.
        etag: The server's tag, where no hash is published.
        paths: Where they go, at least one.
        sources: Where they come from, best first, at least one for a transfer.
        published_by: Whose hash it is: a hub's, or `LOCK`.
    """

    key: str
    size_bytes: int | None
    sha256: str | None
    git_sha1: str | None
    paths: tuple[str, ...]
    sources: tuple[Source, ...]
    etag: str | None = None
    published_by: str = ""

    @property
    def has_hash(self) -> bool:
        """Whether anything is published that can prove the bytes."""
        return self.sha256 is not None or self.git_sha1 is not None


def content_key(hub: str, repo: str, pin: str, file: RemoteFile) -> str:
    """Name a content: by sha256; else by git hash and size; else by where it was listed."""
    if file.sha256:
        return file.sha256
    if file.git_sha1:
        return f"git-{file.git_sha1}-{file.size_bytes}"
    told = "\0".join((hub, repo, pin, file.path, str(file.size_bytes), str(file.etag)))
    return "at-" + hashlib.sha256(told.encode()).hexdigest()[:40]


def check_listing(hub: str, files: Sequence[RemoteFile]) -> None:
    """Refuse a listing with any entry that could harm this machine or another one the folder is copied to.

    Raises:
        HostileListing: Naming the first bad entry and why.
    """
    if len(files) > MOST_FILES:
        raise HostileListing(hub, f"{len(files)} entries", _TOO_MANY)
    seen: dict[str, str] = {}
    for file in files:
        why = _path_fault(file.path) or _value_fault(file)
        folded = _fold(file.path)
        if why is None and folded in seen:
            same = seen[folded] == file.path
            why = _TWICE if same else _COLLIDES.fill(other=_printable(seen[folded]))
        if why is not None:
            raise HostileListing(hub, _printable(file.path), why)
        seen[folded] = file.path
    ordered = sorted((folded.replace("/", "\0"), path) for folded, path in seen.items())  # a folder's files follow it
    for (one, path), (following, _) in pairwise(ordered):
        if following.startswith(one + "\0"):
            raise HostileListing(hub, _printable(path), _FILE_AND_FOLDER)
    if sum(f.size_bytes or 0 for f in files) > LARGEST_TOTAL_BYTES:
        raise HostileListing(hub, f"{len(files)} entries", _TOO_LARGE)


_TOO_MANY = Text(en="a model repository does not have that many files", zh="模型仓库不会有这么多文件")
_COLLIDES = Text(en="it differs from `{other}` by letter case only", zh="它与 `{other}` 只有大小写不同")
_TWICE = Text(en="it is listed twice", zh="它被列出了两次")
_FILE_AND_FOLDER = Text(en="it is both a file and a folder", zh="它既是文件又是文件夹")
_TOO_LARGE = Text(en="its size is absurd", zh="大小不合理")
_NOT_RELATIVE = Text(en="it would land outside the model's folder", zh="它会落到模型文件夹之外")
_ILLEGAL = Text(en="a character in its name is not legal everywhere", zh="文件名含有并非处处合法的字符")
_BAD_NAME = Text(en="its name is reserved or not legal everywhere", zh="文件名是保留名或并非处处合法")
_OURS = Text(en="that folder is this program's own", zh="该文件夹是本程序自用的")
_BAD_HASH = Text(en="its hash is not a hash", zh="它的哈希值格式不对")


def _fold(path: str) -> str:
    """Return what two paths share when a file system without case or normal forms takes them for one.

    Source:
        The Unicode Standard, section 3.13, D145 (canonical caseless match), read 2026-11.
    """
    folded = unicodedata.normalize("NFD", path).casefold()
    return unicodedata.normalize("NFD", folded)


def _printable(path: str) -> str:
    """Return a name that cannot move the cursor or break a line."""
    shown = path.encode("unicode_escape").decode("ascii") if not path.isprintable() else path
    return shown if len(shown) <= 200 else shown[:200] + "…"


def _path_fault(path: str) -> Text | None:
    """Say why a listed path may not be used, or None when it may."""
    if not path.isprintable() or any(c in '\\<>"|?*' or "\ud800" <= c <= "\udfff" for c in path):
        return _ILLEGAL
    parts = path.split("/")
    if path.startswith(("/", "~")) or re.match(r"[A-Za-z]:", path) or {"", ".", ".."} & set(parts):
        return _NOT_RELATIVE
    if _fold(parts[0]) == STATE_FOLDER or _SHORT_NAME.match(parts[0]):
        return _OURS
    if len(path) > 1024 or any(_part_fault(part) for part in parts):
        return _BAD_NAME
    return None


def _part_fault(part: str) -> bool:
    return (
        part[-1] in ". "
        or part[0] == " "
        or ":" in part
        or len(part.encode()) > 255
        or _RESERVED.match(part) is not None
    )


def _value_fault(file: RemoteFile) -> Text | None:
    size = file.size_bytes
    if size is not None and not (type(size) is int and 0 <= size <= LARGEST_FILE_BYTES):
        return _TOO_LARGE
    for name, pattern in _HASHES.items():
        value = getattr(file, name)
        if value is not None and not (isinstance(value, str) and pattern.fullmatch(value)):
            return _BAD_HASH
    return None


def select(files: Iterable[RemoteFile], include: Sequence[str], exclude: Sequence[str]) -> list[RemoteFile]:
    """Keep the files that `include` names (all when empty) and `exclude` does not, in path order.

    Source:
        Globs as in `hf download`: `*` crosses `/`, a trailing `/` means everything below
        (huggingface_hub 2.4, filter_repo_objects), read 2026-11.
    """

    def matches(path: str, patterns: Sequence[str]) -> bool:
        return any(fnmatchcase(path, p + "*" if p.endswith("/") else p) for p in patterns)

    kept = (f for f in files if (not include or matches(f.path, include)) and not matches(f.path, exclude))
    return sorted(kept, key=lambda f: f.path)


def piece_bytes(left_bytes: int, jobs: int, usual_bytes_per_s: float = 0.0, latency_s: float = 0.0) -> int:
    """Return how many bytes to ask for at once: half of a connection's share of what is left, at most 32 MiB.

    So pieces get shorter towards the end, and all connections end together. None is over before a second has passed,
    or before waiting for its answer counts.

    Args:
        left_bytes: What nobody has asked for yet.
        jobs: How many connections share it.
        usual_bytes_per_s: What one of them brings; 0 before anybody knows.
        latency_s: How long an answer takes.
    """
    least = min(4 << 20, usual_bytes_per_s or 4 << 20)
    least = max(1 << 20, least, LATENCIES_PER_PIECE * latency_s * usual_bytes_per_s)
    return min(32 << 20, max(int(least), -(-left_bytes // (2 * max(1, jobs)))))
