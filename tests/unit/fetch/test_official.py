"""Nothing that a vendor's downloader does is believed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from fakes import OFFLINE, FakeHub, StillClock, listed, snapshot_of
from internlm_setup.core.child import Failed, Stalled
from internlm_setup.core.errors import SetupError
from internlm_setup.core.files import CannotWrite
from internlm_setup.core.text import Text
from internlm_setup.fetch import engines
from internlm_setup.fetch.engine_errors import NoDownloader, NoRateLimit, UnknownEngine
from internlm_setup.fetch.engines.official import Official
from internlm_setup.fetch.hubs import huggingface
from internlm_setup.fetch.model import Downloading, Location, RemoteFile, Snapshot
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.transfer.errors import (
    FileInTheWay,
    FileRefused,
    HashMismatch,
    SizeMismatch,
    TransferFailed,
)
from internlm_setup.fetch.transfer.manifest import Entry
from internlm_setup.fetch.transfer.options import Outcome
from internlm_setup.fetch.transfer.plan import Source
from internlm_setup.fetch.transfer.store import Store

A, B = listed("a.bin", b"aaaa"), listed("deep/b.bin", b"bb")
BYTES = {A.path: b"aaaa", B.path: b"bb"}


def put(to: Path, path: str, data: bytes) -> None:
    (to / path).parent.mkdir(parents=True, exist_ok=True)
    (to / path).write_bytes(data)


@dataclass
class Vendor(FakeHub):
    """A hub whose downloader does what `acts` says, one after the other, the last for ever."""

    acts: Sequence[Callable[[Path, list[str]], object]] = ()
    calls: list[list[str]] = field(default_factory=list)

    def download(self, snapshot: Snapshot, files: Sequence[RemoteFile], to: Path, events: Downloading) -> None:
        assert snapshot.repo == "lab/model"
        self.calls.append([f.path for f in files])
        events.note(Text(en="here I am", zh="我来了"))
        events.grown(6)
        self.acts[min(len(self.calls), len(self.acts)) - 1](to, self.calls[-1])


def well(to: Path, paths: list[str]) -> None:
    for path in paths:
        put(to, path, BYTES[path])


def test_chosen_by_itself_where_only_it_can_serve() -> None:
    """A hub that gives a file to its own downloader alone is no source for anybody else, and the last resort."""
    hub, held = FakeHub(), snapshot_of(A, replace(B, vendor_only=True))
    other = Source("two", lambda: Location("http://two.test/b", "http://two.test:80"))
    easy, hard = engines.contents(held, held.files, [(hub, held)])
    assert [(e.id, part) for e, part in engines.parts("native", [easy, hard])] == [
        ("native", [easy]),
        ("official", [hard]),
    ]
    elsewhere = replace(hard, sources=(*hard.sources, other))
    assert engines.parts("native", [elsewhere])[0][1] == [replace(hard, sources=(other,))]
    assert [(e.id, part) for e, part in engines.parts("official", [easy, hard])] == [("official", [easy, hard])]


@pytest.mark.parametrize(
    ("size", "xet", "alone"),
    [
        (50 * 1000**3 + 1, {"xetHash": "0" * 64}, True),
        (50 * 1000**3, {"xetHash": "0" * 64}, False),
        (1 << 40, {}, False),
    ],
)
def test_what_hugging_face_gives_to_its_own_downloader_alone(size: int, xet: dict[str, str], alone: bool) -> None:
    """A file above 50 GB that is stored over Xet; a mirror without Xet serves all it has over HTTP."""
    entry = {"type": "file", "path": "a.bin", "size": 134, "oid": "1" * 40, "lfs": {"oid": "0" * 64, "size": size}}
    assert huggingface._remote_file({**entry, **xet}).vendor_only is alone


def failing(error: Exception) -> Callable[[Path, list[str]], object]:
    def act(to: Path, paths: list[str]) -> None:
        put(to, paths[0], BYTES[paths[0]])
        raise error

    return act


@dataclass
class Bench:
    """A destination, and what was told and recorded there."""

    store: Store
    told: list[events.Event] = field(default_factory=list)
    recorded: list[Entry] = field(default_factory=list)

    def run(self, hub: Vendor, *files: RemoteFile) -> list[Outcome]:
        snapshot = snapshot_of(*files)
        work = engines.Work(
            hub=hub,
            snapshot=snapshot,
            contents=engines.contents(snapshot, files, [(hub, snapshot)]),
            store=self.store,
            network=OFFLINE,
            clock=StillClock(),
            jobs=1,
            limit_rate_bytes_per_s=None,
            tell=self.told.append,
            finished=self.recorded.append,
        )
        return Official.carry(work)[0]

    def errors(self, hub: Vendor, *files: RemoteFile) -> list[SetupError | None]:
        return [outcome.error for outcome in self.run(hub, *files)]

    @property
    def staging(self) -> Path:
        return self.store.state / "official" / "one"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    store = Store(tmp_path / "model")
    store.state.mkdir(parents=True)
    return Bench(store)


def test_all_is_well(bench: Bench) -> None:
    assert bench.errors(Vendor(acts=[well]), A, B) == [None, None]
    assert [(e.path, e.proof, e.proof_from, e.source) for e in bench.recorded] == [
        (A.path, "sha256", "one", "one"),
        (B.path, "sha256", "one", "one"),
    ]
    assert {p: (bench.store.folder / p).read_bytes() for p in BYTES} == BYTES
    engines.tidy(bench.store)
    assert not bench.staging.parent.exists()
    assert events.Noted(Text(en="here I am", zh="我来了")) in bench.told
    assert events.Advanced("lab/model", 6) in bench.told


def test_equal_files_are_downloaded_once(bench: Bench) -> None:
    twin = listed("twin.bin", b"aaaa")
    hub = Vendor(acts=[well])
    assert bench.errors(hub, A, twin) == [None]
    assert hub.calls == [[A.path]]
    assert (bench.store.folder / "twin.bin").read_bytes() == b"aaaa"


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda _to, _paths: None, TransferFailed),
        (lambda to, _paths: put(to, A.path, b"abaa"), HashMismatch),
        (lambda to, _paths: put(to, A.path, b"aaa"), SizeMismatch),
        (lambda to, _paths: (to / A.path).symlink_to("/dev/null"), TransferFailed),
    ],
)
def test_success_that_is_none(bench: Bench, act: Any, error: type[SetupError]) -> None:
    """It leaves the file out, or hands over other bytes, or too few, or a link."""
    assert [type(e) for e in bench.errors(Vendor(acts=[act]), A)] == [error]
    assert not (bench.staging / A.path).is_file()
    assert not (bench.store.folder / A.path).exists()
    assert [type(e) for e in bench.told].count(events.FileFailed) == 1


def test_a_link_to_the_right_bytes_elsewhere_is_not_taken(bench: Bench, tmp_path: Path) -> None:
    put(tmp_path / "elsewhere", "b.bin", b"bb")
    (error,) = bench.errors(Vendor(acts=[lambda to, _: (to / "deep").symlink_to(tmp_path / "elsewhere")]), B)
    assert isinstance(error, TransferFailed)
    assert (tmp_path / "elsewhere" / "b.bin").read_bytes() == b"bb"


def test_corrupt_files_are_asked_for_once_more(bench: Bench) -> None:
    def spoil(to: Path, paths: list[str]) -> None:
        well(to, paths)
        put(to, A.path, b"abaa")

    hub = Vendor(acts=[spoil, well])
    assert bench.errors(hub, A, B) == [None, None]
    assert hub.calls == [[A.path, B.path], [A.path]]


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (Failed("ConnectionError: gone"), TransferFailed),
        (Failed("HTTPError: no", status=403), FileRefused),
        (Failed("OSError: full", errno=28), CannotWrite),
        (Stalled(60), TransferFailed),
    ],
)
def test_its_failures_are_ours_and_what_came_is_kept(bench: Bench, raised: Exception, error: type[SetupError]) -> None:
    first, second = bench.errors(Vendor(acts=[failing(raised)]), A, B)
    assert first is None
    assert (bench.store.folder / A.path).read_bytes() == b"aaaa"
    assert type(second) is error
    assert [type(e) for e in bench.told].count(events.FileFailed) == 0


def test_its_words_are_told(bench: Bench) -> None:
    (_, error) = bench.errors(Vendor(acts=[failing(Failed("ConnectionError: gone"))]), A, B)
    assert error is not None
    assert "its own downloader says: ConnectionError: gone" in error.message("en")


def test_whole_files_of_a_stopped_run_are_used(bench: Bench) -> None:
    put(bench.staging, A.path, b"aaaa")
    hub = Vendor(acts=[well])
    assert bench.errors(hub, A, B) == [None, None]
    assert hub.calls == [[B.path]]


def test_leftovers_that_nothing_can_prove_are_not_used(bench: Bench) -> None:
    put(bench.staging, "c.bin", b"cccc")
    unproved = RemoteFile("c.bin", 4)
    assert [type(e) for e in bench.errors(Vendor(acts=[lambda _to, _paths: None]), unproved)] == [TransferFailed]


def test_leftovers_count_as_present(bench: Bench) -> None:
    """Space for them is taken already."""
    put(bench.staging, A.path + ".incomplete", b"aaa")
    put(bench.staging, ".cache/notes", b"not of the model")
    assert (
        Official.present_bytes(
            bench.store, FakeHub(), engines.contents(snapshot_of(A), [A], [(FakeHub(), snapshot_of(A))])
        )
        == 3
    )


def test_a_link_in_the_place_of_our_folder(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    bench.staging.parent.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileInTheWay):
        bench.run(Vendor(acts=[well]), A)


def test_what_it_cannot_do_is_said_first() -> None:
    with pytest.raises(NoDownloader, match="Hub One has no downloader of its own") as caught:
        Official.check(FakeHub(), None)
    assert int(caught.value.exit_code) == 2
    with pytest.raises(NoRateLimit):
        Official.check(Vendor(), 1 << 20)
    Official.check(Vendor(), None)


def test_an_unknown_engine() -> None:
    with pytest.raises(UnknownEngine):
        engines.get("wget")
