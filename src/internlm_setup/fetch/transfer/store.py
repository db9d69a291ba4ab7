"""Where bytes wait until they are verified: `DIR/.internlm-setup/`, partial files and their journals.

Nothing partial is ever visible under its final name; `Store.place` is the only way there.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from internlm_setup.core.files import sync_folder, writing
from internlm_setup.fetch.transfer.errors import DestinationBusy, FileInTheWay
from internlm_setup.fetch.transfer.journal import Journal, boot_id, decode
from internlm_setup.fetch.transfer.plan import STATE_FOLDER
from internlm_setup.fetch.transfer.spans import Span, Spans


class Partial:
    """One content being put together in a sparse file beside a journal.

    Safe for several threads: positioned writes, and a lock around the journal.
    """

    def __init__(self, folder: Path, key: str, size_bytes: int | None) -> None:
        """Open the partial file of this content, or begin one of its full length."""
        self.path = folder / f"{key}.bytes"
        self.size_bytes = size_bytes
        self._journal_path = folder / f"{key}.pieces"
        self._lock = threading.Lock()
        with writing(self.path):
            folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
            self._fd = os.open(self.path, flags, 0o644)
            if os.fstat(self._fd).st_size != (size_bytes or 0):  # new, or not as we left it: nothing is vouched for
                self._journal_path.unlink(missing_ok=True)
                os.ftruncate(self._fd, size_bytes or 0)
            self._journal = Journal(self._journal_path, f"{key}:{size_bytes}")
            if size_bytes is None:
                self._journal.spans = Spans()
        self._unsynced_bytes = self.present_bytes

    @property
    def present_bytes(self) -> int:
        """How many bytes are here."""
        with self._lock:
            return self._journal.spans.size_bytes

    @property
    def prefix_bytes(self) -> int:
        """How many bytes are here from the start without a hole."""
        with self._lock:
            return self._journal.spans.prefix_bytes

    def holes(self, start: int, end: int) -> list[Span]:
        """Return what is still missing between two offsets."""
        with self._lock:
            return self._journal.spans.holes(start, end)

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write bytes at an offset; they count only once `record` has been told."""
        view = memoryview(data)
        with writing(self.path):
            if hasattr(os, "pwrite"):
                while view:
                    count = os.pwrite(self._fd, view, offset)
                    view, offset = view[count:], offset + count
                return
            with self._lock:  # Windows has no positioned write
                os.lseek(self._fd, offset, os.SEEK_SET)
                while view:
                    view = view[os.write(self._fd, view) :]

    def record(self, start: int, end: int) -> None:
        """Note in the journal that these bytes were written; too late after `close`."""
        with self._lock, writing(self._journal_path):
            if self._fd >= 0:
                self._journal.record(start, end)
                self._unsynced_bytes += end - start

    @property
    def unsynced_bytes(self) -> int:
        """How many recorded bytes a power cut could still take."""
        return self._unsynced_bytes

    def drop(self, start: int, end: int) -> None:
        """Forget a span: its bytes turned out to be wrong."""
        with self._lock, writing(self._journal_path):
            if self._fd >= 0:
                self._journal.forget(start, end)

    def copy_from(self, source: BinaryIO, at: int, count: int) -> int:
        """Copy bytes to the same place from another file, sharing its blocks where the file system can.

        Returns:
            How many, which may be fewer; 0 behind that file's end. As with `write`, they count once recorded.
        """
        with suppress(OSError, AttributeError):  # not between these two file systems, or not on this system
            if copied := os.copy_file_range(source.fileno(), self._fd, count, at, at):
                return copied
        source.seek(at)
        block = source.read(count)
        self.write(at, block)
        return len(block)

    def checkpoint(self) -> None:
        """Make everything recorded so far survive a power cut; nothing is left to do after `close`.

        Others may write and record meanwhile: the disk is waited for without the lock.
        """
        with self._lock, writing(self.path):
            if self._fd < 0:
                return
            mark, self._unsynced_bytes = self._journal.mark(), 0
            fd = os.dup(self._fd)
        try:
            with writing(self.path):
                os.fsync(fd)
        finally:
            os.close(fd)
        with self._lock, writing(self.path):
            if self._fd >= 0:
                self._journal.checkpoint(mark)

    def close(self) -> None:
        """Let go of the files; what is recorded stays."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._journal.close()
                self._fd = -1

    def discard(self) -> None:
        """Forget the bytes: they were not what was promised."""
        self.close()
        with writing(self.path):
            self._journal_path.unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)

    def seal(self) -> Path:
        """Make the verified bytes durable and return the file, ready to be given its final name."""
        with writing(self.path):
            os.fsync(self._fd)
        self.close()
        return self.path

    def forget_journal(self, folder: Path) -> None:
        """Drop the journal of a file that has its final name in `folder`, once that survives a power cut."""
        with writing(self._journal_path):
            sync_folder(folder)
            self._journal_path.unlink(missing_ok=True)


class Store:
    """A destination folder and our state folder inside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / STATE_FOLDER
        self._partials = self.state / "partial"
        self._proven: set[Path] = set()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the destination for one run.

        Raises:
            DestinationBusy: Another run has it.
        """
        import filelock

        for ours in (self.state, self._partials):
            if ours.is_symlink():
                raise FileInTheWay(str(ours))
        with writing(self.state):
            self.state.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self.state / "lock")
        with writing(self.state / "lock"):
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout as error:  # an OSError too, so it must be caught first
                raise DestinationBusy(str(self.folder)) from error
        try:
            yield
        finally:
            lock.release()

    def partial(self, key: str, size_bytes: int | None) -> Partial:
        """Open or begin the partial file of a content."""
        return Partial(self._partials, key, size_bytes)

    def present_bytes(self, key: str, size_bytes: int | None) -> int:
        """How much of a content an earlier run left here; only looks, so it needs no lock."""
        partial, journal = self._partials / f"{key}.bytes", self._partials / f"{key}.pieces"
        if not partial.exists() or partial.stat().st_size != size_bytes or not journal.exists():
            return 0
        return decode(journal.read_bytes(), f"{key}:{size_bytes}", boot_id()).size_bytes

    def target(self, path: str) -> Path:
        """Return where a listed path lands, its folder made; each folder is looked at once.

        Raises:
            FileInTheWay: A symbolic link or a file on the way leads elsewhere.
        """
        target = self.folder / path
        if target.parent in self._proven:
            return target
        try:
            inside = target.parent.resolve().is_relative_to(self.folder.resolve())
        except (OSError, RuntimeError):  # links in a circle
            inside = False
        if not inside:
            raise FileInTheWay(str(target.parent))
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        self._proven.add(target.parent)
        return target

    def write_small(self, data: bytes | bytearray) -> Path:
        """Write a small verified file whole, durably, and return it; `place` gives it its name."""
        with self._waiting() as (waiting, file):
            file.write(data)
        return waiting

    def copy_of(self, path: str) -> Path:
        """Return a durable copy of a file that is in place, for a second name of the same content."""
        with self._waiting() as (waiting, file), (self.folder / path).open("rb") as source:
            shutil.copyfileobj(source, file, 1 << 20)
        return waiting

    def vacant(self, key: str) -> Path:
        """Return where a whole file of a content may be made, on the destination's file system; nothing is there."""
        path = self._partials / f"{key}.whole"
        with writing(path):
            self._partials.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
        return path

    @contextmanager
    def _waiting(self) -> Iterator[tuple[Path, BinaryIO]]:
        waiting = self._partials / f"small-{threading.get_ident()}"
        with writing(waiting):
            self._partials.mkdir(parents=True, exist_ok=True)
            waiting.unlink(missing_ok=True)
            with waiting.open("xb") as file:
                yield waiting, file
                file.flush()
                os.fsync(file.fileno())

    def place(self, waiting: Path, target: Path) -> None:
        """Give a durable file its final name."""
        with writing(target):
            waiting.replace(target)

    def forget(self, key: str) -> None:
        """Drop what an earlier run left of a content."""
        for name in (f"{key}.bytes", f"{key}.pieces"):
            with writing(self._partials / name):
                (self._partials / name).unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove the partial folder when nothing waits in it."""
        with suppress(OSError):
            self._partials.rmdir()
