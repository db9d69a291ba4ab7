"""What the three protocols share: the repositories, who may read them, and signed addresses.

The protocols' modules ask this; only `server.py` makes one.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from internlm_setup.playground.hub.repository import Repository, Shelf

DEFAULT_BRANCHES = {"huggingface": "main", "modelscope": "master"}


@dataclass(frozen=True, slots=True)
class Access:
    """The key pair that OpenXLab's login accepts."""

    ak: str
    sk: str


class Signer:
    """Signs addresses at the CDN for a while, and can take back all it has signed so far."""

    def __init__(self, lifetime_s: float) -> None:
        self.lifetime_s = lifetime_s
        self._secret = secrets.token_bytes(16)

    def query(self, path: str, key_field: str) -> str:
        """Return the query that lets anyone read `path` (quoted, from `/` on) until it expires."""
        expires = str(int(time.time() + self.lifetime_s))
        fields = {
            "Expires": expires,
            key_field: "PLAYGROUND",
            "Signature": self._sign(path, expires),
        }
        return urlencode(fields)

    def refusal(self, path: str, query: Mapping[str, str]) -> str | None:
        """Say why an address is not good, or None when it is."""
        expires, signature = query.get("Expires", ""), query.get("Signature", "")
        if not hmac.compare_digest(self._sign(path, expires).encode(), signature.encode()):
            return "The request signature we calculated does not match the signature you provided."
        return None if time.time() < int(expires) else "Request has expired."

    def take_back(self) -> None:
        """Make every address signed so far answer 403, as if its time had come."""
        self._secret = secrets.token_bytes(16)

    def _sign(self, path: str, expires: str) -> str:
        return hmac.new(self._secret, f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()


class Library:
    """The shelves by hub and repository name; shelves may be added while it is being served."""

    def __init__(
        self,
        tokens: Mapping[str, str],
        access: Access | None,
        page_size: int,
        link_lifetime_s: float,
    ) -> None:
        self.tokens = tokens
        self.access = access
        self.page_size = page_size
        self.signer = Signer(link_lifetime_s)
        self.url = ""
        self.cdn_url = ""
        self._lock = threading.Lock()
        self._shelves: dict[tuple[str, str], Shelf] = {}

    def add(self, repositories: Sequence[Repository]) -> None:
        """Serve these too; a repository of the same name is replaced."""
        with self._lock:
            for repository in repositories:
                shelf = Shelf(repository)
                self._shelves.update(dict.fromkeys(repository.ids.items(), shelf))

    def shelf(self, hub: str, repo_id: str) -> Shelf | None:
        """Return a repository's shelf, or None when that hub has no such repository."""
        return self._shelves.get((hub, repo_id))

    def knows(self, hub: str, token: str | None) -> bool:
        """Tell whether the hub takes this token; a hub without a configured token takes any."""
        return token is not None and self.tokens.get(hub, token) == token

    def has_revision(self, hub: str, shelf: Shelf, revision: str) -> bool:
        """Tell whether a branch, tag or full commit exists."""
        names = {DEFAULT_BRANCHES.get(hub, ""), *shelf.repository.revisions}
        return revision in names or revision == shelf.latest(hub).commit

    def content_url(self, hub: str, repo_id: str, path: str) -> str:
        """Return a signed address of a file's bytes at the CDN."""
        where = "/" + quote(f"{hub}/{repo_id}/{path}")
        key_field = "Key-Pair-Id" if hub == "huggingface" else "OSSAccessKeyId"
        return f"{self.cdn_url}{where}?{self.signer.query(where, key_field)}"
