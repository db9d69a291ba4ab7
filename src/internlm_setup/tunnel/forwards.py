"""Forwards as OpenSSH writes them: `-L`, `-R` and `-D`, read and written."""

from __future__ import annotations

import re

from internlm_setup.core.text import Text
from internlm_setup.tunnel.errors import BadForward
from internlm_setup.tunnel.model import Endpoint, Forward, Kind

OPTIONS: dict[Kind, str] = {"local": "-L", "remote": "-R", "dynamic": "-D"}
_EXAMPLES = {"local": "6006:127.0.0.1:6006", "remote": "6006:127.0.0.1:6006", "dynamic": "1080"}
_LOOPBACK = "127.0.0.1"

_PART = re.compile(r"\[(?P<bracketed>[^\[\]]*)\]|(?P<plain>[^:\[\]]*)")
_HOST = re.compile(r"[^\s/@\[\]]+")

_NO_PORT = Text(en="`{part}` is no port; ports are 1 to 65535", zh="`{part}` 不是端口；端口范围是 1 到 65535")
_NO_HOST = Text(en="`{part}` is no host", zh="`{part}` 不是主机")
_NO_DESTINATION = Text(en="the host it leads to is missing", zh="缺少目标主机")
_SOCKET = Text(en="a Unix socket cannot be forwarded, only a port", zh="不支持转发 Unix 套接字，只能转发端口")
_BRACKETS = Text(en="an IPv6 address stands in brackets, as in `[::1]`", zh="IPv6 地址要写在方括号中，例如 `[::1]`")
_TOO_MANY = Text(
    en="there are more than four parts; an IPv6 address stands in brackets, as in `[::1]`",
    zh="超过了四个部分；IPv6 地址要写在方括号中，例如 `[::1]`",
)
_HALF = Text(
    en="three parts are port, host and port; four have the address to listen on before them",
    zh="三个部分依次为端口、主机、端口；四个部分则以监听地址开头",
)
_NO_PROXY_THERE = Text(
    en="a SOCKS proxy on the server's side is not offered; a forward says where it leads",
    zh="不提供服务器一侧的 SOCKS 代理；转发必须写明目标",
)


def parse(kind: Kind, words: str) -> Forward:
    """Read a forward.

    `-L` takes a port alone too: the same port of the server's own loopback.

    Args:
        kind: Which of the three.
        words: `[bind:]port:host:port`, for `dynamic` `[bind:]port`. An IPv6 address stands in brackets;
            an empty `bind` and `*` mean every address.

    Raises:
        BadForward: It is none, and says what is wrong with it.
    """
    try:
        return _read(kind, words)
    except _Wrong as cause:
        raise BadForward(OPTIONS[kind], words, cause.reason, _EXAMPLES[kind]) from None


def written(forward: Forward) -> str:
    """Return it as OpenSSH takes it, without the option."""
    parts = [_bracketed(forward.bind.host), str(forward.bind.port)] if forward.bind.host else [str(forward.bind.port)]
    if forward.destination is not None:
        parts += [_bracketed(forward.destination.host), str(forward.destination.port)]
    return ":".join(parts)


class _Wrong(Exception):
    def __init__(self, reason: Text) -> None:
        super().__init__(reason)
        self.reason = reason


def _read(kind: Kind, words: str) -> Forward:
    if "/" in words:
        raise _Wrong(_SOCKET)
    parts = _parts(words)
    if kind == "dynamic":
        if len(parts) > 2:
            raise _Wrong(_TOO_MANY if len(parts) > 4 else _HALF_DYNAMIC)
        return Forward(kind, _bind(parts, lowest=1), None)
    lowest = 0 if kind == "remote" else 1  # the server can choose a port; we have said which one is ours
    if len(parts) == 1 and kind == "local":
        port = _port(parts[0], lowest)
        return Forward(kind, Endpoint("", port), Endpoint(_LOOPBACK, port))
    if len(parts) == 1:
        _port(parts[0], lowest)
        raise _Wrong(_NO_PROXY_THERE)
    if len(parts) not in {3, 4}:
        raise _Wrong(_TOO_MANY if len(parts) > 4 else _HALF)
    *bind, host, port_there = parts
    return Forward(kind, _bind(bind, lowest), Endpoint(_host(host), _port(port_there, 1)))


_HALF_DYNAMIC = Text(
    en="a SOCKS proxy has a port, and an address to listen on before it; programs say where to",
    zh="SOCKS 代理只有端口，前面可加监听地址；目标由程序自己给出",
)


def _parts(words: str) -> list[str]:
    """Split at the colons that are not inside brackets."""
    parts, at = [], 0
    while found := _PART.match(words, at):
        parts.append(found["bracketed"] if found["plain"] is None else found["plain"])
        at = found.end()
        if at == len(words):
            return parts
        if words[at] != ":":
            break
        at += 1
    raise _Wrong(_BRACKETS)


def _bind(parts: list[str], lowest: int) -> Endpoint:
    port = _port(parts[-1], lowest)
    if len(parts) == 1:
        return Endpoint("", port)
    return Endpoint("*" if parts[0] in {"", "*"} else _host(parts[0]), port)


def _port(part: str, lowest: int) -> int:
    port = int(part) if part.isascii() and part.isdigit() and len(part) <= 5 else -1
    if not lowest <= port <= 65535:
        raise _Wrong(_NO_PORT.fill(part=part))
    return port


def _host(part: str) -> str:
    if not part:
        raise _Wrong(_NO_DESTINATION)
    if not _HOST.fullmatch(part):
        raise _Wrong(_NO_HOST.fill(part=part))
    return part


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
