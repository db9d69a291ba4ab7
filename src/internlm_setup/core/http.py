"""Talking HTTP: proxies, trust, and small requests.

Everything that talks HTTP goes through a `Network`: our own small requests and the transfer. The vendors' downloaders,
which run in processes of their own, get its trust store.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

from internlm_setup.core.connections import ANSWER_PATIENCE_S, patient_pools
from internlm_setup.core.errors import ConfigError
from internlm_setup.core.files import write_atomically
from internlm_setup.core.reach import CONNECT_PATIENCE_S, Unreachable, diagnose, unreachable
from internlm_setup.core.text import Text, without_password

if TYPE_CHECKING:
    import urllib3

MOST_KEPT = 256  # connections to one origin, more than anybody opens
WHOLE_PATIENCE = 12  # times the patience for a byte, for a whole small answer
TRUST_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")


@dataclass(eq=False)
class BadTrustFile(ConfigError):
    """A variable names a CA file that cannot be used."""

    code = "core.bad-ca-file"
    text = Text(
        en="{variable} names `{path}`, which is not a readable file of certificates",
        zh="{variable} 指向的 `{path}` 不是可读的证书文件",
    )
    hint = Text(en="correct it, or: `unset {variable}`", zh="请更正它，或执行：`unset {variable}`")
    variable: str
    path: str


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


@lru_cache(maxsize=4)
def _trust(ca_files: tuple[tuple[str, str], ...]) -> ssl.SSLContext:
    """Build one context: the system's store, plus the company's files, plus certifi where the system has none."""
    context = ssl.create_default_context()
    for variable, path in ca_files:
        try:
            context.load_verify_locations(cafile=path)
        except OSError as error:
            raise BadTrustFile(variable, path) from error
    folder = ssl.get_default_verify_paths().capath
    has_folder = bool(folder) and Path(folder).is_dir() and any(Path(folder).iterdir())
    if not has_folder and not context.cert_store_stats()["x509_ca"]:
        import certifi

        context.load_verify_locations(cafile=certifi.where())
    return context


@dataclass(frozen=True, slots=True)
class Answer:
    """A small answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


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
            usable = way.scheme.lower() in {"http", "https"} and bool(way.hostname) and bool(_port(way))
        except ValueError:  # a port that is no number, or half an IPv6 address
            usable = False
        if not usable:
            raise BadProxy(without_password(proxy))
        return proxy

    def ssl_context(self) -> ssl.SSLContext:
        """Return the shared trust: the system's store and the files the environment names."""
        return _trust(self.ca_files)

    def lent(self, folder: Path) -> dict[str, str]:
        """Return variables that make another program trust what we trust; they name a file written into `folder`.

        Libraries differ in which variable they read, and a file of the company's certificates alone would replace the
        public ones.
        """
        import certifi

        store = self.ssl_context().get_ca_certs(binary_form=True)
        found = {ssl.DER_cert_to_PEM_cert(certificate).strip() for certificate in store}
        system = ssl.get_default_verify_paths().capath  # a folder is read certificate by certificate, when needed
        for file in (Path(certifi.where()), *(Path(system).glob("*") if system else ())):
            with suppress(OSError):
                found.update(_PEM.findall(file.read_text(encoding="ascii", errors="ignore")))
        trust = folder / "trust.pem"
        write_atomically(trust, ("\n".join(sorted(found)) + "\n").encode())
        return dict.fromkeys(TRUST_VARIABLES, str(trust))

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
        if proxy is None:
            manager = urllib3.PoolManager(**ways)
        else:
            login = urlsplit(proxy)
            auth = f"{unquote(login.username)}:{unquote(login.password or '')}" if login.username else None
            signed = urllib3.make_headers(proxy_basic_auth=auth) if auth else None
            manager = urllib3.ProxyManager(proxy, proxy_headers=signed, **ways)
        manager.pool_classes_by_scheme = patient_pools()
        return manager

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        most_bytes: int = 32 << 20,
    ) -> Answer:
        """Send one small request and read its answer, at most `most_bytes` of it; redirects are not followed.

        Raises:
            Unreachable: With the host and the cause.
        """
        import urllib3

        host = urlsplit(url).hostname or ""
        sent = {"User-Agent": self.user_agent, "Accept-Encoding": "identity", **(headers or {})}
        manager = self.pool(url)
        give_up_s = time.monotonic() + WHOLE_PATIENCE * manager.connection_pool_kw["timeout"].read_timeout
        try:
            response = manager.request(method, url, headers=sent, body=body, redirect=False, preload_content=False)
            data = _read(response, most_bytes, give_up_s)
        except Unreachable as error:  # the proxy may be what it names, in its detail
            raise replace(error, host=host) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            cause, detail = diagnose(error) or ("closed", str(error))
            raise unreachable(host, cause, detail) from error
        return Answer(response.status, {name.lower(): response.headers[name] for name in response.headers}, data)


def _read(response: Any, most_bytes: int, give_up_s: float) -> bytes:
    """Read a small answer as it comes, so that one that drips for ever is left; keep the connection of a whole one."""
    read = getattr(response, "read1", None) or response._fp.read1  # urllib3 1.26
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
