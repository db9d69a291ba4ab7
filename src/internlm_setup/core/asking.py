"""Asking a server one question in several small requests: one deadline, and a token that stays at home."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

from internlm_setup.core.http import Answer, Network, origin_of
from internlm_setup.core.reach import unreachable
from internlm_setup.core.retry import TRY_LATER, Busy

MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Asking:
    """How one question is asked.

    Attributes:
        network: The way out.
        origin: Whom the question is for; nobody else is sent `secrets`, whatever a redirect or a next page says.
        secrets: Headers that hold a token; may be empty.
        give_up_s: When to stop, by the monotonic clock, however many requests it takes.
    """

    network: Network
    origin: str
    secrets: Mapping[str, str] = field(repr=False)
    give_up_s: float

    def get(self, url: str) -> Answer:
        """Send one GET and follow a few redirects; one redirect too many is the answer itself.

        Raises:
            Unreachable: With the host and the cause, or because time is up.
            Busy: The server says that it may answer later.
            ValueError: An address that is none of the web's.
        """
        for _ in range(MOST_REDIRECTS):
            answer = self._get_one(url)
            target = answer.headers.get("location")
            if answer.status not in _REDIRECTS or not target:
                return answer
            url = urljoin(url, target)
        return self._get_one(url)

    def _get_one(self, url: str) -> Answer:
        parts = urlsplit(url)
        if parts.scheme.lower() not in {"http", "https"} or not parts.hostname:
            raise ValueError("an address that is none of the web's")
        if time.monotonic() > self.give_up_s:
            raise unreachable(parts.hostname, "time-out")
        secrets = self.secrets if origin_of(url) == self.origin else {}
        answer = self.network.request("GET", url, headers={"Accept": "application/json", **secrets})
        if answer.status in TRY_LATER:
            raise Busy(answer.status, answer.headers, time.time())
        return answer


def json_of(answer: Answer) -> Any:
    """Read the JSON of an answer.

    Raises:
        ValueError: It is none; the message holds nothing of it.
    """
    try:
        return json.loads(answer.body)
    except ValueError as error:
        raise ValueError("not JSON") from error


def json_object(answer: Answer) -> dict[str, Any]:
    """Read an answer that must be a JSON object.

    Raises:
        ValueError: It is not.
    """
    value = json_of(answer)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004  # wrong data, not a wrong argument
    return value
