"""Talking HTTP: proxies, trust, and small requests.

Everything that talks HTTP goes through a `Network`: our own small requests and the transfer. The vendors' downloaders,
which run in processes of their own, get its trust store.
"""

from __future__ import annotations

import ipaddress
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

from internlm_setup.core.errors import ConfigError
from internlm_setup.core.reach import CONNECT_PATIENCE_S, Unreachable, connect_any, diagnose, resolve, unreachable
from internlm_setup.core.text import Text, without_password
from internlm_setup.core.trust import TRUST_VARIABLES, lent, trust
from internlm_setup.core.watchdog import Watchdog

if TYPE_CHECKING:
    import urllib3

ANSWER_PATIENCE_S = 10.0  # between two bytes
HEAD_PATIENCE = 2  # times that, for a whole head
WHOLE_PATIENCE = 12  # times that, for a whole small answer
_WATCHDOG = Watchdog()


@dataclass(eq=False)
class BadProxy(ConfigError):
    """A proxy variable cannot be used."""

    code = "core.bad-proxy"
    text = Text(
        en="the proxy `{proxy}` in the environment cannot be used: only http:// and https:// proxies are spoken",
        zh="环境变量中的代理 `{proxy}` 无法使用：只支持 http:// 和 https:// 代理",
    )
    hint = Text(
        en="set HTTPS_PROXY to an http:// proxy, or: `unset HTTPS_PROXY ALL_PROXY`",
        zh="请把 HTTPS_PROXY 设为 http:// 代理，或执行：`unset HTTPS_PROXY ALL_PROXY`",
    )
    proxy: str


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
        give_up_s: When a small one should be whole, by the monotonic clock.
        read: Returns the next bytes, as many as are there but no more than asked for; empty at the end.
    """

    status: int
    headers: Mapping[str, str]
    first_byte_s: float
    give_up_s: float
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
            usable = way.scheme.lower() in {"http", "https"} and bool(way.hostname) and bool(_port(way))
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

    def knock(self, url: str) -> None:
        """Resolve and connect once, with our patience, before a library tries with its own.

        Raises:
            Unreachable: With the host and the cause, within 8.5 s at the worst.
        """
        proxy = self.proxy_for(url)
        parts = urlsplit(proxy or url)
        host = parts.hostname or ""
        try:
            connect_any(resolve(host, _port(parts)), host)
        except Unreachable as error:
            if proxy is None:
                raise
            target = urlsplit(url).hostname or ""
            why = f"{without_password(proxy)}: {error.cause.en}"
            raise unreachable(target, "proxy", why) from error

    def pool(self, url: str, connections: int) -> urllib3.PoolManager:
        """Return a urllib3 manager for this URL's way out (direct or proxied), without retries or redirects."""
        import urllib3

        timeout = urllib3.Timeout(connect=CONNECT_PATIENCE_S, read=ANSWER_PATIENCE_S)
        ways: Any = {"maxsize": connections, "timeout": timeout, "retries": False}
        proxy = self.proxy_for(url)
        if not (url.lower().startswith("http:") and (proxy or url).lower().startswith("http:")):
            ways["ssl_context"] = self.ssl_context()  # 20 ms that a plain connection need not wait for
        if proxy is None:
            manager = urllib3.PoolManager(**ways)
        else:
            login = urlsplit(proxy)
            auth = f"{unquote(login.username)}:{unquote(login.password or '')}" if login.username else None
            signed = urllib3.make_headers(proxy_basic_auth=auth) if auth else None
            manager = urllib3.ProxyManager(proxy, proxy_headers=signed, **ways)
        manager.pool_classes_by_scheme = _watched_pools()
        return manager

    @contextmanager
    def opened(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        patience_s: float | None = None,
    ) -> Iterator[Arriving]:
        """Send one request and give its answer while it arrives; redirects are not followed.

        Args:
            method: As HTTP spells it.
            url: Where to.
            headers: Beside our own; these win.
            body: What is sent.
            patience_s: How long to wait for a connection, and between two bytes; None for the usual.

        Raises:
            Unreachable: With the host and the cause; reading in the block too.
        """
        import urllib3

        host = urlsplit(url).hostname or ""
        sent = {"User-Agent": self.user_agent, "Accept-Encoding": "identity", **(headers or {})}
        manager = self.pool(url, 1)
        if patience_s is not None:
            manager.connection_pool_kw["timeout"] = urllib3.Timeout(connect=patience_s, read=patience_s)
        began_s = time.monotonic()
        give_up_s = began_s + WHOLE_PATIENCE * manager.connection_pool_kw["timeout"].read_timeout
        try:
            response: Any = manager.request(method, url, headers=sent, body=body, redirect=False, preload_content=False)
            named = {name.lower(): response.headers[name] for name in response.headers}
            read = getattr(response, "read1", None) or response._fp.read1  # urllib3 1.26
            yield Arriving(response.status, named, time.monotonic() - began_s, give_up_s, read)
            response.close()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            cause, detail = diagnose(error) or ("closed", str(error))
            raise unreachable(host, cause, detail) from error

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
        with self.opened(method, url, headers=headers, body=body, patience_s=patience_s) as answer:
            data = bytearray()
            while len(data) < most_bytes and (block := answer.read(min(65536, most_bytes - len(data)))):
                data += block
                if time.monotonic() > answer.give_up_s:  # one that drips for ever is left
                    raise TimeoutError("no whole answer in time")
        return Answer(answer.status, answer.headers, bytes(data), answer.first_byte_s)


@lru_cache(maxsize=1)
def _watched_pools() -> dict[str, Any]:
    """Return urllib3's pools with connections whose answer's head must come whole within `HEAD_PATIENCE`."""
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool

    def watched(base: Any) -> Any:
        class Connection(base.ConnectionCls):  # type: ignore[misc]
            def getresponse(self) -> Any:
                if self.sock is None:
                    return super().getresponse()
                patience_s = getattr(self.timeout, "read_timeout", self.timeout) or ANSWER_PATIENCE_S
                with _WATCHDOG.watching(self.sock, HEAD_PATIENCE * patience_s):
                    return super().getresponse()

        return type(base.__name__, (base,), {"ConnectionCls": Connection})

    return {"http": watched(HTTPConnectionPool), "https": watched(HTTPSConnectionPool)}


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
