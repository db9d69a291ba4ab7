"""Where bytes wait until they are verified, and the only way to their final name."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internlm_setup.core.errors import ExitCode, WriteError
from internlm_setup.core.files import CannotWrite
from internlm_setup.fetch.transfer.errors import DestinationBusy, FileInTheWay
from internlm_setup.fetch.transfer.store import Partial, Store

KEY = "ab" * 32
SIZE = 1000
WHOLE = bytes(n % 251 for n in range(SIZE))


def fill(partial: Partial, start: int, end: int) -> None:
    """Write and record a part of the content."""
    partial.write(start, WHOLE[start:end])
    partial.record(start, end)


def commit(store: Store, partial: Partial, path: str) -> None:
    """Give verified bytes their final name."""
    target = store.target(path)
    store.place(partial.seal(), target)
    partial.forget_journal(target.parent)


def put(store: Store, path: str, data: bytes) -> None:
    """Do the same with a small file."""
    store.place(store.write_small(data), store.target(path))


def visible(folder: Path) -> list[str]:
    """Return what a person sees in the folder."""
    return sorted(p.name for p in folder.iterdir() if p.name != ".internlm-setup")


def waiting(store: Store) -> list[str]:
    """Return what waits in the partial folder."""
    return sorted(p.name for p in (store.state / "partial").iterdir())


@given(st.lists(st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)).map(sorted), max_size=6), st.integers(0, 5))
def test_resumed(tmp_path_factory: pytest.TempPathFactory, spans: list[list[int]], stop_after: int) -> None:
    """In whatever order pieces came and wherever a run was killed, filling the holes gives the whole."""
    store = Store(tmp_path_factory.mktemp("here"))
    first = store.partial(KEY, SIZE)
    for start, end in spans[:stop_after]:
        fill(first, start, end)
    seen = store.present_bytes(KEY, SIZE)
    first.close()
    second = store.partial(KEY, SIZE)
    assert second.present_bytes == first.present_bytes == seen
    for start, end in second.holes(0, SIZE):
        fill(second, start, end)
    assert (second.present_bytes, second.prefix_bytes) == (SIZE, SIZE)
    commit(store, second, "model.bin")
    assert (store.folder / "model.bin").read_bytes() == WHOLE


def test_nothing_partial_is_visible(tmp_path: Path) -> None:
    """Until the commit there is nothing under the final name; after it nothing waits."""
    store = Store(tmp_path)
    partial = store.partial(KEY, SIZE)
    fill(partial, 0, SIZE)
    assert visible(tmp_path) == []
    commit(store, partial, "sub/model.bin")
    assert (tmp_path / "sub" / "model.bin").read_bytes() == WHOLE
    assert waiting(store) == []
    store.tidy()
    assert not (store.state / "partial").exists()


def test_written_but_not_recorded(tmp_path: Path) -> None:
    """Bytes count once they are recorded, not before."""
    partial = Store(tmp_path).partial(KEY, SIZE)
    partial.write(0, WHOLE)
    assert (partial.present_bytes, partial.holes(0, SIZE)) == (0, [(0, SIZE)])
    partial.close()


def test_discarded(tmp_path: Path) -> None:
    """Bytes that were not what was promised are forgotten for good."""
    store = Store(tmp_path)
    partial = store.partial(KEY, SIZE)
    fill(partial, 0, SIZE)
    partial.discard()
    assert waiting(store) == []
    assert store.partial(KEY, SIZE).present_bytes == 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / f"{KEY}.bytes").unlink(),
        lambda folder: (folder / f"{KEY}.pieces").unlink(),
        lambda folder: (folder / f"{KEY}.pieces").write_bytes(b"rubbish"),
        lambda folder: os.truncate(folder / f"{KEY}.bytes", SIZE // 2),
        lambda folder: os.truncate(folder / f"{KEY}.bytes", SIZE * 2),
        lambda folder: os.truncate(folder / f"{KEY}.bytes", 0),
    ],
)
def test_one_without_the_other(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    """Bytes without their journal, or a journal without its bytes or with a file of another length, are nothing."""
    store = Store(tmp_path)
    partial = store.partial(KEY, SIZE)
    fill(partial, 0, SIZE)
    partial.close()
    damage(store.state / "partial")
    assert store.present_bytes(KEY, SIZE) == 0
    again = store.partial(KEY, SIZE)
    assert (again.present_bytes, again.path.stat().st_size) == (0, SIZE)
    again.close()


def test_another_size_is_another_content(tmp_path: Path) -> None:
    """What was left for one size is not taken for another."""
    store = Store(tmp_path)
    first = store.partial(KEY, SIZE)
    fill(first, 0, SIZE)
    first.close()
    assert store.present_bytes(KEY, SIZE + 1) == 0
    assert store.partial(KEY, SIZE + 1).present_bytes == 0


def test_unknown_size_starts_anew(tmp_path: Path) -> None:
    """Without a size nothing can be resumed, and nothing of a longer body stays at the end."""
    store = Store(tmp_path)
    first = store.partial(KEY, None)
    fill(first, 0, SIZE)
    first.close()
    assert store.present_bytes(KEY, None) == 0
    second = store.partial(KEY, None)
    assert second.present_bytes == 0
    fill(second, 0, 10)
    commit(store, second, "short.bin")
    assert (tmp_path / "short.bin").read_bytes() == WHOLE[:10]


def test_several_writers(tmp_path: Path) -> None:
    """Threads that write different parts at once do not disturb each other."""
    partial = Store(tmp_path).partial(KEY, SIZE)
    parts = [threading.Thread(target=fill, args=(partial, at, at + 50)) for at in range(0, SIZE, 50)]
    for part in parts:
        part.start()
    for part in parts:
        part.join()
    assert partial.present_bytes == SIZE
    assert partial.path.read_bytes() == WHOLE
    partial.close()


def test_late_workers(tmp_path: Path) -> None:
    """After the files were closed a late worker's bytes are refused and its record is dropped; no other file is hit."""
    store = Store(tmp_path)
    partial = store.partial(KEY, SIZE)
    fill(partial, 0, 100)
    partial.close()
    partial.close()
    others = [os.open(tmp_path / f"other{n}", os.O_RDWR | os.O_CREAT) for n in range(4)]
    partial.record(100, 200)
    partial.checkpoint()
    with pytest.raises(CannotWrite):
        partial.write(100, b"late")
    for fd in others:
        os.close(fd)
    assert [(tmp_path / f"other{n}").stat().st_size for n in range(4)] == [0] * 4
    assert store.partial(KEY, SIZE).present_bytes == 100


def test_one_run_at_a_time(tmp_path: Path) -> None:
    """A second run on one destination is refused with its name; afterwards the place is free again."""
    with Store(tmp_path).locked():
        with pytest.raises(DestinationBusy) as caught, Store(tmp_path).locked():
            raise AssertionError("both have it")
        assert (caught.value.folder, caught.value.exit_code) == (str(tmp_path), ExitCode.WRITE)
    with Store(tmp_path).locked():
        assert visible(tmp_path) == []


def test_the_lock_goes_with_a_failure(tmp_path: Path) -> None:
    """A run that fails lets go of its destination."""
    with pytest.raises(KeyError), Store(tmp_path).locked():
        raise KeyError
    with Store(tmp_path).locked():
        pass


def test_a_file_where_the_destination_should_be(tmp_path: Path) -> None:
    """A destination that is a file is named, not overwritten."""
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(CannotWrite), Store(tmp_path / "file").locked():
        pass
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_link_that_leads_elsewhere(tmp_path: Path) -> None:
    """A symbolic link below the destination is not followed out of it, and nothing is made behind it."""
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir()
    elsewhere.mkdir()
    (here / "sub").symlink_to(elsewhere)
    for path in ("sub/model.bin", "sub/deeper/still/model.bin"):
        with pytest.raises(FileInTheWay) as caught:
            Store(here).target(path)
        assert caught.value.path.startswith(str(here / "sub"))
    assert list(elsewhere.iterdir()) == []


def test_links_in_a_circle(tmp_path: Path) -> None:
    """A link that leads to itself cannot be written through, whichever Python looks at it."""
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(WriteError):
        Store(tmp_path).target("loop/model.bin")


def test_link_that_stays_inside(tmp_path: Path) -> None:
    """A destination reached through a link, and a link inside it, are fine."""
    (tmp_path / "real" / "a").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "b").symlink_to(tmp_path / "real" / "a")
    store = Store(tmp_path / "link")
    put(store, "b/file", b"x")
    assert (tmp_path / "real" / "a" / "file").read_bytes() == b"x"


def test_link_under_the_final_name(tmp_path: Path) -> None:
    """A link where a file goes is itself replaced; what it pointed at is left alone."""
    (tmp_path / "mine").write_bytes(b"mine")
    store = Store(tmp_path / "here")
    store.folder.mkdir()
    (store.folder / "file").symlink_to(tmp_path / "mine")
    put(store, "file", b"new")
    assert (tmp_path / "mine").read_bytes() == b"mine"
    assert not (store.folder / "file").is_symlink()


@pytest.mark.parametrize("path", ["file/below", "file/below/deeper"])
def test_file_where_a_folder_is_needed(tmp_path: Path, path: str) -> None:
    """A file on the way down is named."""
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(CannotWrite, match="a file is where a folder is needed"):
        put(Store(tmp_path), path, b"x")
    assert (tmp_path / "file").read_bytes() == b"mine"


def test_folder_where_a_file_is_needed(tmp_path: Path) -> None:
    """A folder under the final name is named, and the verified bytes still wait."""
    store = Store(tmp_path)
    (tmp_path / "model.bin").mkdir()
    partial = store.partial(KEY, SIZE)
    fill(partial, 0, SIZE)
    with pytest.raises(CannotWrite, match="a folder is where a file is needed"):
        commit(store, partial, "model.bin")
    assert store.present_bytes(KEY, SIZE) == SIZE


def test_second_names(tmp_path: Path) -> None:
    """One content under two names is copied: a change to one does not reach the other."""
    store = Store(tmp_path)
    put(store, "a/one", b"content")
    store.place(store.copy_of("a/one"), store.target("b/two"))
    (tmp_path / "a" / "one").write_bytes(b"changed")
    assert (tmp_path / "b" / "two").read_bytes() == b"content"
    assert waiting(store) == []


def test_tidy_keeps_what_waits(tmp_path: Path) -> None:
    """The partial folder goes only when it is empty, and need not be there."""
    store = Store(tmp_path)
    store.tidy()
    store.partial(KEY, SIZE).close()
    store.tidy()
    assert waiting(store) == [f"{KEY}.bytes", f"{KEY}.pieces"]


def test_forgotten(tmp_path: Path) -> None:
    """What an earlier run left of a content can be dropped, and need not be there."""
    store = Store(tmp_path)
    store.forget(KEY)
    partial = store.partial(KEY, SIZE)
    fill(partial, 0, SIZE)
    partial.close()
    store.forget(KEY)
    assert (waiting(store), store.present_bytes(KEY, SIZE)) == ([], 0)


def test_killed_before_the_journal_went(tmp_path: Path) -> None:
    """A journal that outlived its bytes, which have their final name, vouches for nothing."""
    store = Store(tmp_path)
    partial = store.partial(KEY, SIZE)
    fill(partial, 0, SIZE)
    store.place(partial.seal(), store.target("model.bin"))
    assert waiting(store) == [f"{KEY}.pieces"]
    assert store.present_bytes(KEY, SIZE) == 0
    assert store.partial(KEY, SIZE).present_bytes == 0


@pytest.mark.parametrize("place", [".internlm-setup", ".internlm-setup/partial"])
def test_our_own_folder_is_no_link(tmp_path: Path, place: str) -> None:
    """A link where our own folder goes is refused: what waits there must stay below the destination."""
    elsewhere, here = tmp_path / "elsewhere", tmp_path / "here"
    elsewhere.mkdir()
    (here / place).parent.mkdir(parents=True)
    (here / place).symlink_to(elsewhere)
    with pytest.raises(FileInTheWay), Store(here).locked():
        pass
    assert list(elsewhere.iterdir()) == []


def test_link_under_a_partial_name(tmp_path: Path) -> None:
    """A link under the name of a waiting file is not followed."""
    (tmp_path / "mine").write_bytes(b"mine")
    store = Store(tmp_path / "here")
    (store.state / "partial").mkdir(parents=True)
    (store.state / "partial" / f"{KEY}.bytes").symlink_to(tmp_path / "mine")
    with pytest.raises(CannotWrite):
        store.partial(KEY, SIZE)
    small = store.state / "partial" / f"small-{threading.get_ident()}"
    small.symlink_to(tmp_path / "mine")
    put(store, "file", b"new")
    assert (tmp_path / "mine").read_bytes() == b"mine"


def test_dropped(tmp_path: Path) -> None:
    """A span that turned out wrong is missing again, also for the next run."""
    store = Store(tmp_path)
    partial = store.partial(KEY, SIZE)
    fill(partial, 0, SIZE)
    partial.drop(200, 300)
    assert (partial.holes(0, SIZE), partial.prefix_bytes) == ([(200, 300)], 200)
    fill(partial, 200, 250)
    partial.close()
    partial.drop(0, SIZE)  # too late: nothing happens
    assert store.partial(KEY, SIZE).holes(0, SIZE) == [(250, 300)]


def test_copied_from_another_file(tmp_path: Path) -> None:
    """Bytes come from the same place of a file, as many as it has."""
    (tmp_path / "old").write_bytes(WHOLE[:600])
    partial = Store(tmp_path).partial(KEY, SIZE)
    with (tmp_path / "old").open("rb", buffering=0) as source:
        assert [partial.copy_from(source, at, 300) for at in (100, 400, 600)] == [300, 200, 0]
    assert partial.holes(0, SIZE) == [(0, SIZE)]
    assert partial.path.read_bytes()[100:600] == WHOLE[100:600]


def test_copied_where_the_system_cannot(tmp_path: Path) -> None:
    """A file that the kernel does not copy from, such as those of /proc, is read."""
    source = Path("/proc/self/cmdline")
    if not source.exists():
        pytest.skip("no /proc here")
    partial = Store(tmp_path).partial(KEY, SIZE)
    with source.open("rb", buffering=0) as file:
        count = partial.copy_from(file, 0, SIZE)
    assert count > 0
    assert partial.path.read_bytes()[:count] == source.read_bytes()[:count]
