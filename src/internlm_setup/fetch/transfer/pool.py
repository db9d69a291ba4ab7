"""Who fetches what: a few threads take pieces, carry them to the disk, and have finished contents verified.

Workers never talk to people; they tell events. Whatever happens, every recorded byte survives.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from internlm_setup.core.errors import SetupError
from internlm_setup.core.reach import Unreachable
from internlm_setup.core.retry import backoff_s
from internlm_setup.core.text import Text, human_size
from internlm_setup.fetch.errors import HubBusy
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.transfer.answer import STATUS, Again, NoRanges, Wanted
from internlm_setup.fetch.transfer.assembly import HASH_STEP_BYTES, Assembly
from internlm_setup.fetch.transfer.board import Board
from internlm_setup.fetch.transfer.errors import FileChanged, HashMismatch, TransferFailed, TransferStopped
from internlm_setup.fetch.transfer.growth import Growth
from internlm_setup.fetch.transfer.http import TOO_SLOW, Fetcher, Stream
from internlm_setup.fetch.transfer.options import Options, Outcome
from internlm_setup.fetch.transfer.piece import Piece
from internlm_setup.fetch.transfer.plan import Content
from internlm_setup.fetch.transfer.store import Partial, Store
from internlm_setup.fetch.transfer.verify import FileHasher, WrongPiece

RECORD_BYTES = 256 << 10
RECORD_EVERY_S = 0.05
MOST_FAILURES = 5
LONGEST_ASKED_WAIT_S = 120.0
CHECKPOINT_EVERY_S = 15.0
CHECKPOINT_BYTES = 256 << 20
LOOK_EVERY_S = 0.1
HASHERS = 2
GOODBYE_S = 2.0
_CORRUPT = Text(en="it is corrupt, its hash is not the published one", zh="文件已损坏，哈希值与公布的不同")


def transfer(
    contents: Sequence[Content], store: Store, fetcher: Fetcher, options: Options
) -> tuple[list[Outcome], int]:
    """Fetch, verify and put in place.

    Returns:
        One outcome a content in the given order, and the bytes received in all.

    Raises:
        BaseException: Whatever interrupted the calling thread; everything recorded is kept.
    """
    assemblies = [Assembly(c, store, options.jobs) for c in contents]
    board = Board(assemblies, options.tell, options.clock)
    threads: list[threading.Thread] = []
    pool = _Pool(board, fetcher, options, threads)
    loops = [pool.work] * options.jobs + [pool.hash] * HASHERS + [pool.look_after]
    for loop in loops:
        pool.start(loop)
    try:
        while not board.wait(0.2):  # in short steps, so that a signal is seen
            pass
    finally:
        board.stop()
        fetcher.hang_up()
        give_up_s = time.monotonic() + GOODBYE_S
        for thread in threads:
            thread.join(timeout=max(0.0, give_up_s - time.monotonic()))
        kept = [a.kept_bytes for a in assemblies]
        for assembly in assemblies:
            if assembly.partial is not None:
                assembly.partial.close()
    fatal = board.fatal
    if fatal is not None and not isinstance(fatal, SetupError):
        raise fatal
    outcomes = [
        Outcome(a.content, a.entries, None if a.entries else a.error or fatal, k)
        for a, k in zip(assemblies, kept, strict=True)
    ]
    return outcomes, board.received_bytes


@dataclass(frozen=True, slots=True)
class _Pool:
    """What the threads run."""

    board: Board
    fetcher: Fetcher
    options: Options
    threads: list[threading.Thread]

    def start(self, loop: Callable[[], None]) -> None:
        """Run a loop in a thread of its own."""
        thread = threading.Thread(target=self.guard, args=(loop,), daemon=True)
        self.threads.append(thread)
        thread.start()

    def guard(self, loop: Callable[[], None]) -> None:
        """Hand whatever a thread dies of to the calling thread, instead of hanging the run."""
        try:
            loop()
        except BaseException as error:  # noqa: BLE001  # raised again by `transfer`
            self.board.stop(error)

    def look_after(self) -> None:
        """Bring growing files to the disk while they grow, and open more connections where they help.

        The disk early: for a power cut, and so that little is left for the end.
        """
        clock, growth = self.options.clock, Growth(self.options.jobs, self.options.most_jobs)
        next_checkpoint_s = clock.monotonic() + CHECKPOINT_EVERY_S
        while not self.board.wait(LOOK_EVERY_S):
            for _ in range(growth.look(self.board.received_bytes, time.monotonic())):
                self.start(self.work)
            due = clock.monotonic() >= next_checkpoint_s
            for partial in self.board.growing():
                if partial.unsynced_bytes >= (1 if due else CHECKPOINT_BYTES):
                    partial.checkpoint()
            if due:
                next_checkpoint_s = clock.monotonic() + CHECKPOINT_EVERY_S

    def work(self) -> None:
        """Carry pieces until there are none."""
        while (piece := self.board.next_piece()) is not None:
            assembly = piece.assembly
            try:
                self._carry(piece)
            except NoRanges:
                with self.board.lock:
                    assembly.one_stream()
                    assembly.give_back(piece, time.monotonic())
            except Again as error:
                self._retry(piece, error)
            except SetupError as error:
                self.board.fail(assembly, error)  # before it is given back: without it nothing would seem to be missing
                with self.board.lock:
                    assembly.in_flight.remove(piece)
            else:
                with self.board.lock:
                    assembly.give_back(piece, time.monotonic())
            if self.board.claim(assembly):
                self._hash(assembly)
            self.board.settle(assembly)

    def _carry(self, piece: Piece) -> None:
        """Move one piece from its source to the disk."""
        assembly, content = piece.assembly, piece.assembly.content
        cancelled = self.board.cancelled
        try:
            with assembly.whereabouts.asking(cancelled) as location:
                end = piece.end
                taken = end is not None and end <= piece.start < (content.size_bytes or 0)  # by others in the meantime
                if taken or cancelled.is_set():
                    return
                wanted = Wanted(assembly.source.hub, content.paths[0], piece.start, end, content.size_bytes)
                opened = self.fetcher.open(location, wanted, assembly.whereabouts.learned)
        except Unreachable as error:
            raise Again(error.cause) from error
        except HubBusy as error:
            raise Again(STATUS.fill(status=error.status), wait_s=error.wait_s) from error
        with opened as stream:
            assembly.answered(piece, time.monotonic())
            self._compare_tag(assembly, stream.etag)
            try:
                self._receive(piece, stream)
                piece.arrived = piece.end is None and not cancelled.is_set()
            finally:
                self._record(piece)
        if piece.relieved and not piece.fruitful and self.board.starves(assembly, self.fetcher.floor_window_s):
            raise Again(TOO_SLOW)  # taken over again and again, and nobody brings more

    def _receive(self, piece: Piece, stream: Stream) -> None:
        """Write what arrives, and journal it in steps: by size on a fast line, by time on a slow one."""
        clock, cancelled, assembly = self.options.clock, self.board.cancelled, piece.assembly
        recorded_s = clock.monotonic()
        while not piece.done and (block := stream.read(piece.left_bytes, cancelled)):
            self.options.limit.take(len(block), cancelled)
            fresh = assembly.store_block(piece, block)
            self.board.count(assembly, len(block), fresh, alive=piece.fruitful)
            now_s = clock.monotonic()
            if piece.at - piece.recorded >= RECORD_BYTES or now_s - recorded_s >= RECORD_EVERY_S:
                self._record(piece)
                recorded_s = now_s

    def _compare_tag(self, assembly: Assembly, etag: str | None) -> None:
        """Without a published hash, only the server's tag tells that the file was replaced under way.

        Raises:
            FileChanged: It was.
        """
        if assembly.content.has_hash or etag is None:
            return
        with self.board.lock:
            assembly.etag = assembly.etag or etag
            if assembly.etag != etag:
                raise FileChanged(assembly.content.paths[0], assembly.source.hub)

    def _record(self, piece: Piece) -> None:
        """Journal what was written, and let the hash follow when the front has moved far enough."""
        assembly = piece.assembly
        with piece.lock:
            assembly.record(piece)
        if assembly.partial is None or assembly.hasher is None:
            return
        if assembly.partial.prefix_bytes - assembly.hasher.position >= HASH_STEP_BYTES:
            self.board.queue_hash(assembly)

    def _retry(self, piece: Piece, error: Again) -> None:
        """Wait and try again, up to five failures in a row without a new byte that stays.

        Connections of one content that fail together count as one failure.
        """
        assembly, clock = piece.assembly, self.options.clock
        asked_s = error.wait_s or 0.0
        if asked_s <= LONGEST_ASKED_WAIT_S:
            self.board.pause(asked_s)
        with self.board.lock:
            lost = len(assembly.small or b"")
            assembly.give_back(piece, time.monotonic())
            if assembly.finished or assembly.complete:  # others took what was left of it
                return
            assembly.whereabouts.forget()
            if assembly.not_before_s > clock.monotonic():
                return
            assembly.failures += 1
            wait_s = max(asked_s, backoff_s(assembly.failures))
            assembly.not_before_s = clock.monotonic() + wait_s
        path = assembly.content.paths[0]
        if lost:
            self.board.say(events.Advanced(path, -lost))
        most_failures = MOST_FAILURES if error.verdict is None else 2
        if assembly.failures >= most_failures or asked_s > LONGEST_ASKED_WAIT_S:
            self.board.fail(assembly, error.verdict or _gave_up(assembly, error.reason))
        else:
            self.board.say(events.Retrying(path, error.reason, wait_s))

    def hash(self) -> None:
        """Follow the fronts of growing files, and finish those that are complete, until there are none."""
        while (assembly := self.board.next_to_hash()) is not None:
            self._hash(assembly)
            self.board.settle(assembly)

    def _hash(self, assembly: Assembly) -> None:
        """Hash what is here of a content; finish it when that is all."""
        try:
            with self.board.lock:
                complete, given_up = assembly.complete, assembly.finished
            if complete and not given_up:
                self._finish(assembly)
            elif not given_up and assembly.hasher is not None and assembly.partial is not None:
                self._follow(assembly.hasher, assembly.partial, assembly)
        except WrongPiece as wrong:
            self.board.refetch(assembly, wrong)
        except SetupError as error:
            self.board.fail(assembly, error)
        with self.board.lock:
            assembly.hashing = False

    def _follow(self, hasher: FileHasher, partial: Partial, assembly: Assembly) -> None:
        """Hash in steps up to the front, and let those go on who wait for the hash to follow."""
        cancelled = self.board.cancelled
        while not cancelled.is_set() and partial.prefix_bytes - hasher.position >= HASH_STEP_BYTES:
            hasher.advance(min(partial.prefix_bytes, hasher.position + 2 * HASH_STEP_BYTES), cancelled)
            self.board.settle(assembly)

    def _finish(self, assembly: Assembly) -> None:
        path = assembly.content.paths[0]
        self.board.say(events.Verifying(path))
        try:
            entries = assembly.finish(self.options.finished, self.board.cancelled)
        except HashMismatch as error:
            self._fetch_anew(assembly, error)
            return
        if entries is None:
            return
        self.board.finish(assembly, entries)
        for entry in entries:
            self.board.say(events.FileFinished(entry.path, entry.size_bytes, entry.proof))

    def _fetch_anew(self, assembly: Assembly, error: HashMismatch) -> None:
        """Fetch a corrupt content once more, from the next source where there is one."""
        path = assembly.content.paths[0]
        self.board.say(events.Advanced(path, -(assembly.content.size_bytes or 0)))
        assembly.mismatches += 1
        if assembly.mismatches > 1:
            raise error
        with self.board.lock:
            assembly.turn += 1
            assembly.whereabouts.forget()
            assembly.open()
        self.board.say(events.Retrying(path, _CORRUPT, 0.0))


def _gave_up(assembly: Assembly, reason: Text) -> SetupError:
    """Say whether something is kept for next time."""
    path, hub, kept = assembly.content.paths[0], assembly.source.hub, assembly.kept_bytes
    if kept:
        return TransferStopped(path, hub, reason, human_size(kept))
    return TransferFailed(path, hub, reason)
