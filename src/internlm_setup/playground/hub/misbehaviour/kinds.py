"""The table of misbehaviour: a row for each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from internlm_setup.core.text import Text
from internlm_setup.playground.hub.message import Greeting, Head, Reply, Stage
from internlm_setup.playground.hub.misbehaviour import answer, body
from internlm_setup.playground.hub.misbehaviour.fault import FaultKind, Scene, deliver


@dataclass(frozen=True, slots=True)
class Kind:
    """A row of the table: what a fault does, and to which replies unless told otherwise.

    `change` returns None for a reply it cannot spoil in this way.
    """

    does: Text
    change: Callable[[Reply, Scene], Reply | None]
    where: frozenset[Stage]


def _head(head: Head) -> Callable[[Reply, Scene], Reply]:
    """Send another head than the right one, or none."""
    return lambda reply, _: deliver(reply, head=head)


def _greeting(greeting: Greeting) -> Callable[[Reply, Scene], Reply]:
    """Break a TLS handshake."""
    return lambda reply, _: deliver(reply, greeting=greeting)


_LISTING: frozenset[Stage] = frozenset({"listing"})
_FILE: frozenset[Stage] = frozenset({"file"})
_CONTENT: frozenset[Stage] = frozenset({"content"})
_GREETING: frozenset[Stage] = frozenset({"greeting"})
_BYTES = _FILE | _CONTENT
_ALL = _LISTING | _BYTES

KINDS: Mapping[FaultKind, Kind] = {
    "flip": Kind(Text(en="one bit of the file is wrong", zh="文件中有一位是错的"), body.flip, _BYTES),
    "truncate": Kind(
        Text(en="closes before the announced length", zh="在声明的长度之前关闭连接"), body.cut("close"), _BYTES
    ),
    "drop": Kind(Text(en="resets the connection in the body", zh="在正文中重置连接"), body.cut("reset"), _BYTES),
    "stall": Kind(Text(en="stops sending without closing", zh="停止发送但不关闭连接"), body.cut("stall"), _BYTES),
    "drip": Kind(Text(en="sends slower than a floor", zh="发送速度低于下限"), body.drip, _BYTES),
    "endless": Kind(Text(en="no length, and the body never ends", zh="没有长度，正文永不结束"), body.endless, _BYTES),
    "chunked": Kind(Text(en="no length (`chunked`)", zh="没有长度（`chunked`）"), body.chunked, _BYTES),
    "encoded": Kind(Text(en="compressed, unasked", zh="擅自压缩"), body.encoded, _BYTES),
    "short-length": Kind(
        Text(en="announces and sends less than there is", zh="声明并发送的内容比实际少"), body.short_length, _BYTES
    ),
    "long-length": Kind(
        Text(en="announces more than there is, then closes", zh="声明的长度比实际多，随后关闭"),
        body.long_length,
        _BYTES,
    ),
    "ignore-range": Kind(
        Text(en="a bare 200 with the whole file", zh="以普通 200 应答整个文件"), answer.ignore_range, _BYTES
    ),
    "range-200": Kind(Text(en="200 with `Content-Range`", zh="200，带 `Content-Range`"), answer.range_200, _BYTES),
    "range-416": Kind(Text(en="416 for a range that exists", zh="对存在的范围应答 416"), answer.range_416, _BYTES),
    "range-shifted": Kind(
        Text(en="a range that begins one byte late", zh="所发范围晚一个字节开始"), answer.range_shifted, _BYTES
    ),
    "range-total": Kind(
        Text(en="`Content-Range` with a wrong total", zh="`Content-Range` 中的总长度有误"), answer.range_total, _BYTES
    ),
    "etag": Kind(Text(en="another `ETag`", zh="`ETag` 变了"), answer.etag, _BYTES),
    "expired": Kind(Text(en="403 on a signed address", zh="对已签名地址应答 403"), answer.expired, _CONTENT),
    "rate-limit": Kind(Text(en="429", zh="429"), answer.rate_limit, _LISTING | _FILE),
    "server-error": Kind(Text(en="a 5xx", zh="5xx"), answer.server_error, _ALL),
    "garbage": Kind(Text(en="200 with a log-in page", zh="200，内容是登录页面"), answer.garbage, _ALL),
    "elsewhere": Kind(Text(en="redirects to another origin", zh="重定向到另一个源"), answer.elsewhere, _FILE),
    "link-elsewhere": Kind(
        Text(en="the next page is at another origin", zh="下一页在另一个源"), answer.link_elsewhere, _LISTING
    ),
    "stale-link": Kind(
        Text(en="hands out signed addresses that have expired", zh="给出已过期的签名地址"),
        answer.stale_link,
        _LISTING | _FILE,
    ),
    "redirect-loop": Kind(
        Text(en="redirects to the same address", zh="重定向到同一地址"), answer.redirect_loop, _BYTES
    ),
    "silence": Kind(Text(en="never answers", zh="从不应答"), _head("none"), _ALL),
    "hang-up": Kind(Text(en="resets the connection instead of an answer", zh="不应答而重置连接"), _head("reset"), _ALL),
    "no-http": Kind(Text(en="answers in no HTTP", zh="应答的不是 HTTP"), _head("noise"), _ALL),
    "big-headers": Kind(
        Text(en="a header larger than any client takes", zh="应答头大到任何客户端都不接受"), _head("big"), _ALL
    ),
    "slow-headers": Kind(
        Text(en="headers that drip and never end", zh="应答头逐字节发送，永不结束"), _head("drip"), _ALL
    ),
    "continues": Kind(Text(en="`100 Continue` for ever", zh="不停地发送 `100 Continue`"), _head("continues"), _ALL),
    "tls-refused": Kind(
        Text(en="TLS: refuses the handshake with an alert", zh="TLS：以告警拒绝握手"), _greeting("alert"), _GREETING
    ),
    "tls-cut": Kind(
        Text(en="TLS: resets the connection in the handshake", zh="TLS：在握手时重置连接"),
        _greeting("reset"),
        _GREETING,
    ),
    "tls-noise": Kind(
        Text(en="TLS: a broken record in the body", zh="TLS：正文中出现损坏的记录"), body.cut("noise"), _BYTES
    ),
}
