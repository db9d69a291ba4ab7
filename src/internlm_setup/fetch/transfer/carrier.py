"""One piece from its source to the disk."""

from __future__ import annotations

import time
from dataclasses import dataclass

from internlm_setup.core.http import origin_of
from internlm_setup.core.reach import Unreachable
from internlm_setup.fetch.errors import HubBusy
from internlm_setup.fetch.transfer.answer import STATUS, Again, Wanted, is_refusal
from internlm_setup.fetch.transfer.assembly import HASH_STEP_BYTES, Assembly
from internlm_setup.fetch.transfer.board import Board
from internlm_setup.fetch.transfer.errors import FileChanged
from internlm_setup.fetch.transfer.http import TOO_SLOW, Fetcher, Stream
from internlm_setup.fetch.transfer.options import Options
from internlm_setup.fetch.transfer.piece import Piece
from internlm_setup.fetch.transfer.trial import Trial

RECORD_BYTES = 256 << 10
RECORD_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class Carrier:
    """What every worker does with a piece."""

    board: Board
    fetcher: Fetcher
    options: Options

    def carry(self, piece: Piece) -> None:
        """Ask for a piece, write what comes, and journal it.

        Raises:
            Again: Worth another attempt.
            NoRanges: The server sends only whole bodies, and a part was asked for.
            SetupError: No use asking again.
        """
        assembly, content, way = piece.assembly, piece.assembly.content, piece.way
        cancelled = self.board.cancelled
        try:
            with way.whereabouts.asking(cancelled) as location:
                end = piece.end
                taken = end is not None and end <= piece.start < (content.size_bytes or 0)  # by others in the meantime
                if taken or cancelled.is_set():
                    return
                piece.asked_s = self.options.clock.monotonic()
                at_hub = origin_of(location.url) == location.origin
                wanted = Wanted(way.source.hub, content.paths[0], piece.start, end, content.size_bytes)
                opened = self.fetcher.open(location, wanted, way.whereabouts.learned)
        except Unreachable as error:
            raise Again(error.cause) from error
        except HubBusy as error:
            refused = is_refusal(error.status, error.wait_s)
            raise Again(STATUS.fill(status=error.status), wait_s=error.wait_s, refused=refused) from error
        with opened as stream:
            self.board.answered(piece, at_hub)
            self._compare_tag(assembly, piece, stream.etag)
            try:
                self._receive(piece, stream)
                piece.arrived = piece.end is None and not cancelled.is_set()
            finally:
                self._record(piece)
        if piece.unit is not None and piece.done and assembly.partial is not None:
            Trial.compare(piece.unit, way.supplier, piece.buffer or b"", assembly.partial.path)
        if piece.relieved and not piece.fruitful and self.board.starves(assembly, self.fetcher.floor_window_s):
            raise Again(TOO_SLOW)  # taken over again and again, and nobody brings more

    def _receive(self, piece: Piece, stream: Stream) -> None:
        """Write what arrives, and journal it in steps: by size on a fast line, by time on a slow one."""
        clock, cancelled, assembly = self.options.clock, self.board.cancelled, piece.assembly
        recorded_s = clock.monotonic()
        while not (piece.done or piece.moved) and (block := stream.read(piece.left_bytes, cancelled)):
            self.options.limit.take(len(block), cancelled)
            fresh = assembly.store_block(piece, block)
            piece.came_s = time.monotonic()
            self.board.count(piece, len(block), fresh)
            now_s = clock.monotonic()
            if piece.at - piece.recorded >= RECORD_BYTES or now_s - recorded_s >= RECORD_EVERY_S:
                self._record(piece)
                recorded_s = now_s

    def _compare_tag(self, assembly: Assembly, piece: Piece, etag: str | None) -> None:
        """Without a published hash, only the server's tag tells that the file was replaced under way.

        Raises:
            FileChanged: It was.
        """
        if assembly.content.has_hash or etag is None:
            return
        with self.board.lock:
            assembly.etag = assembly.etag or etag
            if assembly.etag != etag:
                raise FileChanged(assembly.content.paths[0], piece.way.source.hub)

    def _record(self, piece: Piece) -> None:
        """Journal what was written, and let the hash follow when the front has moved far enough."""
        assembly = piece.assembly
        if piece.buffer is not None:
            return
        with piece.lock:
            assembly.record(piece)
        if assembly.partial is None or assembly.hasher is None:
            return
        if assembly.partial.prefix_bytes - assembly.hasher.position >= HASH_STEP_BYTES:
            self.board.queue_hash(assembly)
