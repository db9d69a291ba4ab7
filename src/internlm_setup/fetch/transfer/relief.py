"""What becomes of pieces that somebody is slow with: shared with whoever is free, or given to another source."""

from __future__ import annotations

from internlm_setup.fetch.transfer.assembly import Assembly
from internlm_setup.fetch.transfer.piece import (
    LEAST_RELIEVED_BYTES,
    LEAST_RELIEVED_ELSEWHERE_BYTES,
    RELIEVE_AFTER_LATENCIES,
    RELIEVE_AFTER_S,
    Piece,
    last_to_arrive,
    split_at,
)
from internlm_setup.fetch.transfer.sources import Way


def relieve(assembly: Assembly, now_s: float, way: Way | None = None) -> Piece | None:
    """Take over a share of the piece that would come last, when nothing else is left to do.

    Not where every connection has been silent so far: the source is, and another question would not help.
    """
    way = way or assembly.ways[0]
    if assembly.queue or assembly.single_stream or assembly.trial is not None:
        return None
    latency_s = way.supplier.latency_s or assembly.latency_s
    patience_s = RELIEVE_AFTER_S + RELIEVE_AFTER_LATENCIES * latency_s
    if assembly.small is not None:
        return _replace(assembly, now_s, way, patience_s)
    if not assembly.keeps_pieces:
        return None
    out = [p for p in assembly.in_flight if not p.moved]

    def least_bytes(piece: Piece) -> int:
        return LEAST_RELIEVED_BYTES if piece.way is way else LEAST_RELIEVED_ELSEWHERE_BYTES

    slow = last_to_arrive(out, now_s, patience_s, least_bytes)
    usual = 0.0 if slow is None else _usual_bytes_per_s(assembly, way, out, slow, now_s)
    if slow is None or not usual or not slow.lock.acquire(blocking=False):  # whoever holds it is writing: alive
        return None
    try:
        end, slow.end = slow.end, split_at(slow, usual, now_s)
        assembly.record(slow)  # its worker may never come back to do so
    finally:
        slow.lock.release()
    return assembly.begin(slow.end, end, now_s, way)


def _usual_bytes_per_s(assembly: Assembly, way: Way, out: list[Piece], slow: Piece, now_s: float) -> float:
    """Return what one more connection is likely to bring."""
    if len(assembly.ways) > 1 and way.supplier.rate_bytes_per_s:
        return way.supplier.rate_bytes_per_s
    rates = [p.rate_bytes_per_s(now_s) for p in out if p is not slow and p.at > p.start]
    return assembly.usual_bytes_per_s or max((*rates, slow.rate_bytes_per_s(now_s)))


def _replace(assembly: Assembly, now_s: float, way: Way, patience_s: float) -> Piece | None:
    """Ask another source for a small content that one of them is slow to send."""
    slow = next((p for p in assembly.in_flight if not p.moved and now_s - p.begun_s >= patience_s), None)
    if slow is None or slow.way is way or not move(assembly, slow):
        return None
    return assembly.take(now_s, way)


def move(assembly: Assembly, piece: Piece) -> bool:
    """Queue what is left of a piece for somebody else; not while its worker is writing, which shows him alive."""
    if piece.moved or assembly.single_stream or not (assembly.keeps_pieces or piece.buffer is not None):
        return False
    if not piece.lock.acquire(blocking=False):
        return False
    try:
        rest = (piece.at, piece.end)
        if piece.buffer is None:
            piece.end = piece.at
            assembly.record(piece)
            assembly.account.note(piece.way.supplier, piece.start, piece.at)
        piece.moved = True
    finally:
        piece.lock.release()
    piece.way.supplier.busy -= 1
    assembly.put_back(piece, rest)
    return True
