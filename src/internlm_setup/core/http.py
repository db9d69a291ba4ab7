"""Talking HTTP: proxies, trust, and small requests.

Everything that talks HTTP goes through a `Network`: our own small requests and the transfer. The vendors' downloaders,
which run in processes of their own, get its trust store.
"""

from __future__ import annotations

import ipaddress
import platform
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

from internlm_setup.core import socks
from internlm_setup.core.connections import ANSWER_PATIENCE_S, patient_pools
from internlm_setup.core.proxies import BadProxy
from internlm_setup.core.reach import CONNECT_PATIENCE_S, Unreachable, diagnose, unreachable
from internlm_setup.core.text import without_password
from internlm_setup.core.trust import TRUST_VARIABLES, lent, trust

if TYPE_CHECKING:
    import urllib3

MOST_KEPT = 256  # connections to one origin, more than anybody opens
WHOLE_PATIENCE = 12  # times the patience for a byte, for a whole small answer


def user_agent() -> str:
    """Return how we present ourselves: name, version, Python."""
    return f"internlm-setup/{version('internlm-setup')} python/{platform.python_version()}"


def origin_of(url: str) -> str:
    """Return `scheme://host:port` in lower case, the port always written: what a token may be sent to."""
    parts = urlsplit(url)
    return f"{parts.scheme.lower()}://{(parts.hostname or '').lower()}:{_port(parts)}"


def _port(parts: SplitResult) -> int:
    """Return the port that is written, else the scheme's own, else 0."""
    return parts.port or {"https": 443, "http": 80}.get(parts.scheme.lower(), 0)


@dataclass(frozen=True, slots=True)
class Answer:
    """A small answer, read whole. `first_byte_s` is how long its head took, connecting included."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    first_byte_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Arriving:
    """An answer whose body is still on its way.

    Attributes:
        status: As in `Answer`.
        headers: Names in lower case.
        first_byte_s: How long the head took, connecting included.
        read: Returns the next bytes, as many as are there but no more than asked for; empty at the end.
    """

    status: int
    headers: Mapping[str, str]
    first_byte_s: float
    read: Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Network:
    """How this run reaches the world. Build it with `Network.from_env`.

    Attributes:
        user_agent: Sent with every request of ours.
        proxies: Scheme (`http`, `https`, `all`) to proxy URL.
        no_proxy: Hosts, domain suffixes, addresses and networks reached directly; `*` for all.
        ca_files: (variable, path) of extra trusted certificates.
    """

    user_agent: str
    proxies: Mapping[str, str]
    no_proxy: tuple[str, ...]
    ca_files: tuple[tuple[str, str], ...]
    _pools: dict[str, urllib3.PoolManager] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def from_env(cls, env: Mapping[str, str], user_agent: str) -> Network:
        """Read the proxy and trust variables that curl, requests and pip read.

        Lower-case names win over upper-case ones, as in curl.
        """

        def get(name: str) -> str:
            return env.get(name, "") or env.get(name.upper(), "")

        schemes = ("http", "https", "all")
        proxies = {s: get(f"{s}_proxy") for s in schemes if get(f"{s}_proxy")}
        no_proxy = tuple(p.strip().lower() for p in get("no_proxy").split(",") if p.strip())
        files = {env[n]: n for n in reversed(TRUST_VARIABLES) if env.get(n) and not Path(env[n]).is_dir()}
        return cls(user_agent, proxies, no_proxy, tuple((n, p) for p, n in files.items()))

    def proxy_for(self, url: str) -> str | None:
        """Return the proxy to use for a URL, or None for a direct connection."""
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        if any(_bypasses(rule, host, _port(parts)) for rule in self.no_proxy):
            return None
        proxy = self.proxies.get(parts.scheme.lower()) or self.proxies.get("all")
        if not proxy:
            return None
        proxy = proxy if "://" in proxy else f"http://{proxy}"
        try:
            way = urlsplit(proxy)
            spoken = way.scheme.lower() in {"http", "https", *socks.SCHEMES}
            usable = spoken and bool(way.hostname) and way.port != 0
        except ValueError:  # a port that is no number, or half an IPv6 address
            usable = False
        if not usable:
            raise BadProxy(without_password(proxy))
        return proxy

    def ssl_context(self) -> ssl.SSLContext:
        """Return the shared trust: the system's store and the files the environment names."""
        return trust(self.ca_files)

    def lent(self, folder: Path) -> dict[str, str]:
        """Return variables that make another program trust what we trust; they name a file written into `folder`.

        Libraries differ in which variable they read, and a file of the company's certificates alone would replace the
        public ones.
        """
        return lent(self.ssl_context(), folder)

    def pool(self, url: str) -> urllib3.PoolManager:
        """Return the run's urllib3 manager for this URL's origin, which keeps connections; no retries, no redirects.

        Its connections are made with our patience: they raise `Unreachable` within 8.5 s at the worst.
        """
        origin = origin_of(url)
        return self._pools.get(origin) or self._pools.setdefault(origin, self._new_pool(url))

    def _new_pool(self, url: str) -> urllib3.PoolManager:
        """Make a manager for this URL's way out (direct or proxied)."""
        import urllib3

        timeout = urllib3.Timeout(connect=CONNECT_PATIENCE_S, read=ANSWER_PATIENCE_S)
        ways: Any = {"maxsize": MOST_KEPT, "timeout": timeout, "retries": False}
        proxy = self.proxy_for(url)
        if not (url.lower().startswith("http:") and (proxy or url).lower().startswith("http:")):
            ways["ssl_context"] = self.ssl_context()  # 20 ms that a plain connection need not wait for
        through = proxy if proxy and proxy.lower().startswith("socks") else None
        if proxy is None or through:
            manager = urllib3.PoolManager(**ways)
        else:
            login = urlsplit(proxy)
            auth = f"{unquote(login.username)}:{unquote(login.password or '')}" if login.username else None
            signed = urllib3.make_headers(proxy_basic_auth=auth) if auth else None
            manager = urllib3.ProxyManager(proxy, proxy_headers=signed, **ways)
        manager.pool_classes_by_scheme = patient_pools(through)
        return manager

    @contextmanager
    def opened(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, patience_s: float | None = None
    ) -> Iterator[Arriving]:
        """Send one request and give its answer while it arrives; redirects are not followed.

        Args:
            method: As HTTP spells it.
            url: Where to.
            headers: Beside our own; these win.
            patience_s: How long to wait between two bytes; None for the usual.

        Raises:
            Unreachable: With the host and the cause; reading in the block too.
        """
        began_s = time.monotonic()
        with self._sent(method, url, headers, None, patience_s) as (response, _):
            try:
                yield Arriving(response.status, _named(response), time.monotonic() - began_s, _reading(response))
            finally:
                response.close()

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        most_bytes: int = 32 << 20,
        patience_s: float | None = None,
    ) -> Answer:
        """Send one small request and read its answer, at most `most_bytes` of it; redirects are not followed.

        Raises:
            Unreachable: With the host and the cause.
        """
        began_s = time.monotonic()
        with self._sent(method, url, headers, body, patience_s) as (response, give_up_s):
            first_byte_s = time.monotonic() - began_s
            data = _read(response, most_bytes, give_up_s)
        return Answer(response.status, _named(response), data, first_byte_s)

    @contextmanager
    def _sent(
        self, method: str, url: str, headers: Mapping[str, str] | None, body: bytes | None, patience_s: float | None
    ) -> Iterator[tuple[Any, float]]:
        """Send a request; yield urllib3's response and when a small one should be whole; name what fails meanwhile."""
        import urllib3

        host = urlsplit(url).hostname or ""
        manager = self.pool(url)
        sent: Any = {"headers": {"User-Agent": self.user_agent, "Accept-Encoding": "identity", **(headers or {})}}
        if patience_s is not None:
            sent["timeout"] = urllib3.Timeout(connect=patience_s, read=patience_s)
        give_up_s = time.monotonic() + WHOLE_PATIENCE * (
            patience_s or manager.connection_pool_kw["timeout"].read_timeout
        )
        try:
            yield manager.request(method, url, body=body, redirect=False, preload_content=False, **sent), give_up_s
        except Unreachable as error:  # the proxy may be what it names, in its detail
            raise replace(error, host=host) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            cause, detail = diagnose(error) or ("closed", str(error))
            raise unreachable(host, cause, detail) from error


def _named(response: Any) -> dict[str, str]:
    """Return an answer's headers, names in lower case."""
    return {name.lower(): response.headers[name] for name in response.headers}


def _reading(response: Any) -> Callable[[int], bytes]:
    """Return what reads the bytes that are there, no more than asked for."""
    read: Callable[[int], bytes] = getattr(response, "read1", None) or response._fp.read1  # urllib3 1.26
    return read


def _read(response: Any, most_bytes: int, give_up_s: float) -> bytes:
    """Read a small answer as it comes, so that one that drips for ever is left; keep the connection of a whole one."""
    read = _reading(response)
    data = bytearray()
    try:
        while block := read(min(65536, most_bytes - len(data))):
            data += block
            if time.monotonic() > give_up_s:
                raise TimeoutError("no whole answer in time")
        announced = not response.chunked and response.headers.get("content-length")
        if len(data) < most_bytes or announced == str(most_bytes):
            response.drain_conn()  # of nothing, but not every version has noticed that it is over
            response.release_conn()
    finally:
        response.close()
    return bytes(data)


def _bypasses(rule: str, host: str, port: int) -> bool:
    """Apply one entry of NO_PROXY: `*`, a host, a domain suffix, `host:port`, an address or a network."""
    if rule == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(rule, strict=False)
    except ValueError:
        pass
    name, _, rule_port = rule.partition(":")
    if rule_port and rule_port != str(port):
        return False
    bare = name.lstrip("*").lstrip(".")
    return bool(bare) and (host == bare or host.endswith("." + bare))
