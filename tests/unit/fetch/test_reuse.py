"""Files that are on this machine already: which are looked at, and how they are put in place."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fakes import git_sha1, sha256
from internlm_setup.core.parallel import cores
from internlm_setup.core.paths import shipped_configs
from internlm_setup.fetch.model import Location
from internlm_setup.fetch.reuse import Found, Taken, search, take
from internlm_setup.fetch.reuse.places import NoSuchPlace, Place, expand, named, places
from internlm_setup.fetch.reuse.take import LEAST_LINKED_BYTES
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.transfer.errors import NoSpace
from internlm_setup.fetch.transfer.manifest import Entry, Manifest, write_manifest
from internlm_setup.fetch.transfer.plan import Content, Source
from internlm_setup.fetch.transfer.store import Store
from internlm_setup.fetch.world import local_models

DATA = b"the wanted bytes"
OTHER = b"others as long.."
LARGE = os.urandom(1 << 20) + bytes(LEAST_LINKED_BYTES)  # ends in zeros, which a copy leaves out
ONE = Source("one", lambda: Location("http://one.test/a", "http://one.test:80"))
posix = pytest.mark.skipif(os.name == "nt", reason="no owners and modes there")


def content(data: bytes, *paths: str) -> Content:
    """What is missing, as a hub with sha256 lists it."""
    return Content(sha256(data), len(data), sha256(data), None, paths or ("a.bin",), (ONE,))


def put(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o644)
    return path


def looked(top: Path, wanted: Content, leave_out: Path = Path("/nowhere")) -> list[Found]:
    return list(search([wanted], [Place(top)], leave_out).get(wanted.key, ()))


@dataclass
class Run:
    """A destination that takes what was found."""

    folder: Path
    entries: list[Entry] = field(default_factory=list)
    told: list[events.Event] = field(default_factory=list)

    def take(self, contents: list[Content], found: Mapping[str, list[Found]], *, copy: bool = False) -> Taken:
        store = Store(self.folder)
        with store.locked():
            return take(contents, found, store, copy=copy, tell=self.told.append, finished=self.entries.append)

    @property
    def waiting(self) -> list[Path]:
        return list((self.folder / ".internlm-setup" / "partial").iterdir())


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "to")


def file(path: Path, **known: object) -> Found:
    return Found(path, path.name, path.stat().st_size, **{"shared": False, **known})  # type: ignore[arg-type]


# ------------------------------------------------------------------ looking


def test_only_the_size_counts_and_the_name_orders(tmp_path: Path) -> None:
    """Any file of the right size may be it, in any folder; one of the same name is looked at first."""
    put(tmp_path / "x" / "renamed", OTHER)
    named = put(tmp_path / "y" / "a.bin", DATA)
    put(tmp_path / "y" / "short", b"short")
    assert [f.path for f in looked(tmp_path, content(DATA))] == [named, tmp_path / "x" / "renamed"]


def test_a_blob_says_what_it_is(tmp_path: Path) -> None:
    """A file that is named by another hash is not read at all; one named by the wanted one comes first, once."""
    put(tmp_path / "blobs" / sha256(OTHER), OTHER)
    right = put(tmp_path / "blobs" / sha256(DATA), DATA)
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "snapshots" / "a.bin").symlink_to(right)
    put(tmp_path / "a.bin", DATA)
    assert [f.path for f in looked(tmp_path, content(DATA))] == [right, tmp_path / "a.bin"]
    by_git = put(tmp_path / "blobs" / git_sha1(DATA), DATA)  # which does not speak against a sha256
    assert [f.path for f in looked(tmp_path, content(DATA))] == [right, tmp_path / "a.bin", by_git]


def test_a_record_of_ours_says_what_a_file_is(tmp_path: Path) -> None:
    """In a fetched folder the manifest decides, as long as the file is as recorded."""
    path = put(tmp_path / "model" / "a.bin", OTHER)
    entry = Entry("a.bin", len(OTHER), sha256(OTHER), None, path.stat().st_mtime_ns, "sha256", "one", "one")
    write_manifest(tmp_path / "model" / ".internlm-setup", Manifest("m", "one", "o/m", "main", None, (entry,)))
    assert looked(tmp_path, content(DATA)) == []
    assert [f.path for f in looked(tmp_path, content(OTHER))] == [path]
    os.utime(path, ns=(1, 1))  # somebody may have put the wanted bytes there
    assert [f.path for f in looked(tmp_path, content(DATA))] == [path]


def test_what_is_not_looked_at(tmp_path: Path) -> None:
    """Unfinished files, our own partials, git's objects, the destination, and contents that nothing could prove."""
    for name in ("a.bin.incomplete", ".internlm-setup/partial/x.bytes", ".git/a.bin", "to/a.bin"):
        put(tmp_path / name, DATA)
    assert looked(tmp_path, content(DATA), tmp_path / "to") == []
    put(tmp_path / "a.bin", DATA)
    unproved = Content("at-x", len(DATA), None, None, ("a.bin",), (ONE,))
    assert looked(tmp_path, unproved) == []


def test_linked_folders_are_searched_once(tmp_path: Path) -> None:
    """A link to a folder leads there; one to a folder around the place, to the destination or in a circle does not."""
    right = put(tmp_path / "elsewhere" / "model" / "a.bin", DATA)
    put(tmp_path / "to" / "a.bin", DATA)
    put(tmp_path / "beside", DATA)
    links = tmp_path / "links"
    links.mkdir()
    for name, target in {"model": right.parent, "again": right.parent, "up": tmp_path, "to": tmp_path / "to"}.items():
        (links / name).symlink_to(target)
    (right.parent / "circle").symlink_to(links)
    assert [f.path for f in looked(links, content(DATA), tmp_path / "to")] == [right]
    (tmp_path / "to").rename(tmp_path / "not-to")  # a destination that is not there yet
    assert [f.path for f in looked(links, content(DATA), tmp_path / "to")] == [right]


def test_who_owns_a_file_is_decided_where_it_lies(tmp_path: Path) -> None:
    """A link makes nothing one's own, of a file or a folder; a shared folder inside one's own stays shared."""
    share, cache, usb = (tmp_path / "home" / name for name in ("share", "cache", "usb"))
    files = [put(at / "a.bin", DATA) for at in (share / "m", cache / "m", tmp_path / "foreign", usb)]
    for at in (share, cache, tmp_path / "foreign"):
        (usb / f"to-{at.name}").symlink_to(at)
    (usb / "linked.bin").symlink_to(share / "m" / "a.bin")
    order = [Place(usb), Place(cache), Place(share, shared=True)]
    for given in (order, order[::-1], [*order, Place(tmp_path / "home")]):
        found = search([content(DATA)], given, Path("/nowhere"))[content(DATA).key]
        assert {f.path: f.shared for f in found} == dict(zip(files, (True, False, True, False), strict=True))


def test_places_in_order(tmp_path: Path) -> None:
    """What was named comes first, then shared folders, the vendors' caches and earlier fetches that are there."""
    home = tmp_path / "home"
    hub, scope = home / ".cache" / "huggingface" / "hub", home / ".cache" / "modelscope"
    for folder in (hub, scope, tmp_path / "usb", tmp_path / "share" / "new_models" / "org"):
        folder.mkdir(parents=True)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "fetches.json").write_text(f'{{"m": "{home}", "gone": "/gone"}}')
    found = places([tmp_path / "usb"], [f"{tmp_path}/share/new_models/*", "/gone"], tmp_path / "state", home, {})
    assert list(found) == [
        Place(tmp_path / "usb"),
        Place(tmp_path / "share" / "new_models" / "org", shared=True),
        Place(hub),
        Place(scope),
        Place(home),
    ]
    assert named([Path("usb")], tmp_path) == [tmp_path / "usb"]
    with pytest.raises(NoSuchPlace):
        named([Path("usb"), Path("gone")], tmp_path)


def test_the_folders_of_internstudio_are_known() -> None:
    """The shipped file names the folders that the tutorials copy from; where they are not, that costs nothing."""
    patterns = local_models(shipped_configs() / "local_models.yaml")
    assert {"/root/share/model_repos", "/root/share/temp/model_repos", "/root/share/new_models/*"} <= set(patterns)
    assert all(folder.is_dir() for folder in expand(patterns))


# ------------------------------------------------------------------ taking


def test_the_right_file_is_recorded_and_a_wrong_one_leaves_nothing(run: Run, tmp_path: Path) -> None:
    """Wrong bytes are passed over; the next candidate serves every path of the content; nothing waits afterwards."""
    wrong, right = put(tmp_path / "1", OTHER), put(tmp_path / "2", DATA)
    wanted = content(DATA, "a.bin", "sub/b.bin")
    taken = run.take([wanted], {wanted.key: [file(wrong), file(right)]})
    assert (taken.missing, taken.size_bytes) == ([], 2 * len(DATA))
    assert [(run.folder / p).read_bytes() for p in wanted.paths] == [DATA, DATA]
    assert [(e.path, e.sha256, e.proof, e.source) for e in run.entries] == [
        (p, sha256(DATA), "sha256", "disk") for p in wanted.paths
    ]
    assert run.waiting == []
    assert any(str(tmp_path) in e.text.en for e in run.told if isinstance(e, events.Noted))


def test_nothing_right_leaves_all_of_it_to_the_network(run: Run, tmp_path: Path) -> None:
    """A file that is wrong, gone or unreadable is no failure."""
    wanted = content(DATA)
    gone = Found(tmp_path / "gone", "gone", len(DATA), shared=False)
    taken = run.take([wanted], {wanted.key: [gone, file(put(tmp_path / "1", OTHER))]})
    assert (list(taken.missing), taken.size_bytes, run.entries, run.waiting) == ([wanted], 0, [], [])
    moved = sum(e.count_bytes for e in run.told if isinstance(e, events.Advanced))
    assert moved == 0  # what was hashed in vain is not counted


def test_git_hashes_prove_too(run: Run, tmp_path: Path) -> None:
    """What Hugging Face publishes no sha256 of is proved by git's hash."""
    wanted = Content("git-x", len(DATA), None, git_sha1(DATA), ("a.txt",), (ONE,))
    assert run.take([wanted], {"git-x": [file(put(tmp_path / "1", DATA))]}).missing == []
    assert run.entries[0].proof == "git-sha1"


@posix
def test_a_large_file_of_ones_own_is_linked(run: Run, tmp_path: Path) -> None:
    """Nothing is written for it; `--copy` makes a file of its own, with the same holes."""
    source, wanted = put(tmp_path / "1", LARGE), content(LARGE)
    run.take([wanted], {wanted.key: [file(source)]})
    if not _clones(tmp_path):
        assert (run.folder / "a.bin").samefile(source)
    again = Run(tmp_path / "copied")
    again.take([wanted], {wanted.key: [file(source)]}, copy=True)
    copied = again.folder / "a.bin"
    assert not copied.samefile(source)
    assert copied.read_bytes() == LARGE
    assert copied.stat().st_blocks * 512 < 4 << 20


@posix
@pytest.mark.parametrize("why", ["shared", "small", "others may write"])
def test_what_others_may_write_in_place_is_never_linked(run: Run, tmp_path: Path, why: str) -> None:
    """A shared folder's file, one that anybody may write, and a small one that people edit are copied."""
    data = DATA if why == "small" else LARGE
    source, wanted = put(tmp_path / "1", data), content(data)
    source.chmod(0o666 if why == "others may write" else 0o644)
    run.take([wanted], {wanted.key: [file(source, shared=why == "shared")]})
    placed = run.folder / "a.bin"
    assert placed.read_bytes() == data
    assert not placed.samefile(source)
    source.write_bytes(b"rewritten in place")
    assert placed.read_bytes() == data


@posix
def test_another_owners_file_is_never_linked(run: Run, tmp_path: Path) -> None:
    """Its owner may rewrite it at any time."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    source, wanted = put(tmp_path / "1", LARGE), content(LARGE)
    os.chown(source, 12345, 12345)
    run.take([wanted], {wanted.key: [file(source)]})
    assert not (run.folder / "a.bin").samefile(source)


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a second file system")
def test_another_file_system(run: Run, tmp_path: Path) -> None:
    """What cannot be linked over is copied."""
    if Path("/dev/shm").stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("it is the same one")
    source, wanted = put(Path(f"/dev/shm/internlm-setup-{os.getpid()}"), LARGE), content(LARGE)
    try:
        run.take([wanted], {wanted.key: [file(source)]})
        assert (run.folder / "a.bin").read_bytes() == LARGE
    finally:
        source.unlink()


def test_a_folder_of_another_model_is_left_after_its_first_wrong_file(run: Run, tmp_path: Path) -> None:
    """Base and chat models have shards of equal sizes and other bytes: not all of them are hashed to learn that."""
    data = os.urandom(8) + LARGE[8:]
    wrong = [put(tmp_path / "base" / name, LARGE) for name in ("a.bin", "b.bin")]
    wanted, right = content(data), put(tmp_path / "chat" / "a.bin", data)
    assert run.take([wanted], {wanted.key: [file(path) for path in (*wrong, right)]}).missing == []
    vain = sum(-e.count_bytes for e in run.told if isinstance(e, events.Advanced) and e.count_bytes < 0)
    assert vain == len(LARGE)


def test_renamed_files_of_one_size_are_told_apart(run: Run, tmp_path: Path) -> None:
    """No file is read again for a content that it is not known to be."""
    shards = [os.urandom(8) + LARGE[8:] for _ in range(4)]
    wanted = [content(data, f"{n}.bin") for n, data in enumerate(shards)]
    for n, data in enumerate(shards):
        put(tmp_path / "usb" / f"part-{n}", data)
    found = search(wanted, [Place(tmp_path / "usb")], run.folder)
    assert run.take(wanted, {key: list(files) for key, files in found.items()}).missing == []
    assert [(run.folder / f"{n}.bin").read_bytes() for n in range(4)] == shards
    read = sum(e.count_bytes for e in run.told if isinstance(e, events.Advanced) and e.count_bytes > 0)
    assert read <= (2 + cores()) * 4 * len(LARGE)


def test_no_room_for_a_copy(run: Run, tmp_path: Path) -> None:
    """A copy that cannot fit is refused before it is begun."""
    source = tmp_path / "huge"
    with source.open("wb") as made:
        made.truncate(1 << 42)
    wanted = Content("0" * 64, 1 << 42, "0" * 64, None, ("a.bin",), (ONE,))
    if _clones(tmp_path):
        pytest.skip("it would be cloned here")
    with pytest.raises(NoSpace):
        run.take([wanted], {wanted.key: [file(source)]}, copy=True)
    assert run.waiting == []


def _clones(folder: Path) -> bool:
    """Whether this file system clones, asked of coreutils."""
    put(folder / "clone-me", b"x" * 4096)
    words = ["cp", "--reflink=always", str(folder / "clone-me"), str(folder / "cloned")]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0
