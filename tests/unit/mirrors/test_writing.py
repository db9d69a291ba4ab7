"""Replacing a file, or writing it in place: what is kept, what is refused, and that a failure leaves the old file."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import filelock
import pytest

from fakes import sha256
from internlm_setup.core.errors import ExitCode
from internlm_setup.core.files import REASONS, CannotWrite
from internlm_setup.mirrors.errors import FileChanged, JournalBusy
from internlm_setup.mirrors.journal import Journal
from internlm_setup.mirrors.model import Change
from internlm_setup.mirrors.writing import NOT_A_FILE, is_torn, overwrite
from servers import namespace
from writes import change, forked, lines_of, tree, write

resource = pytest.importorskip("resource", reason="POSIX file systems")
NOBODY = 65534
OLD, SHORT, LONG = b"a = 1\nb = 2\nc = 3\n", b"a = 9\n", b"a = 1\nb = 2\nc = 3\n" + b"d = 4\n" * 3000


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that an ordinary user may enter, even when root made it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def as_ordinary_user(folder: Path, work: Callable[[], object]) -> int:
    """Do something as one who owns the folder and is not root; return the exit code."""
    if os.geteuid() == 0:
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)

    return forked(lambda: dropped(work))()


def dropped(work: Callable[[], object]) -> None:
    """Stop being root, then do something; all modules are imported, for root's folders cannot be read any more."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    work()


@pytest.mark.parametrize("after", [SHORT, LONG], ids=["shorter", "longer"])
def test_a_hard_link_is_not_cut(home: Path, after: bytes) -> None:
    """Both names show the new bytes, and the old ones after the undo."""
    file, twin = home / "pip.conf", home / "twin"
    file.write_bytes(OLD)
    os.link(file, twin)
    journal = Journal(home / "state")
    write(journal, change(file, after))
    assert (file.read_bytes(), twin.read_bytes(), file.samefile(twin)) == (after, after, True)
    journal.undo(None, lines_of)
    assert (file.read_bytes(), file.samefile(twin)) == (OLD, True)


def test_a_folder_that_takes_no_new_file(home: Path) -> None:
    """The file in it is written all the same, in place; a new one there is refused."""
    folder = home / "shut"
    folder.mkdir()
    (folder / "pip.conf").write_bytes(OLD)

    def work() -> None:
        folder.chmod(0o555)
        journal = Journal(home / "state")
        inode = (folder / "pip.conf").stat().st_ino
        for after in (SHORT, LONG):
            write(journal, change(folder / "pip.conf", after))
            assert (folder / "pip.conf").read_bytes() == after
        assert (folder / "pip.conf").stat().st_ino == inode
        before = tree(folder)
        with pytest.raises(CannotWrite) as caught:
            write(journal, change(folder / "pip.conf", SHORT), change(folder / "new", b"a = 1\n"))
        assert (caught.value.path, caught.value.reason) == (str(folder / "new"), REASONS[errno.EACCES])
        assert tree(folder) == before
        for _ in range(2):
            journal.undo(None, lines_of)
        assert (folder / "pip.conf").read_bytes() == OLD

    assert as_ordinary_user(home, work) == 0


def test_what_may_not_be_written_or_read(home: Path) -> None:
    """A read-only file stays as it is though its folder could be written; exit code 73."""
    read_only, hidden, fine = home / "read-only", home / "hidden", home / "fine"
    for file in (read_only, hidden, fine):
        file.write_bytes(OLD)
    changes = {file: change(file, SHORT) for file in (read_only, hidden, fine)}

    def work() -> None:
        read_only.chmod(0o444)
        hidden.chmod(0o000)
        journal = Journal(home / "state")
        for file in (read_only, hidden):
            with pytest.raises(CannotWrite) as caught:
                write(journal, changes[fine], changes[file])
            assert (caught.value.path, caught.value.exit_code) == (str(file), ExitCode.WRITE)
            assert caught.value.reason == REASONS[errno.EACCES]
            assert (fine.read_bytes(), journal.records()) == (OLD, [])

    assert as_ordinary_user(home, work) == 0
    assert (read_only.read_bytes(), read_only.stat().st_mode & 0o777) == (OLD, 0o444)
    assert sorted(path.name for path in home.iterdir()) == ["fine", "hidden", "read-only", "state"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_the_owner_stays(home: Path) -> None:
    """Root who edits a user's file leaves it the user's."""
    file = home / "pip.conf"
    file.write_bytes(OLD)
    os.chown(file, NOBODY, NOBODY)
    file.chmod(0o604)
    write(Journal(home / "state"), change(file, SHORT))
    found = file.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (NOBODY, NOBODY, 0o604)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_a_file_of_somebody_else_stays_theirs(home: Path) -> None:
    """One may write another's file without being able to make it theirs again: so in place."""
    file = home / "shared.conf"
    file.write_bytes(OLD)

    def work() -> None:
        write(Journal(home / "state"), change(file, SHORT))

    as_ordinary_user(home, bool)
    os.chown(file, 0, 0)
    file.chmod(0o666)
    assert forked(lambda: dropped(work))() == 0
    assert (file.stat().st_uid, file.read_bytes()) == (0, SHORT)


def test_modes_of_new_files(home: Path) -> None:
    """The usual mode less the umask; for the owner alone where a password stands in it."""
    old = os.umask(0o027)
    try:
        write(
            Journal(home / "state"),
            change(home / "a", b"index = https://mirror.test:8443/simple\n"),
            change(home / "b", b"index = https://:token@mirror.test/simple\n"),
        )
    finally:
        os.umask(old)
    assert [(home / name).stat().st_mode & 0o777 for name in "ab"] == [0o640, 0o600]


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="Linux has these attributes")
def test_attributes_stay_and_times_move(home: Path) -> None:
    """What is kept about a file beside its mode is kept; that it was written shows."""
    file = home / "pip.conf"
    file.write_bytes(OLD)
    os.setxattr(file, "user.note", b"mine")
    os.utime(file, (1, 1))
    write(Journal(home / "state"), change(file, SHORT))
    assert os.getxattr(file, "user.note") == b"mine"
    assert file.stat().st_mtime > 1


def test_what_is_no_file(home: Path) -> None:
    """A device, a pipe and a folder are refused at once; a pipe is not waited for."""
    os.mkfifo(home / "pipe")
    (home / "folder").mkdir()
    (home / "null").symlink_to(os.devnull)
    for name in ("pipe", "folder", "null"):
        with pytest.raises(CannotWrite) as caught:
            write(Journal(home / "state"), blind(home / name))
        assert caught.value.reason is NOT_A_FILE
    assert not Path(os.devnull).is_file()


def blind(path: Path) -> Change:
    """Return a change that was made without a look."""
    return Change("pip", path, None, SHORT, ())


def test_links_in_a_circle(home: Path) -> None:
    """They lead nowhere, and that is said."""
    (home / "a").symlink_to("b")
    (home / "b").symlink_to("a")
    with pytest.raises(CannotWrite):
        write(Journal(home / "state"), blind(home / "a"))


def test_a_file_where_a_folder_is_needed(home: Path) -> None:
    """A way that leads through a file is refused, and nothing is made."""
    (home / ".config").write_bytes(b"x")
    before = tree(home)
    with pytest.raises(CannotWrite) as caught:
        write(Journal(home.parent / f"{home.name}-state"), blind(home / ".config" / "pip" / "pip.conf"))
    assert caught.value.reason is REASONS[errno.ENOTDIR]
    assert tree(home) == before


@pytest.mark.parametrize(("before", "after"), [(OLD, LONG), (LONG, SHORT), (OLD, OLD[:-2] + b"8\n")])
def test_every_torn_file_is_known_and_mended(home: Path, before: bytes, after: bytes) -> None:
    """Cut anywhere between the old and the new bytes, writing once more gives the new ones."""
    file = home / "pip.conf"
    padded = after.ljust(len(before), b"\n")
    for cut in {*range(0, len(padded), 97), *range(30), len(padded) - 1, len(padded)}:
        torn = padded[:cut] + before[cut:]
        assert is_torn(torn, before, after) == (torn not in (before, after))
        file.write_bytes(torn)
        overwrite(file, torn, after)
        assert file.read_bytes() == after
    assert not is_torn(before + b"# by hand\n", before, after)
    assert not is_torn(b"# by hand\n" + after, before, after)


def test_a_write_in_place_that_fails_is_taken_back(home: Path) -> None:
    """The system takes only a part: the old bytes are there again, and the other file of the run is as it was."""
    first, second, third = home / "first", home / "hard", home / "third"
    for file in (first, second):
        file.write_bytes(OLD)
    os.link(second, home / "twin")
    journal = Journal(home / "state")
    write(journal, change(third, LONG))  # so that a copy of it is kept already
    before = tree(home)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(CannotWrite) as caught:
            write(journal, change(first, SHORT), change(second, LONG))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (caught.value.path, caught.value.reason) == (str(second), REASONS[errno.EFBIG])
    after = tree(home)
    assert after.pop("state/journal.jsonl") != before.pop("state/journal.jsonl")
    assert {name for name in after if name not in before} == {
        f"state/copies/{sha256(SHORT)}",
        f"state/copies/{sha256(OLD)}",
    }
    assert {name: after[name] for name in before} == before
    assert [record.id for record in journal.records()] == ["1"]


def test_two_runs_at_once(home: Path) -> None:
    """One writes; the other waits for it, and then finds that its file was changed: nothing is torn or lost."""
    file, other = home / "pip.conf", home / ".condarc"
    file.write_bytes(OLD)
    journal = Journal(home / "state")
    for n in range(10):
        go, ready = os.pipe()
        changes = [[change(file, b"a = %d%d\n" % (n, who)), change(other, b"a = %d%d\n" % (n, who))] for who in (1, 2)]

        def run(mine: list[Change], start: int = go) -> None:
            os.read(start, 1)
            try:
                write(journal, *mine)
            except FileChanged:
                os._exit(3)

        waits = [forked(partial(run, mine)) for mine in changes]
        os.write(ready, b"go")
        codes = [wait() for wait in waits]
        os.close(go)
        os.close(ready)
        assert sorted(codes) == [0, 3]
        winner = changes[codes.index(0)]
        assert (file.read_bytes(), other.read_bytes()) == (winner[0].after, winner[1].after)
    assert len(journal.records()) == 10
    while journal.undo(None, lines_of):
        pass
    assert (file.read_bytes(), other.exists()) == (OLD, False)


def test_a_run_that_does_not_end(home: Path) -> None:
    """It is not waited for forever; exit code 73, nothing written."""
    (home / "state").mkdir()
    journal = Journal(home / "state", patience_s=0.05)
    with filelock.FileLock(home / "state" / "lock"), pytest.raises(JournalBusy) as caught:
        write(journal, change(home / "pip.conf", SHORT))
    assert caught.value.exit_code is ExitCode.WRITE
    assert not (home / "pip.conf").exists()


def test_a_state_folder_that_cannot_be_made(home: Path) -> None:
    """Without a journal nothing is written."""
    (home / "state").write_bytes(b"a file")
    with pytest.raises(CannotWrite):
        write(Journal(home / "state" / "mirrors"), change(home / "pip.conf", SHORT))
    assert not (home / "pip.conf").exists()


MOUNTED = """
import sys
from pathlib import Path
from internlm_setup.core.files import CannotWrite
from internlm_setup.mirrors.journal import Journal
from servers import namespace
from writes import change, lines_of, tree, write
here = Path(sys.argv[1])
journal = Journal(here / "state")
"""


def in_mounts(folder: Path, mounts: str, script: str) -> str:
    """Run a script where some things are mounted that end with it; return what it prints."""
    words = ["unshare", "--map-root-user", "--mount", "sh", "-ec", f'cd "$1"; {mounts}; exec "$2" -c "$3" "$1"', "sh"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    words += [str(folder), sys.executable, MOUNTED + script]
    done = subprocess.run(words, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


needs_mounts = pytest.mark.skipif(bool(namespace.missing()), reason="namespaces are not allowed here")


@needs_mounts
def test_a_file_that_is_a_mount(home: Path) -> None:
    """As in a container: it cannot be replaced, so it is written in place, and so is the undo."""
    (home / "outside").write_bytes(OLD)
    (home / "inside").write_bytes(b"")
    script = """
file = here / "inside"
for after in (b"a = 9\\n", b"a = 8\\n" * 2000):
    write(journal, change(file, after))
    assert file.read_bytes() == after == (here / "outside").read_bytes()
before = sorted(tree(here))
for _ in range(2):
    print(journal.undo(None, lines_of)[0].how)
assert sorted(tree(here)) == before
"""
    assert in_mounts(home, "mount --bind outside inside", script) == "exact\nexact\n"
    assert ((home / "outside").read_bytes(), (home / "inside").read_bytes()) == (OLD, b"")


@needs_mounts
def test_a_read_only_file_system(home: Path) -> None:
    """It is named as that."""
    (home / "shut").mkdir()
    (home / "shut" / "pip.conf").write_bytes(OLD)
    script = """
for name in ("pip.conf", "new/pip.conf"):
    try:
        write(journal, change(here / "shut" / name, b"a = 9"))
    except CannotWrite as error:
        print(error.reason.en)
"""
    said = in_mounts(home, "mount --bind shut shut; mount -o remount,bind,ro shut", script)
    assert said.split("\n")[:2] == [REASONS[errno.EROFS].en] * 2


@needs_mounts
def test_a_full_disk(home: Path) -> None:
    """Neither a replaced nor an overwritten file is lost when no block is left, and room is all it takes."""
    (home / "disk").mkdir()
    script = """
disk = here / "disk"
import os
(disk / "pip.conf").write_bytes(b"a = 1")
(disk / "hard").write_bytes(b"a = 1")
os.link(disk / "hard", disk / "twin")
changes = [[change(disk / name, b"a = 2" * 4000)] for name in ("pip.conf", "hard", "new/er")]
with (disk / "eaten").open("wb", buffering=0) as file:
    try:
        while True:
            file.write(bytes(4096))
    except OSError:
        pass
before = tree(disk)
for some in changes:
    try:
        write(journal, *some)
    except CannotWrite as error:
        print(error.reason.en)
    assert tree(disk) == before
(disk / "eaten").unlink()
for some in changes:
    write(journal, *some)
"""
    said = in_mounts(home, "mount -t tmpfs -o size=128k tmpfs disk", script)
    assert said == f"{REASONS[errno.ENOSPC].en}\n" * 3
