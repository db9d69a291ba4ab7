"""urllib3's connections with our patience.

They are made as `core.reach` makes them, the head of an answer must come whole and in time, and one that the server has
given up while it was kept is replaced, unnoticed by whoever asks.
"""

from __future__ import annotations

import socket
from functools import lru_cache
from typing import Any

from internlm_setup.core import socks
from internlm_setup.core.reach import HUNG_UP, Unreachable, connect_any, resolve, unreachable
from internlm_setup.core.text import without_password
from internlm_setup.core.watchdog import Watchdog

ANSWER_PATIENCE_S = 10.0  # between two bytes
HEAD_PATIENCE = 2  # times that, for a whole head
REPEATABLE = frozenset({"GET", "HEAD"})
_WATCHDOG = Watchdog()
_Base: Any = object  # whichever of urllib3's classes


class _Stale(ConnectionResetError):
    """The server had given up a connection that was kept."""


class _Connection(_Base):  # type: ignore[misc]
    _kept = False
    _socks: str | None = None  # the proxy's URL

    def _new_conn(self) -> socket.socket:
        """Replace urllib3's own way to resolve and to connect, to the server or to the proxy."""
        self._kept = False
        host = self._dns_host.strip("[]")
        if self._socks is not None:
            sock = socks.connect(self._socks, host, self.port)
        else:
            sock = _connected(host, self.port, self.proxy and self.proxy.url)
        sock.settimeout(self.timeout)
        for option in self.socket_options or ():
            sock.setsockopt(*option)
        return sock

    def getresponse(self) -> Any:
        kept, self._kept = self._kept, True
        if self.sock is None:
            return super().getresponse()
        patience_s = getattr(self.timeout, "read_timeout", self.timeout) or ANSWER_PATIENCE_S
        try:
            with _WATCHDOG.watching(self.sock, HEAD_PATIENCE * patience_s):
                return super().getresponse()
        except HUNG_UP as error:
            if kept:
                raise _Stale from error
            raise


class _Pool(_Base):  # type: ignore[misc]
    def urlopen(self, method: str, *args: Any, **words: Any) -> Any:
        try:
            return super().urlopen(method, *args, **words)
        except Exception as error:
            if method not in REPEATABLE or not any(isinstance(why, _Stale) for why in error.args):
                raise
        return self.urlopen(method, *args, **words)  # over another one; those that were kept come to an end


def _connected(host: str, port: int, proxy: str | None) -> socket.socket:
    """Connect to a server, or to the proxy that leads to one."""
    try:
        return connect_any(resolve(host, port), host)
    except Unreachable as error:
        if proxy is None:
            raise
        raise unreachable(host, "proxy", f"{without_password(proxy)}: {error.cause.en}") from error


@lru_cache(maxsize=4)
def patient_pools(through: str | None = None) -> dict[str, Any]:
    """Return the classes of pools for `PoolManager.pool_classes_by_scheme`, `through` a SOCKS proxy if it is given."""
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool

    def patient(base: Any) -> Any:
        connection = type(base.ConnectionCls.__name__, (_Connection, base.ConnectionCls), {"_socks": through})
        return type(base.__name__, (_Pool, base), {"ConnectionCls": connection})

    return {"http": patient(HTTPConnectionPool), "https": patient(HTTPSConnectionPool)}
