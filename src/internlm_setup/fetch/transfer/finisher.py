"""What the hashing threads do: follow files while they grow, and finish those whose bytes are all here."""

from __future__ import annotations

from dataclasses import dataclass

from internlm_setup.core.errors import SetupError
from internlm_setup.core.text import Text
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.transfer.assembly import HASH_STEP_BYTES, Assembly
from internlm_setup.fetch.transfer.board import Board
from internlm_setup.fetch.transfer.errors import HashMismatch
from internlm_setup.fetch.transfer.failover import Failover
from internlm_setup.fetch.transfer.options import Options
from internlm_setup.fetch.transfer.store import Partial
from internlm_setup.fetch.transfer.verify import FileHasher, WrongPiece

_CORRUPT = Text(en="its hash is not the expected one", zh="哈希值与应有的不同")


@dataclass(frozen=True, slots=True)
class Finisher:
    """What every hashing thread does with a content."""

    board: Board
    failover: Failover
    options: Options

    def run(self) -> None:
        """Follow the fronts of growing files, and finish those that are complete, until there are none."""
        while (assembly := self.board.next_to_hash()) is not None:
            self.hash(assembly)
            self.board.settle(assembly)

    def hash(self, assembly: Assembly) -> None:
        """Hash what is here of a content; finish it when that is all."""
        try:
            with self.board.lock:
                complete, given_up = assembly.complete, assembly.finished
            if complete and not given_up:
                self._finish(assembly)
            elif not given_up and assembly.hasher is not None and assembly.partial is not None:
                self._follow(assembly.hasher, assembly.partial, assembly)
        except WrongPiece as wrong:
            self.failover.refetch(assembly, wrong)
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
        if assembly.trial is None:
            self.board.say(events.Verifying(assembly.content.paths[0]))
        try:
            entries = assembly.finish(self.options.finished, self.board.cancelled)
        except HashMismatch as error:
            if assembly.trial is None:
                self._fetch_anew(assembly, error)
            self.board.say(events.Retrying(assembly.content.paths[0], _CORRUPT, 0.0))
            return
        if entries is None:
            return
        self.failover.distrust(assembly.liar, assembly)
        self.board.finish(assembly, entries)
        for entry in entries:
            self.board.say(events.FileFinished(entry.path, entry.size_bytes, entry.proof))

    def _fetch_anew(self, assembly: Assembly, error: HashMismatch) -> None:
        """Fetch a corrupt content once more, from another source where there is one."""
        path, size = assembly.content.paths[0], assembly.content.size_bytes or 0
        self.board.say(events.Advanced(path, -size))
        assembly.mismatches += 1
        if assembly.mismatches > 1:
            raise error
        with self.board.lock:
            assembly.open_anew()
