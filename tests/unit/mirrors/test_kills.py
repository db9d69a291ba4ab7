"""Killed with `kill -9` before and after every step that touches the disk: old files or new, and a journal that knows.

The child counts its own steps: audit events of the interpreter (open, rename, remove, …), and calls that write, sync
and close, before and after. At the one it was told it kills itself, so that nothing of ours knows of the test.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Collection, Iterator
from itertools import count
from pathlib import Path
from types import FrameType

import filelock  # noqa: F401  # not while steps are counted
import pytest

from internlm_setup.mirrors.journal import Journal
from internlm_setup.mirrors.model import Change
from writes import Tree, change, forked, lines_of, tree, write

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork"),
    pytest.mark.timeout(240),
]
STRIDE = 1 if os.environ.get("INTERNLM_SETUP_FULL") == "1" else 4
EVENTS = {"open", "shutil.copystat"} | {
    f"os.{name}" for name in ("chmod", "chown", "link", "mkdir", "remove", "rename", "rmdir", "truncate", "utime")
}
CALLS = {"write", "fsync", "truncate", "replace", "close", "unlink", "mkdir", "rmdir", "flush"}
OLD = b"# mine\nindex = old\nhost = h\n"
SHORT = b"index = x\n"
NEW = OLD.replace(b"old", b"a-new-and-longer-one")


class Killer:
    """Strikes at one of this process's steps."""

    def __init__(self, at: int, steps: Collection[str], strike: Callable[[], object]) -> None:
        self.left = at
        self.strike = strike
        self.steps = steps
        sys.addaudithook(lambda event, _: self.step() if event in steps else None)
        sys.setprofile(self.profile)

    def profile(self, _: FrameType, event: str, what: object) -> None:
        """See `sys.setprofile`."""
        if event in ("c_call", "c_return") and getattr(what, "__name__", "") in self.steps:
            self.step()

    def step(self) -> None:
        """Count down."""
        self.left -= 1
        if not self.left:
            self.strike()


def kill() -> None:
    """End this process at once."""
    os.kill(os.getpid(), signal.SIGKILL)


def interrupt() -> None:
    """Do as Ctrl-C does."""
    raise KeyboardInterrupt


def killed_at(step: int, work: Callable[[], object], steps: Collection[str] = EVENTS | CALLS) -> bool:
    """Do something in a child that is killed at a step; return False when it ended before."""

    def until() -> None:
        killer = Killer(step, steps, kill)
        work()
        killer.left = -1

    code = forked(until)()
    assert code in (0, -signal.SIGKILL)
    return code != 0


class Home:
    """Files of every kind, and the changes that one run makes to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "home"
        self.journal = Journal(folder / "state")
        (self.folder / "dotfiles").mkdir(parents=True)
        for name in ("plain", "dotfiles/condarc", "grows", "shrinks", "goes"):
            (self.folder / name).write_bytes(OLD)
        (self.folder / "plain").chmod(0o640)
        (self.folder / "link").symlink_to("dotfiles/condarc")
        for name in ("grows", "shrinks"):
            os.link(self.folder / name, self.folder / f"{name}-twin")
        after = {
            "plain": NEW,
            "link": NEW,
            "grows": NEW * 400,
            "shrinks": SHORT,
            "goes": None,
            "new/er/file": NEW,
        }
        self.changes = [change(self.folder / name, data, "index") for name, data in after.items()]
        self.before = tree(self.folder)
        self.names = {*self.before, "new", "new/er", "new/er/file"}

    def write(self) -> str | None:
        """Make the changes."""
        return write(self.journal, *self.changes)

    def undo(self) -> object:
        """Take the newest back."""
        return self.journal.undo(None, lines_of)

    def after(self) -> Tree:
        """Return what a whole run leaves, made in another place."""
        other = Home(self.folder.parent / "other")
        other.write()
        return tree(other.folder)

    def check_no_file_is_torn(self) -> None:
        """Each is the old one or the new one; where it was about to be cut in place, with blank lines at its end."""
        for one in self.changes:
            now, whole = read(one.path), [one.before, one.after]
            if one.path.name in ("grows", "shrinks") and now not in whole:
                now, whole = (now or b"").rstrip(), [(data or b"").rstrip() for data in whole]
            assert now in whole

    def written(self) -> list[Change]:
        """Return what is in force, each exactly; this is where the journal looks after a killed run."""
        known = [file.path for record in self.journal.records() if not record.undone for file in record.files]
        for one in self.changes:
            assert read(one.path) in (one.before, one.after)
        assert {*tree(self.folder)} <= self.names  # no temporary file is left
        return [one for one in self.changes if one.path in known]


def read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def homes(tmp_path: Path) -> Iterator[tuple[int, Home]]:
    """Yield steps, in the full run every one, and a fresh home for each, without end."""
    for step in count(1, STRIDE):
        yield step, Home(tmp_path / str(step))


def test_a_write_is_killed_at_every_step(tmp_path: Path) -> None:
    """The journal knows which files are new, an undo brings back all that was there, and the run can be repeated."""
    seen: set[int] = set()
    for step, home in homes(tmp_path):
        if not killed_at(step, home.write):
            break
        home.check_no_file_is_torn()
        written = home.written()
        assert written == [one for one in home.changes if read(one.path) == one.after]
        seen.add(len(written))
        home.undo()
        assert tree(home.folder) == home.before
        home.write()
        assert home.written() == home.changes
    assert step > 100
    assert {0, 6} < seen


def test_an_undo_is_killed_at_every_step(tmp_path: Path) -> None:
    """Asked again, it brings back the rest; the record is undone once all of it is."""
    for step, home in homes(tmp_path):
        home.write()
        if not killed_at(step, home.undo):
            break
        home.check_no_file_is_torn()
        home.written()
        home.undo()
        assert tree(home.folder) == home.before
        assert [record.undone for record in home.journal.records()] == [True]
    assert step > 100


def test_the_looking_after_is_killed_too(tmp_path: Path) -> None:
    """A run is killed half-way, and the next one at every step of clearing up."""
    for step, home in homes(tmp_path):
        assert killed_at(1, home.write, {"os.remove"})  # four files are written, the temporary one of the last waits
        if not killed_at(step, home.journal.records):
            break
        home.check_no_file_is_torn()
        assert home.written() == [one for one in home.changes if read(one.path) == one.after]
        home.undo()
        assert tree(home.folder) == home.before
    assert step > 10


def interrupted_at(step: int, work: Callable[[], object]) -> bool:
    """Do something in a child that is interrupted at a step; return False when it ended before."""

    def until() -> None:
        killer = Killer(step, EVENTS, interrupt)
        try:
            work()
        except KeyboardInterrupt:
            os._exit(3)
        killer.left = -1

    code = forked(until)()
    assert code in (0, 3)
    return code != 0


def test_an_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    """Ctrl-C at any step: the run has time to put back what it wrote, temporary files and new folders too."""
    for step, home in homes(tmp_path):
        if not interrupted_at(step, home.write):
            break
        assert tree(home.folder) in (home.before, home.after())
        home.written()
    assert step > 20


def killed_before_the_cut(step: int, home: Home) -> bool:
    """Kill a write at a cut; return whether the file that shrinks was about to be cut."""
    assert killed_at(step, home.write, {"truncate"})
    return (home.folder / "shrinks").read_bytes() not in (OLD, SHORT)


def test_a_file_torn_in_place_is_mended(tmp_path: Path) -> None:
    """What a kill inside one call of the system leaves: the start of the new bytes, then the end of the old."""
    home = next(home for step in count(1) if killed_before_the_cut(step, home := Home(tmp_path / str(step))))
    journal = home.folder.parent / "state" / "journal.jsonl"
    torn = (home.folder / "shrinks").read_bytes()
    noted = journal.read_bytes()
    for cut in range(1, len(torn)):
        (home.folder / "shrinks").write_bytes(torn[:cut] + OLD[cut:])
        journal.write_bytes(noted)
        home.journal.records()
        assert (home.folder / "shrinks").read_bytes() in (OLD, SHORT)
    home.written()
    home.undo()
    assert tree(home.folder) == home.before
