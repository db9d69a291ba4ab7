"""Who fetches what: a few threads take pieces, carry them to the disk, and have finished contents verified.

Workers never talk to people; they tell events. Whatever happens, every recorded byte survives.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from internlm_setup.core.errors import SetupError
from internlm_setup.fetch.transfer.answer import Again, NoRanges
from internlm_setup.fetch.transfer.assembly import Assembly
from internlm_setup.fetch.transfer.board import Board
from internlm_setup.fetch.transfer.carrier import Carrier
from internlm_setup.fetch.transfer.failover import Failover
from internlm_setup.fetch.transfer.finisher import Finisher
from internlm_setup.fetch.transfer.http import Fetcher
from internlm_setup.fetch.transfer.options import Options, Outcome
from internlm_setup.fetch.transfer.piece import Piece
from internlm_setup.fetch.transfer.plan import Content
from internlm_setup.fetch.transfer.sources import Suppliers
from internlm_setup.fetch.transfer.store import Store

CHECKPOINT_EVERY_S = 15.0
CHECKPOINT_BYTES = 256 << 20
LOOK_EVERY_S = 0.1
HASHERS = 2
GOODBYE_S, SHORT_GOODBYE_S = 2.0, 0.2


def transfer(
    contents: Sequence[Content], store: Store, fetcher: Fetcher, options: Options
) -> tuple[list[Outcome], int]:
    """Fetch, verify and put in place.

    Returns:
        One outcome a content in the given order, and the bytes received in all.

    Raises:
        BaseException: Whatever interrupted the calling thread; everything recorded is kept.
    """
    suppliers = Suppliers((s for c in contents for s in c.sources), options.jobs, options.most_jobs)
    assemblies = [Assembly(c, store, suppliers.jobs, suppliers) for c in contents]
    board = Board(assemblies, options.tell, options.clock, suppliers)
    threads: list[threading.Thread] = []
    failover = Failover(board, options.clock)
    finisher = Finisher(board, failover, options)
    pool = _Pool(board, Carrier(board, fetcher, options), failover, finisher, options, threads)
    loops = [pool.work] * suppliers.jobs + [finisher.run] * HASHERS + [pool.look_after]
    for loop in loops:
        pool.start(loop)
    try:
        while not board.wait(0.2):  # in short steps, so that a signal is seen
            pass
    finally:
        goodbye_s = SHORT_GOODBYE_S if board.over and not board.cancelled.is_set() else GOODBYE_S
        board.stop()
        fetcher.hang_up()
        give_up_s = time.monotonic() + goodbye_s
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
    carrier: Carrier
    failover: Failover
    finisher: Finisher
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
        """Bring growing files to the disk while they grow, and have the sources looked after.

        The disk early: for a power cut, and so that little is left for the end.
        """
        clock = self.options.clock
        next_checkpoint_s = clock.monotonic() + CHECKPOINT_EVERY_S
        while not self.board.wait(LOOK_EVERY_S):
            self._look_after_sources()
            due = clock.monotonic() >= next_checkpoint_s
            for partial in self.board.growing():
                if partial.unsynced_bytes >= (1 if due else CHECKPOINT_BYTES):
                    partial.checkpoint()
            if due:
                next_checkpoint_s = clock.monotonic() + CHECKPOINT_EVERY_S

    def _look_after_sources(self) -> None:
        """Start workers for connections that help, and in place of those whom a silent source keeps."""
        more, moved = self.failover.look_after(limited=self.options.limit.is_on)
        for piece in moved:
            piece.replaced = True
            self._trace(piece)
        workers = sum(thread.is_alive() for thread in self.threads) - HASHERS - 1
        room = self.board.suppliers.most_jobs - workers
        for _ in range(min(more, max(0, room)) + len(moved)):
            self.start(self.work)

    def _trace(self, piece: Piece) -> None:
        if self.options.trace is not None:
            self.options.trace(piece)

    def work(self) -> None:
        """Carry pieces until there are none, or until somebody was started in our place."""
        while (piece := self.board.next_piece()) is not None:
            assembly = piece.assembly
            try:
                self.carrier.carry(piece)
            except NoRanges:
                self.failover.without_ranges(piece)
            except Again as error:
                self.failover.retry(piece, error)
            except SetupError as error:
                self.failover.give_up(piece.way, assembly, error)  # before it is given back: else it would be complete
                self.board.give_back(piece)
            else:
                self.board.give_back(piece)
            if piece.replaced:
                self.board.settle(assembly)
                return
            self._trace(piece)
            if self.board.claim(assembly):
                self.finisher.hash(assembly)
            self.board.settle(assembly)
