"""Carries the requests of a vendor's SDK, so that our patience, trust and limits hold for them too.

The SDK knows paths, parameters and answers; what it would send over its own HTTP client goes through `Network.request`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from internlm_setup.core.http import Answer, Network, origin_of
from internlm_setup.core.reach import unreachable
from internlm_setup.core.retry import TRY_LATER, Busy

MOST_REDIRECTS = 16


class EndlessRedirects(ValueError):
    """A server sends its caller in a circle."""


@dataclass
class Courier:
    """What carries one hub's requests, one at a time.

    Attributes:
        network: The way out.
        origin: The only origin that a token or a cookie may reach.
        give_up_s: When to give up, however many requests it takes; on the clock of `time.monotonic`.
    """

    network: Network
    origin: str
    give_up_s: float = math.inf
    _redirects: int = field(default=0, init=False)

    def carry(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Send one request; the SDK follows redirects itself.

        Raises:
            Unreachable: With the host and the cause.
            Busy: The server may answer later.
            EndlessRedirects: This is the seventeenth redirect in a row.
        """
        if time.monotonic() > self.give_up_s:
            raise unreachable(urlsplit(url).hostname or "", "time-out")
        kept_out = {"accept-encoding", "connection", "host", "content-length"}
        if origin_of(url) != self.origin:
            kept_out |= {"authorization", "cookie"}
        sent = {k: v for k, v in headers.items() if k.lower() not in kept_out}
        answer = self.network.request(method, url, headers=sent, body=body)
        self._redirects = self._redirects + 1 if 300 <= answer.status < 400 else 0
        if self._redirects > MOST_REDIRECTS:
            raise EndlessRedirects(f"{urlsplit(url).hostname} redirects without end")
        if answer.status in TRY_LATER:
            raise Busy(answer.status, answer.headers, time.time())
        return answer
