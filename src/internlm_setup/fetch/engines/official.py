"""The vendor's own downloader, believed in nothing: it fills a folder of ours, and every file is verified from there.

The folder is `DIR/.internlm-setup/official/HUB`. It stays after a stop: whole files of it are verified and used by the
next run, and the vendor goes on with the rest in its own way.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from internlm_setup.core.child import Failed, Stalled
from internlm_setup.core.errors import CorruptError, SetupError, WriteError
from internlm_setup.core.files import REASONS, CannotWrite, writing
from internlm_setup.core.text import Text
from internlm_setup.fetch.engine_errors import NoDownloader, NoRateLimit
from internlm_setup.fetch.engines import Work
from internlm_setup.fetch.model import Downloader, Hub, RemoteFile
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.transfer.adopt import adopt
from internlm_setup.fetch.transfer.errors import FileInTheWay, FileRefused, SizeMismatch, TransferFailed
from internlm_setup.fetch.transfer.manifest import Entry
from internlm_setup.fetch.transfer.options import Outcome
from internlm_setup.fetch.transfer.plan import Content
from internlm_setup.fetch.transfer.store import Store

STAGING = "official"
_SAID = Text(en="its own downloader says: {words}", zh="官方下载器报告：{words}")
_STALLED = Text(
    en="its own downloader made no progress for {seconds:.0f} s and was ended",
    zh="官方下载器 {seconds:.0f} 秒没有进展，已被结束",
)
_LEFT_OUT = Text(
    en="its own downloader ended without an error, and without this file",
    zh="官方下载器没有报错，却没有给出这个文件",
)
_CORRUPT = Text(en="it is corrupt, or cut short", zh="文件已损坏，或不完整")


class Official:
    """Works with hubs that are a `Downloader`."""

    id: ClassVar[str] = "official"

    @staticmethod
    def check(hub: Hub, limit_rate_bytes_per_s: int | None) -> None:
        """Refuse a hub without a downloader, and a limit that would not be kept.

        Raises:
            NoDownloader: As it says.
            NoRateLimit: As it says.
        """
        if not isinstance(hub, Downloader):
            raise NoDownloader(hub.title)
        if limit_rate_bytes_per_s is not None:
            raise NoRateLimit

    @staticmethod
    def present_bytes(store: Store, hub: Hub, contents: Sequence[Content]) -> int:
        """Count what an earlier run's downloader left."""
        return min(_size_bytes(_staging(store, hub)), sum(c.size_bytes or 0 for c in contents))

    @staticmethod
    def carry(work: Work) -> tuple[list[Outcome], int]:
        """Use what is staged, have the rest downloaded, verify all of it; what is corrupt is asked for once more."""
        run = _Run(work, _staging(work.store, work.hub))
        run.prepare()
        for content in work.contents:
            run.use_leftover(content)
        missing = [c for c in work.contents if c.key not in run.outcomes]
        corrupt = run.fetch(missing) if missing else []
        if corrupt:
            work.tell(events.Retrying(corrupt[0].paths[0], _CORRUPT, 0.0))
            run.fetch(corrupt)
        outcomes = [run.outcomes[c.key] for c in work.contents]
        for outcome in outcomes:
            if outcome.error not in {None, run.failure}:  # that one ended the run, and is told at its end
                work.tell(events.FileFailed(outcome.content.paths[0], _reason(outcome.error)))
        kept_bytes = _size_bytes(run.staging)
        return [replace(o, kept_bytes=kept_bytes if o.error else 0) for o in outcomes], run.received_bytes


def _reason(error: SetupError | None) -> Text:
    return Text(en="", zh="") if error is None else error.as_text


def _staging(store: Store, hub: Hub) -> Path:
    return store.state / STAGING / hub.id


def _size_bytes(staging: Path) -> int:
    """Add up what is staged, finished or not; a hidden folder at the top is the vendor's own bookkeeping."""
    files = (p for p in staging.rglob("*") if p.is_file() and not p.is_symlink())
    return sum(p.stat().st_size for p in files if not _is_bookkeeping(p.relative_to(staging)))


def _is_bookkeeping(path: Path) -> bool:
    return len(path.parts) > 1 and path.parts[0].startswith(".")


@dataclass(slots=True)
class _Heard:
    """What the downloader tells, as events. Bytes are counted for the repository: whose they are cannot be seen."""

    tell: events.Listener
    repo: str

    def note(self, text: Text) -> None:
        self.tell(events.Noted(text))

    def grown(self, count_bytes: int) -> None:
        self.tell(events.Advanced(self.repo, count_bytes))


class _Run:
    """One run of one vendor's downloader."""

    def __init__(self, work: Work, staging: Path) -> None:
        self.work = work
        self.staging = staging
        self.outcomes: dict[str, Outcome] = {}
        self.received_bytes = 0
        self.failure: SetupError | None = None

    def prepare(self) -> None:
        """Make the folder; a link in its place would lead the vendor's code elsewhere.

        Raises:
            FileInTheWay: It is one.
        """
        for ours in (self.staging.parent, self.staging):
            if ours.is_symlink():
                raise FileInTheWay(str(ours))
        with writing(self.staging):
            self.staging.mkdir(parents=True, exist_ok=True)

    def use_leftover(self, content: Content) -> None:
        """Verify a whole file of an earlier run; what no published hash can prove is not used again."""
        staged = self.staging / content.paths[0]
        if not self._is_ours(staged):
            return
        if not content.has_hash:
            with writing(staged):
                staged.unlink()
        elif self._is_whole(staged, content):
            with suppress(CorruptError):  # it was removed, and is fetched again
                self._adopt(content, staged)

    def fetch(self, contents: Sequence[Content]) -> list[Content]:
        """Have contents downloaded and verify each; return those that came and are not what was promised."""
        before = _size_bytes(self.staging)
        self.failure = self._download([content.paths[0] for content in contents])
        self.received_bytes += max(0, _size_bytes(self.staging) - before)
        for content in contents:
            self._take(content)
        return [c for c in contents if isinstance(self.outcomes[c.key].error, CorruptError)]

    def _download(self, paths: Sequence[str]) -> SetupError | None:
        """Run the downloader to its end; return what it failed of."""
        hub, snapshot = self.work.hub, self.work.snapshot
        if not isinstance(hub, Downloader):  # `check` has refused it
            return NoDownloader(hub.title)
        listed: dict[str, RemoteFile] = {file.path: file for file in snapshot.files}
        try:
            hub.download(
                snapshot, [listed[path] for path in paths], self.staging, _Heard(self.work.tell, snapshot.repo)
            )
        except Failed as error:
            return self._failure(error, paths[0])
        except Stalled as error:
            return TransferFailed(paths[0], hub.id, _STALLED.fill(seconds=error.patience_s))
        except SetupError as error:
            return error
        return None

    def _failure(self, error: Failed, path: str) -> SetupError:
        if error.status in {401, 403}:
            return FileRefused(self.work.hub.id, path, error.status)
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return CannotWrite(str(self.staging), REASONS[error.errno])
        return TransferFailed(path, self.work.hub.id, _SAID.fill(words=error.words))

    def _take(self, content: Content) -> None:
        """Verify what the downloader put there for one content, or say what it did instead."""
        staged, path, hub = self.staging / content.paths[0], content.paths[0], self.work.hub.id
        error: SetupError
        if self._is_whole(staged, content) and (content.size_bytes is not None or self.failure is None):
            try:
                self._adopt(content, staged)
            except SetupError as caught:
                error = caught
            else:
                return
        elif self.failure is not None:
            error = self.failure
        elif self._is_ours(staged):
            error = SizeMismatch(path, hub, content.size_bytes or 0, staged.stat().st_size)
        else:
            error = TransferFailed(path, hub, _LEFT_OUT)
        if self._is_ours(staged) and not isinstance(error, WriteError):  # the disk is no fault of the file
            with writing(staged):
                staged.unlink()
        self.outcomes[content.key] = Outcome(content, (), error, 0)

    def _adopt(self, content: Content, staged: Path) -> None:
        self.work.tell(events.Verifying(content.paths[0]))
        entries: list[Entry] = adopt(content, staged, self.work.store, self.work.hub.id, self.work.finished)
        self.outcomes[content.key] = Outcome(content, tuple(entries), None, 0)
        for entry in entries:
            self.work.tell(events.FileFinished(entry.path, entry.size_bytes, entry.proof))

    def _is_whole(self, staged: Path, content: Content) -> bool:
        return self._is_ours(staged) and content.size_bytes in {None, staged.stat().st_size}

    def _is_ours(self, staged: Path) -> bool:
        """Say whether a plain file is there; a link, or a folder that is one, could lead to anything."""
        inside = staged.parent.resolve().is_relative_to(self.staging.resolve())
        return inside and staged.is_file() and not staged.is_symlink()


ENGINE = Official
