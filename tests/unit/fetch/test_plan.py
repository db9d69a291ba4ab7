"""What a listing may hold, what globs take of it, and how bytes are named and cut."""

from __future__ import annotations

import tracemalloc
import unicodedata

import pytest
from huggingface_hub.utils import filter_repo_objects
from hypothesis import assume, given
from hypothesis import strategies as st

from internlm_setup.core.errors import ExitCode
from internlm_setup.fetch.model import RemoteFile
from internlm_setup.fetch.transfer.errors import HostileListing
from internlm_setup.fetch.transfer.plan import (
    LARGEST_FILE_BYTES,
    LARGEST_TOTAL_BYTES,
    MOST_FILES,
    check_listing,
    content_key,
    piece_bytes,
    select,
)
from internlm_setup.fetch.transfer.spans import Spans

GOOD_SHA256, GOOD_SHA1 = "ab" * 32, "cd" * 20
OUTSIDE = "it would land outside the model's folder"
ILLEGAL = "a character in its name is not legal everywhere"
RESERVED = "its name is reserved or not legal everywhere"
OURS = "that folder is this program's own"


def refusal(*paths: str) -> HostileListing:
    """Return the refusal of a listing of these paths."""
    with pytest.raises(HostileListing) as caught:
        check_listing("Hub One", [RemoteFile(p, 1) for p in paths])
    return caught.value


@pytest.mark.parametrize(
    "path",
    [
        "config.json",
        "onnx/model_q4.onnx",
        ".gitattributes",
        "a/.hidden/b",
        "模型/权重.bin",
        "model-00001-of-00008.safetensors",
        "name with spaces (1).txt",
        "console.py",
        "com.txt",
        "com10",
        "nullify",
        "auxiliary/x",
        "a~1/b",
        "x" * 255,
        "deep/" * 100 + "file",
        "sub/.internlm-setup/x",
        "...x",
        "-rf",
    ],
)
def test_what_real_models_have(path: str) -> None:
    """Names that any system can hold pass, Chinese ones and hidden ones too."""
    check_listing("Hub One", [RemoteFile("first", 1), RemoteFile(path, 1)])


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("..", OUTSIDE),
        ("../x", OUTSIDE),
        ("a/../../x", OUTSIDE),
        ("a/./x", OUTSIDE),
        ("a//x", OUTSIDE),
        ("a/", OUTSIDE),
        ("", OUTSIDE),
        (".", OUTSIDE),
        ("/etc/passwd", OUTSIDE),
        ("~/.ssh/id", OUTSIDE),
        ("C:/x", OUTSIDE),
        ("c:x", OUTSIDE),
        ("a/C:", RESERVED),
        ("file:stream", RESERVED),
        ("..\\x", ILLEGAL),
        ("a\\b", ILLEGAL),
        ("\\\\host\\share", ILLEGAL),
        ("what?", ILLEGAL),
        ("a*", ILLEGAL),
        ("a|b", ILLEGAL),
        ('a"b', ILLEGAL),
        ("a<b", ILLEGAL),
        ("line\nbreak", ILLEGAL),
        ("re\rturn", ILLEGAL),
        ("nul\0", ILLEGAL),
        ("\x1b[2Jgone", ILLEGAL),
        ("\x9b2Jgone", ILLEGAL),
        ("gnp.\u202exe.jpg", ILLEGAL),
        (".internlm-\u200csetup/x", ILLEGAL),
        ("half\ud800", ILLEGAL),
        ("a\u2028b", ILLEGAL),
        (".internlm-setup/manifest.json", OURS),
        (".Internlm-SETUP/x", OURS),
        (".internlm-\u017fetup/x", OURS),
        (".internlm-setup", OURS),
        ("INTERN~1/manifest.json", OURS),
        ("con", RESERVED),
        ("a/NUL", RESERVED),
        ("aux.json", RESERVED),
        ("Prn.tar.gz/x", RESERVED),
        ("COM1", RESERVED),
        ("lpt9.bin", RESERVED),
        ("com\u00b9", RESERVED),
        ("CONIN$", RESERVED),
        ("nul .txt", RESERVED),
        ("trailing.", RESERVED),
        ("trailing ", RESERVED),
        ("folder./x", RESERVED),
        (" leading", RESERVED),
        ("x" * 256, RESERVED),
        ("模" * 86, RESERVED),
        ("a/" * 512 + "b", RESERVED),
    ],
)
def test_hostile_paths(path: str, reason: str) -> None:
    """Each path that could harm some system is refused with its name and the reason, and with exit code 76."""
    error = refusal("fine.json", path)
    assert error.reason.en == reason
    assert error.exit_code is ExitCode.PROTOCOL
    assert error.entry in {path, path[:200] + "…", path.encode("unicode_escape").decode()}


@given(st.text(max_size=30))
def test_refusals_can_be_printed(path: str) -> None:
    """Whatever a listing holds, what we say about it cannot move the cursor, break the line or fail to print."""
    assume(path)
    error = refusal(path, path)
    assert error.message().isprintable()
    error.message("zh").encode("utf-8")


def test_long_names_are_shortened() -> None:
    """A name without end is named by its beginning."""
    assert refusal("x" * 5000).entry == "x" * 200 + "…"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("config.json", "Config.JSON"),
        ("a/x", "A/X"),
        ("twice", "twice"),
        ("caf\u00e9", "cafe\u0301"),
        ("stra\u00dfe", "STRASSE"),
        ("\u0390", "\u0399\u0308\u0301"),
        ("\u212b", "a\u030a"),
        ("x\u0345\u0301", "x\u0301\u0345"),
    ],
)
def test_collisions(one: str, other: str) -> None:
    """Two entries that a file system may take for one are refused, whichever way they differ."""
    for first, second in ((one, other), (other, one)):
        error = refusal(first, "between", second)
        assert first in error.reason.en
        assert second in error.entry or not second.isprintable()


@given(st.text(st.characters(categories=["L", "M"]), max_size=6).map("x{}".format).filter(str.isprintable))
def test_case_and_normal_forms_collide(name: str) -> None:
    """A name without its case, and in either normal form, cannot stand beside itself."""
    for other in (name.casefold(), unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)):
        said = "it is listed twice" if name == other else f"it differs from `{name}` by letter case only"
        assert refusal(name, other).reason.en == said


@pytest.mark.parametrize(
    ("paths", "named"),
    [
        (["a", "a/b"], "a"),
        (["a/b", "a"], "a"),
        (["A", "a/b/c"], "A"),
        (["x/y", "x-1", "x/y/z/file", "x/y-1"], "x/y"),
        (["0", "caf\u00e9", "cafe\u0301/x"], "caf\u00e9"),
    ],
)
def test_file_and_folder(paths: list[str], named: str) -> None:
    """An entry that would have to be a file and a folder at once is refused."""
    error = refusal(*paths)
    assert (error.entry, error.reason.en) == (named, "it is both a file and a folder")


def test_names_that_share_a_beginning() -> None:
    """Neighbours that only begin alike are no collision."""
    check_listing("Hub One", [RemoteFile(p, 1) for p in ("a", "a-b", "a.b/c", "ab", "a b/c", "b/a", "b/a.b", "ba")])


def test_as_many_files_as_there_may_be() -> None:
    """Just under 10^5 entries pass; one more is refused with their number, without a look at each."""
    check_listing("Hub One", [RemoteFile(f"f{n}", 1) for n in range(MOST_FILES)])
    with pytest.raises(HostileListing) as caught:
        check_listing("Hub One", [RemoteFile("..", 1)] * 100_000)
    assert caught.value.entry == "100000 entries"


def test_deep_listings_cost_no_memory() -> None:
    """Entries in folders hundreds deep are looked at without remembering every folder on the way."""
    files = [RemoteFile(f"{n}/" + "d/" * 500 + "file", 1) for n in range(200)]
    tracemalloc.start()
    try:
        check_listing("Hub One", files)
        assert tracemalloc.get_traced_memory()[1] < 5 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [-1, True, False, LARGEST_FILE_BYTES + 1, 10**400, 1.5, "12", float("nan")])
def test_absurd_sizes(size: int) -> None:
    """A size that is negative, no integer, or larger than any model is refused."""
    with pytest.raises(HostileListing) as caught:
        check_listing("Hub One", [RemoteFile("big.bin", size)])
    assert (caught.value.entry, caught.value.reason.en) == ("big.bin", "its size is absurd")


def test_sizes_that_are_absurd_together() -> None:
    """Sizes that are possible one by one and absurd together are refused, with their number."""
    count = LARGEST_TOTAL_BYTES // LARGEST_FILE_BYTES
    check_listing("Hub One", [RemoteFile(f"f{n}", LARGEST_FILE_BYTES) for n in range(count)])
    with pytest.raises(HostileListing) as caught:
        check_listing("Hub One", [RemoteFile(f"f{n}", LARGEST_FILE_BYTES) for n in range(count + 1)])
    assert caught.value.entry == f"{count + 1} entries"


@pytest.mark.parametrize("size", [None, 0, 1, LARGEST_FILE_BYTES])
def test_possible_sizes(size: int | None) -> None:
    """No size, none at all, and the largest there may be."""
    check_listing("Hub One", [RemoteFile("x", size, GOOD_SHA256, GOOD_SHA1)])


@pytest.mark.parametrize(
    "digest", ["", "ab", "AB" * 32, "ab" * 32 + "\n", "ab" * 33, "xy" * 32, "../" * 21 + "x", 7, b"ab" * 32]
)
def test_malformed_sha256(digest: str) -> None:
    """A sha256 becomes a file's name here: anything but 64 hex digits is refused."""
    with pytest.raises(HostileListing, match="`x`: its hash is not a hash"):
        check_listing("Hub One", [RemoteFile("x", 1, sha256=digest)])


@pytest.mark.parametrize("digest", ["", "cd", "CD" * 20, "cd" * 20 + "\n", "cd" * 32, "zz" * 20])
def test_malformed_git_sha1(digest: str) -> None:
    """So is a git hash that is not one."""
    with pytest.raises(HostileListing, match="`x`: its hash is not a hash"):
        check_listing("Hub One", [RemoteFile("x", 1, git_sha1=digest)])


LISTED = ["README.md", "config.json", "onnx/config.json", "onnx/q4/model.onnx", "model.bin", "a[1].txt", "B.JSON"]
FILES = [RemoteFile(p, 1) for p in LISTED]


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        ([], [], sorted(LISTED)),
        (["*.json"], [], ["config.json", "onnx/config.json"]),
        (["onnx/"], [], ["onnx/config.json", "onnx/q4/model.onnx"]),
        (["onnx/*"], ["*.json"], ["onnx/q4/model.onnx"]),
        ([], ["*"], []),
        (["config.json"], [], ["config.json"]),
        (["config.json", "nothing"], [], ["config.json"]),
        (["?ODEL.BIN"], [], []),
        (["a[[]1].txt"], [], ["a[1].txt"]),
        ([], ["onnx/", "*.md", "[aB]*"], ["config.json", "model.bin"]),
    ],
)
def test_globs(include: list[str], exclude: list[str], expected: list[str]) -> None:
    """`*` crosses folders, `/` at the end takes all below, case counts, and the result is in path order."""
    assert [f.path for f in select(FILES, include, exclude)] == expected


patterns = st.lists(st.text("acionx.*?/[]!-J", min_size=1, max_size=8), max_size=3)


@given(patterns, patterns)
def test_globs_as_hf(include: list[str], exclude: list[str]) -> None:
    """Any globs take what `hf download` takes with them."""
    theirs = filter_repo_objects(LISTED, allow_patterns=include or None, ignore_patterns=exclude or None)
    assert [f.path for f in select(FILES, include, exclude)] == sorted(theirs)


def test_one_content_has_one_name() -> None:
    """Bytes with a published hash have the same name at every hub, under every path."""
    key = content_key("one", "lab/model", "main", RemoteFile("a", 5, GOOD_SHA256, GOOD_SHA1))
    assert key == content_key("two", "other/x", "v2", RemoteFile("b", 5, GOOD_SHA256)) == GOOD_SHA256
    key = content_key("one", "lab/model", "main", RemoteFile("a", 5, git_sha1=GOOD_SHA1))
    assert key == content_key("two", "other/x", "v2", RemoteFile("b", 5, git_sha1=GOOD_SHA1)) == f"git-{GOOD_SHA1}-5"


@pytest.mark.parametrize(
    ("hub", "repo", "pin", "file"),
    [
        ("two", "lab/model", "main", RemoteFile("a", 5)),
        ("one", "lab/other", "main", RemoteFile("a", 5)),
        ("one", "lab/model", "v2", RemoteFile("a", 5)),
        ("one", "lab/model", "main", RemoteFile("b", 5)),
        ("one", "lab/model", "main", RemoteFile("a", 6)),
        ("one", "lab/model", "main", RemoteFile("a", 5, etag="new")),
    ],
)
def test_unhashed_contents_are_never_mixed(hub: str, repo: str, pin: str, file: RemoteFile) -> None:
    """Without a hash, bytes from another hub, repository, revision or path, or of another size, are others."""
    mine = content_key("one", "lab/model", "main", RemoteFile("a", 5))
    assert content_key(hub, repo, pin, file) != mine
    assert mine.startswith("at-")
    assert mine.replace("-", "").isalnum()


@pytest.mark.parametrize(
    ("left", "jobs", "expected"),
    [
        (0, 8, 4 << 20),
        (1 << 20, 8, 4 << 20),
        (1 << 30, 8, 32 << 20),
        (256 << 20, 8, 16 << 20),
        (512 << 20, 0, 32 << 20),
    ],
)
def test_piece_size(left: int, jobs: int, expected: int) -> None:
    """Half a connection's share, none smaller than 4 or larger than 32 MiB while nobody knows how fast it is."""
    assert piece_bytes(left, jobs) == expected


@pytest.mark.parametrize(
    ("rate", "latency_s", "expected"),
    [
        (1.5 * (1 << 20), 0.2, 1.5 * (1 << 20)),  # slow: a second each
        (1000, 0.2, 1 << 20),  # but not a flood of requests
        (300 << 20, 0.001, 4 << 20),  # fast and near
        (20 << 20, 0.2, 20 << 20),  # fast and far: what comes in five round trips
        (400 << 20, 1.0, 32 << 20),
    ],
)
def test_the_last_pieces(rate: float, latency_s: float, expected: float) -> None:
    """Short, so that all end together; not so short that waiting for answers would take the time."""
    assert piece_bytes(1, 8, rate, latency_s) == expected


@given(
    st.integers(1, 1 << 36), st.integers(1, 64), st.lists(st.tuples(st.integers(0, 1 << 36), st.integers(0, 1 << 30)))
)
def test_pieces_cover_what_is_missing(size: int, jobs: int, had: list[tuple[int, int]]) -> None:
    """Holes cut into pieces cover exactly what is missing, each byte once, no piece longer than asked."""
    here = Spans((start, min(size, start + length)) for start, length in had)
    step = piece_bytes(size, jobs)
    holes = here.holes(0, size)
    pieces = [(at, min(at + step, end)) for start, end in holes for at in range(start, end, step)]
    assert all(0 < end - start <= step for start, end in pieces)
    assert list(Spans(pieces)) == holes
    assert sum(end - start for start, end in pieces) + here.size_bytes == size
