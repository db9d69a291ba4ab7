"""Whether two listings hold the same bytes, file by file and by hash. Pure: `fetch.choice` asks the hubs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from internlm_setup.core.text import Text
from internlm_setup.fetch.model import Held, RemoteFile, Snapshot

_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".ggml", ".onnx", ".h5", ".msgpack", ".npz")
_MOST_NAMED = 3
_SAME = Text(
    en="the same bytes in all {n} files whose hashes can be compared ({m} shared)",
    zh="可比较哈希值的 {n} 个文件内容全部相同（共有 {m} 个）",
)
_ONE_SAME = Text(
    en="the same bytes in the one file whose hash can be compared ({m} shared)",
    zh="唯一可比较哈希值的文件内容相同（共有 {m} 个）",
)
_UNKNOWN = Text(en="cannot be compared: no comparable hashes", zh="无法比较：没有可比的哈希值")
_DIFFERENT = Text(en="{n} files differ: {names}", zh="有 {n} 个文件不同：{names}")
_ONE_DIFFERENT = Text(en="{n} file differs: {names}", zh="有 {n} 个文件不同：{names}")


@dataclass(frozen=True, slots=True)
class Difference:
    """How another listing compares under the paths that both have.

    Attributes:
        shared: How many paths both have.
        same: How many of them surely have the same bytes.
        different: Paths of those that surely have not, weights first.
    """

    shared: int
    same: int
    different: tuple[str, ...]

    @property
    def state(self) -> Held:
        """Say it in one word."""
        return "differs" if self.different else "same" if self.same else "unknown"

    @property
    def words(self) -> Text:
        """Say it in one line."""
        if self.different:
            words = _ONE_DIFFERENT if len(self.different) == 1 else _DIFFERENT
            return words.fill(n=len(self.different), names=named(self.different))
        words = _ONE_SAME if self.same == 1 else _SAME
        return words.fill(n=self.same, m=self.shared) if self.same else _UNKNOWN

    @property
    def weights(self) -> tuple[str, ...]:
        """Return the different files that hold weights."""
        return tuple(path for path in self.different if is_weights(path))


def difference(files: Iterable[RemoteFile], other: Snapshot) -> Difference:
    """Compare files of one hub with another one's listing."""
    theirs = {f.path: f for f in other.files}
    verdicts = {f.path: same_bytes(f, theirs[f.path]) for f in files if f.path in theirs}
    different = sorted((p for p, same in verdicts.items() if same is False), key=lambda p: (not is_weights(p), p))
    return Difference(len(verdicts), sum(same is True for same in verdicts.values()), tuple(different))


def is_weights(path: str) -> bool:
    """Say whether a file holds what a model has learned, as far as its name tells."""
    return path.lower().endswith(_WEIGHTS)


def named(paths: Iterable[str]) -> str:
    """Return the first few paths for a sentence."""
    known = tuple(paths)
    return ", ".join(known[:_MOST_NAMED]) + ("…" if len(known) > _MOST_NAMED else "")


def same_bytes(one: RemoteFile, other: RemoteFile) -> bool | None:
    """Compare what two hubs publish of one file; None when they publish nothing comparable."""
    if None not in (one.size_bytes, other.size_bytes) and one.size_bytes != other.size_bytes:
        return False
    if one.sha256 and other.sha256:
        return one.sha256 == other.sha256
    if one.git_sha1 and other.git_sha1:
        return one.git_sha1 == other.git_sha1
    return None


class Shelf:
    """A hub's listing, to be searched for bytes instead of names."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._paths = {f.path: f for f in snapshot.files}
        hashed = ((h, f) for f in snapshot.files for h in (f.sha256, f.git_sha1) if h)
        self._hashes = {(h, f.size_bytes): f for h, f in hashed}

    def same(self, file: RemoteFile) -> RemoteFile | None:
        """Return a file that surely has the same bytes: the very entry, or one of equal size and hash at any path."""
        here = self._paths.get(file.path)
        if here is file:
            return here
        found = (self._hashes.get((h, file.size_bytes)) for h in (file.sha256, file.git_sha1) if h)
        twins = (f for f in (here, *found) if f is not None and None not in (f.size_bytes, file.size_bytes))
        return next((f for f in twins if same_bytes(f, file)), None)

    def maybe(self, file: RemoteFile) -> RemoteFile | None:
        """Return the file of the same path and size, where no hash speaks for it or against it."""
        here = self._paths.get(file.path)
        if here is None or here.size_bytes is None or same_bytes(here, file) is not None:
            return None
        return here
