"""What a server's answer means: decided from its status and headers alone, no network.

What may pass by waiting or asking again is `Again`; what will not is a `SetupError`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from internlm_setup.core.errors import SetupError
from internlm_setup.core.http import origin_of
from internlm_setup.core.retry import TRY_LATER, asked_wait_s
from internlm_setup.core.text import Text
from internlm_setup.fetch.errors import FileMissing
from internlm_setup.fetch.transfer.errors import BadRedirect, FileRefused, SizeMismatch

_NUMBER = re.compile(r"[0-9]{1,18}")
MOST_DRAINED_BYTES = 64 << 10
STATUS = Text(en="the server answered {status}", zh="服务器应答 {status}")
_ENCODED = Text(en="the server sent it compressed, unasked", zh="服务器擅自发送了压缩数据")
_OTHER_SIZE = Text(en="the server announced another length than the listed one", zh="服务器声明的长度与列表不符")
_EXPIRED = Text(en="the download link expired", zh="下载链接已过期")
_OFF_RANGE = Text(en="the server sent another part than asked for", zh="服务器发送的不是所请求的部分")


@dataclass
class Again(Exception):
    """This attempt failed; another may not.

    Attributes:
        reason: Why, for people.
        wait_s: How long the server asked us to wait, if it did.
        verdict: What to say if it is the same once more; None for what only many failures make certain.
        refused: Whether the server is well, and asked us to come less often.
    """

    reason: Text
    wait_s: float | None = None
    verdict: SetupError | None = None
    refused: bool = False


class NoRanges(Exception):
    """The server ignored the Range header, or refused a good one: this content is to be had as one stream only."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for: `start` to `end` of a file of `size_bytes` (both may be unknown: the whole body)."""

    hub: str
    path: str
    start: int
    end: int | None
    size_bytes: int | None

    @property
    def is_whole(self) -> bool:
        """Whether this is all of the file, so that no Range header is needed."""
        return self.start == 0 and self.end == self.size_bytes


def is_short(length: str) -> bool:
    """Say whether a `Content-Length` announces a body that may be read to its end."""
    return bool(_NUMBER.fullmatch(length)) and int(length) <= MOST_DRAINED_BYTES


def next_hop(url: str, target: str, path: str) -> str:
    """Resolve a redirect; only http(s), and never from https down to http."""
    try:
        hop = urljoin(url, target)
        scheme = urlsplit(hop).scheme.lower()
        origin_of(hop)
    except ValueError as error:  # a port or an address that is none
        raise BadRedirect(urlsplit(url).hostname or "", path, target[:80]) from error
    if scheme not in {"http", "https"} or (scheme == "http" and url.lower().startswith("https:")):
        raise BadRedirect(urlsplit(url).hostname or "", path, f"{scheme}://{urlsplit(hop).hostname}")
    return hop


def body_bytes(status: int, headers: Mapping[str, str], at_hub: bool, wanted: Wanted) -> int | None:
    """Judge an answer and return how many bytes of its body to read; None is to its end.

    Args:
        status: The HTTP status.
        headers: Names in lower case.
        at_hub: Whether the hub itself answered, not a host that it sent us to.
        wanted: What was asked for.

    Raises:
        Again: Worth another attempt.
        NoRanges: The server sends only whole bodies, and a part was asked for.
        SetupError: No use asking again.
    """
    if status not in {200, 206}:
        raise _refusal(status, headers, at_hub, wanted)
    if headers.get("content-encoding", "identity").lower() not in {"", "identity"}:
        raise Again(_ENCODED)
    return _length(status, headers, wanted)


def _refusal(status: int, headers: Mapping[str, str], at_hub: bool, wanted: Wanted) -> Exception:
    """Say what an error status means: a stale link, a busy server, a missing file, no permission."""
    if status in {401, 403, 404, 410} and not at_hub:
        return Again(_EXPIRED)
    if status in {401, 403}:
        return FileRefused(wanted.hub, wanted.path, status)
    if status in {404, 410}:
        return FileMissing(wanted.hub, wanted.path, status)
    if status == 416:
        total = re.fullmatch(r"bytes \*/([0-9]{1,18})", headers.get("content-range", ""))
        if total and wanted.size_bytes is not None and int(total[1]) != wanted.size_bytes:
            return _another_size(wanted, int(total[1]))
        return Again(STATUS.fill(status=status)) if wanted.is_whole else NoRanges()
    wait_s = asked_wait_s(headers, time.time()) if status in TRY_LATER else None
    return Again(STATUS.fill(status=status), wait_s=wait_s, refused=is_refusal(status, wait_s))


def is_refusal(status: int, wait_s: float | None) -> bool:
    """Say whether a status asks us to come less often: 429, or another one that says when to come again."""
    return status == 429 or wait_s is not None


def _another_size(wanted: Wanted, found_bytes: int) -> Again:
    """A length other than the listed one: a page in between, a listing that is being renewed, or a lie."""
    verdict = SizeMismatch(wanted.path, wanted.hub, wanted.size_bytes or 0, found_bytes)
    return Again(_OTHER_SIZE, verdict=verdict)


def _length(status: int, headers: Mapping[str, str], wanted: Wanted) -> int | None:
    """Return how many bytes to read from a good answer.

    A 206, or a 200 that carries a matching Content-Range (as ModelScope sends), is a part; a bare 200 is the whole.
    """
    size = wanted.size_bytes
    part = re.fullmatch(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", headers.get("content-range", "").strip())
    declared = headers.get("content-length", "")
    if part is None:
        if status == 206:
            raise Again(_OFF_RANGE)
        if not wanted.is_whole:
            raise NoRanges
        known = _NUMBER.fullmatch(declared)
        if known and size is not None and int(declared) != size:
            raise _another_size(wanted, int(declared))
        return size if size is not None else (int(declared) if known else None)
    first, last, total = int(part[1]), int(part[2]), part[3]
    if size is not None and total != "*" and int(total) != size:
        raise _another_size(wanted, int(total))
    if first != wanted.start or (wanted.end is not None and last >= wanted.end):
        raise Again(_OFF_RANGE)
    end = wanted.end if wanted.end is not None else last + 1
    return end - first
