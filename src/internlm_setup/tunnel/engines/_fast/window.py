"""How much a peer may send ahead: twice what is under way on the line, no more."""

from __future__ import annotations

from internlm_setup.tunnel.engines._fast.codec import BadPacket

LEAST_BYTES, MOST_BYTES = 1 << 20, 1 << 26
_LEAST_SHARE_BYTES = 1 << 18
_LEAST_ROUND_S = 0.02
_GROWS = 1.5
_SLOWLY = 8  # the part of the way that a rate is forgotten by in a round


class Window:
    """A stream's window, which follows 2 x rate x shortest round trip.

    A larger one would only fill queues on the way, and every other stream would wait in them. While the rate grows it
    is twice that, since what a larger window brings is seen a round trip later. Bytes come in bursts, so the rate is
    the best one of late. Pure.

    Attributes:
        size_bytes: What may be under way and held here, together.
    """

    def __init__(self, size_bytes: int, allowed_bytes: int, now_s: float) -> None:
        """Start.

        Args:
            size_bytes: What the peer was told at first.
            allowed_bytes: How much of that it has not used yet.
            now_s: By the monotonic clock.
        """
        self.size_bytes, self._allowed_bytes = size_bytes, allowed_bytes
        self._began_s, self._passed_bytes = now_s, 0
        self._best_bytes_per_s = 0.0

    def came(self, size: int) -> None:
        """The peer sent so many bytes.

        Raises:
            BadPacket: They are more than it may send.
        """
        self._allowed_bytes -= size
        if self._allowed_bytes < 0:
            raise BadPacket("more than the window allows")

    def passed(self, size: int, now_s: float, rtt_s: float | None) -> None:
        """So many bytes were taken off our hands.

        Args:
            size: Bytes.
            now_s: By the monotonic clock.
            rtt_s: The shortest round trip seen; None while there was none.
        """
        if rtt_s is None:
            return
        lasted_s = now_s - self._began_s
        over = lasted_s >= max(rtt_s, _LEAST_ROUND_S)
        if over and not self._passed_bytes:  # it was idle, which says nothing about the line
            self._began_s, self._passed_bytes = now_s, size
            return
        self._passed_bytes += size
        if not over:
            return
        rate, best = self._passed_bytes / lasted_s, self._best_bytes_per_s
        times = 4 if rate > _GROWS * best else 2
        self._best_bytes_per_s = max(rate, best - (best - rate) / _SLOWLY)
        wanted = min(max(int(times * self._best_bytes_per_s * rtt_s), LEAST_BYTES), MOST_BYTES)
        self.size_bytes = max(wanted, self.size_bytes - (self.size_bytes - wanted) // _SLOWLY)
        self._began_s, self._passed_bytes = now_s, 0

    def credit(self, held_bytes: int) -> int:
        """Return how much more to let the peer send; 0 while that is not worth a message.

        Args:
            held_bytes: What came and was not taken yet.
        """
        more = self.size_bytes - self._allowed_bytes - held_bytes
        if more < max(_LEAST_SHARE_BYTES, self.size_bytes // 8):
            return 0
        self._allowed_bytes += more
        return more
