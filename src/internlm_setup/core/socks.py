"""Connecting through a SOCKS proxy, with our patience.

With `socks5h://` and `socks4a://` the proxy resolves names, with `socks5://` and `socks4://` we do, as in curl.
"""

from __future__ import annotations

import socket
from urllib.parse import unquote, urlsplit

from internlm_setup.core.reach import CONNECT_PATIENCE_S, Unreachable, resolve, unreachable
from internlm_setup.core.text import without_password

SCHEMES = ("socks4", "socks4a", "socks5", "socks5h")
PORT = 1080


def connect(proxy: str, host: str, port: int) -> socket.socket:
    """Connect to a host through a SOCKS proxy.

    Args:
        proxy: Its URL, with the login if it wants one.
        host: A name or an address.
        port: There.

    Raises:
        Unreachable: The proxy, or the host from there, with the proxy's own words and without its password.
    """
    import socks

    way = urlsplit(proxy)
    version, leaves_names = (socks.SOCKS4 if "4" in way.scheme else socks.SOCKS5), way.scheme[-1] in "ah"
    target = host if leaves_names else str(_first(host, port, version == socks.SOCKS4))
    try:
        found = socks.create_connection(
            (target, port),
            timeout=CONNECT_PATIENCE_S,
            proxy_type=version,
            proxy_addr=str(_first(way.hostname or "", way.port or PORT)),
            proxy_port=way.port or PORT,
            proxy_rdns=leaves_names,
            proxy_username=unquote(way.username) if way.username else None,
            proxy_password=unquote(way.password or "") if way.username else None,
        )
    except Unreachable as error:
        raise unreachable(host, "proxy", f"{without_password(proxy)}: {error.cause.en}") from error
    except (socks.ProxyError, OSError) as error:
        words = getattr(error, "msg", None) or str(error)
        raise unreachable(host, "proxy", f"{without_password(proxy)}: {words}") from error
    return socket.socket(fileno=found.detach())  # the proxy has nothing more to say


def _first(host: str, port: int, ipv4: bool = False) -> str | int:
    addresses = [a for a in resolve(host, port) if not ipv4 or a[0] == socket.AF_INET]
    if not addresses:
        raise unreachable(host, "no-route", "SOCKS4 knows IPv4 alone")
    return addresses[0][4][0]
