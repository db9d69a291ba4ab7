"""What happens when a source fails, refuses, falls silent or lies: others go on with what it was asked for."""

from __future__ import annotations

import time
from dataclasses import dataclass

from internlm_setup.core.clock import Clock
from internlm_setup.core.errors import SetupError, WriteError
from internlm_setup.core.retry import backoff_s
from internlm_setup.core.text import Text, human_size
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.transfer.answer import Again
from internlm_setup.fetch.transfer.assembly import Assembly
from internlm_setup.fetch.transfer.board import Board
from internlm_setup.fetch.transfer.errors import TransferFailed, TransferStopped
from internlm_setup.fetch.transfer.piece import Piece
from internlm_setup.fetch.transfer.relief import move
from internlm_setup.fetch.transfer.sources import Supplier, Way, best_kind
from internlm_setup.fetch.transfer.verify import WrongPiece

MOST_FAILURES = 5
LONGEST_ASKED_WAIT_S = 120.0
_DEMOTED = Text(
    en="{source} does not send any more; others go on with its part, and it is tried again later",
    zh="{source} 不再发送数据；它的部分改由其他来源继续，稍后会再试它",
)


@dataclass(frozen=True, slots=True)
class Failover:
    """Decides on failures; the board has the state."""

    board: Board
    clock: Clock

    def retry(self, piece: Piece, error: Again) -> None:
        """Try again after a wait, or elsewhere: up to five failures in a row without a new byte that stays.

        Connections to one source that fail together count as one failure.
        """
        assembly, way, path = piece.assembly, piece.way, piece.assembly.content.paths[0]
        with self.board.lock:
            failures, demoted = self._blame(piece, error)
            assembly.give_back(piece, time.monotonic())
            way.whereabouts.forget()
            wait_s = error.wait_s or way.waits_s(self.clock.monotonic())
            settled = assembly.finished or assembly.complete or piece.moved  # others took what was left of it
        if demoted:
            self._tell_demoted(way.supplier)
        if settled:
            return
        most_failures = MOST_FAILURES if error.verdict is None else 2
        if failures >= most_failures or (error.wait_s or 0.0) > LONGEST_ASKED_WAIT_S:
            self.give_up(way, assembly, error.verdict or _gave_up(assembly, way, error.reason))
        elif failures:
            self.board.say(events.Retrying(path, error.reason, wait_s))

    def _blame(self, piece: Piece, error: Again) -> tuple[int, bool]:
        """Note a failure (the board's lock is held).

        Returns:
            How many in a row it makes, 0 when it belongs to another one; and whether the source was demoted for it.
        """
        if piece.moved:
            return 0, False
        way, supplier, now_s, real_s = piece.way, piece.way.supplier, self.clock.monotonic(), time.monotonic()
        if error.refused:
            before, is_long = supplier.gate.refusals, (error.wait_s or 0.0) > LONGEST_ASKED_WAIT_S
            supplier.gate.refused(piece.asked_s, now_s, None if is_long else error.wait_s)
            supplier.refused(real_s)
            if is_long:
                supplier.demote(now_s, real_s, error.wait_s or 0.0)
            return supplier.gate.refusals if supplier.gate.refusals > before else 0, False
        demoted = supplier.failed(now_s, real_s)
        if way.not_before_s > now_s:
            return 0, demoted
        way.failures += 1
        way.not_before_s = now_s + max(error.wait_s or 0.0, backoff_s(way.failures))
        return way.failures, demoted

    def give_up(self, way: Way, assembly: Assembly, error: SetupError) -> None:
        """Ask a source no more for a content; that fails when it was the last one, or when no source is to blame."""
        with self.board.lock:
            others = not isinstance(error, WriteError) and self._close(way, assembly, error)
        if others:
            self.board.say(events.Retrying(assembly.content.paths[0], error.text.fill(**error.details()), 0.0))
        else:
            self.board.fail(assembly, error)

    def _close(self, way: Way, assembly: Assembly, error: SetupError) -> bool:
        way.error = error
        self._left(assembly)
        return bool(best_kind(assembly.ways))

    def without_ranges(self, piece: Piece) -> None:
        """Ask a source for no more parts of a content: others for all of it, or this one for one stream."""
        with self.board.lock:
            piece.way.ranges = False
            self._left(piece.assembly)
            piece.assembly.give_back(piece, time.monotonic())

    @staticmethod
    def _left(assembly: Assembly) -> None:
        """Make do with the ways that are left."""
        left = best_kind(assembly.ways)
        if left and not left[0].ranges and not assembly.single_stream:
            assembly.one_stream()
        if assembly.trial is not None:
            assembly.trial.only(w.supplier for w in left if w.ranges)

    def refetch(self, assembly: Assembly, wrong: WrongPiece) -> None:
        """Have one piece of a content fetched again, past who sent it."""
        with self.board.lock:
            liar = assembly.account.only_sender(wrong.start, wrong.end)
            assembly.refetch(wrong)
        self.distrust(liar, assembly)
        self.board.say(events.Advanced(assembly.content.paths[0], wrong.start - wrong.end))

    def distrust(self, liar: Supplier | None, assembly: Assembly) -> None:
        """Take nothing more from a source that sent wrong bytes, where others have it too."""
        with self.board.lock:
            if liar is None or liar.liar or self.board.suppliers.are_one:
                return
            liar.liar = True
        self.board.say(events.SourceDropped(liar.name, assembly.content.paths[0]))

    def look_after(self, *, limited: bool) -> tuple[int, list[Piece]]:
        """Open more connections where they help, and give to others what a silent source was asked for.

        Args:
            limited: Whether our own speed limit may be why nothing comes.

        Returns:
            How many more workers are of use, and the pieces whose workers may not come back soon.
        """
        more, real_s = 0, time.monotonic()
        moved: list[Piece] = []
        demoted: list[Supplier] = []
        with self.board.lock:
            now_s = self.clock.monotonic()
            for supplier in self.board.suppliers.all():
                more += supplier.look(real_s)
                stuck = [] if limited else self._stuck(supplier, now_s, real_s)
                moved += [piece for piece in stuck if move(piece.assembly, piece)]
                if stuck and supplier.demote(now_s, real_s):
                    demoted.append(supplier)
        for supplier in demoted:
            self._tell_demoted(supplier)
        return more, moved

    def _stuck(self, supplier: Supplier, now_s: float, real_s: float) -> list[Piece]:
        """Return the pieces of a silent source that another one can bring; none while anybody writes."""
        if not supplier.is_silent(real_s):
            return []
        mine = self.board.in_flight(supplier)
        if any(piece.lock.locked() for piece in mine):
            return []
        alive = {s for s in self.board.suppliers.all() if s.is_good(now_s) and not s.is_silent(real_s)}
        return [piece for piece in mine if alive & {way.supplier for way in piece.assembly.open_ways}]

    def _tell_demoted(self, supplier: Supplier) -> None:
        if not self.board.suppliers.are_one:
            self.board.say(events.Noted(_DEMOTED.fill(source=supplier.name), warning=True))


def _gave_up(assembly: Assembly, way: Way, reason: Text) -> SetupError:
    """Say whether something is kept for next time."""
    path, hub, kept = assembly.content.paths[0], way.source.hub, assembly.kept_bytes
    if kept:
        return TransferStopped(path, hub, reason, human_size(kept))
    return TransferFailed(path, hub, reason)
