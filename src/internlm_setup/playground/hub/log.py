"""What the servers were asked and what they sent, kept for tests to read and to wait on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from internlm_setup.playground.hub.message import Origin


@dataclass(frozen=True, slots=True)
class Request:
    """One request that was answered (or given up on), with the body bytes that left for it."""

    origin: Origin
    hub: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    status: int
    sent_bytes: int

    @property
    def carries_secret(self) -> bool:
        """Whether a token or a cookie came with it."""
        return "authorization" in self.headers or "cookie" in self.headers


class RequestLog:
    """Requests in the order they were finished; safe to read while the servers run."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._requests: list[Request] = []
        self._sent_bytes = 0

    def __iter__(self) -> Iterator[Request]:
        with self._changed:
            return iter(tuple(self._requests))

    def __len__(self) -> int:
        with self._changed:
            return len(self._requests)

    @property
    def sent_bytes(self) -> int:
        """Body bytes sent so far, those of unfinished replies included."""
        with self._changed:
            return self._sent_bytes

    def clear(self) -> None:
        """Forget everything, the byte count included."""
        with self._changed:
            self._requests.clear()
            self._sent_bytes = 0

    def wait_for(self, wanted: Callable[[Request], bool], timeout_s: float = 30.0) -> Request:
        """Return the first request that fits, waiting if need be; TimeoutError when none comes."""
        with self._changed:
            found = self._changed.wait_for(lambda: next(filter(wanted, self._requests), None), timeout_s)
        if found is None:
            raise TimeoutError(f"no such request within {timeout_s} s")
        return found

    def wait_for_bytes(self, sent_bytes: int, timeout_s: float = 30.0) -> None:
        """Wait until so many body bytes have left in all; TimeoutError when they do not."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._sent_bytes >= sent_bytes, timeout_s):
                raise TimeoutError(f"{self._sent_bytes} of {sent_bytes} bytes within {timeout_s} s")

    def add(self, request: Request) -> None:
        """Note a finished request."""
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()

    def count(self, sent_bytes: int) -> None:
        """Note body bytes that just left."""
        with self._changed:
            self._sent_bytes += sent_bytes
            self._changed.notify_all()
