"""Hugging Face, spoken by us: names to a snapshot pinned by its commit; a file to its resolve URL.

A listing is two requests and the pages that follow. The token goes to the endpoint's origin only: `Link: next` may
point elsewhere. The vendor's SDK is imported by nothing but its own downloader, in a process of its own.

Source:
    huggingface_hub 2.4.0: hf_api.py (model_info, list_repo_tree), utils/_http.py (hf_raise_for_status),
    utils/_pagination.py, utils/_validators.py, file_download.py (hf_hub_url), constants.py (MAX_HTTP_DOWNLOAD_SIZE),
    read 2026-11.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from internlm_setup.core import child
from internlm_setup.core.asking import Asking, json_object, json_of
from internlm_setup.core.errors import SetupError
from internlm_setup.core.http import Answer, Network, origin_of
from internlm_setup.core.retry import Busy
from internlm_setup.core.text import Text
from internlm_setup.fetch import errors
from internlm_setup.fetch.model import Downloading, Location, RemoteFile, Snapshot

TITLE = "Hugging Face"
LOGIN = "`hf auth login` (or HF_TOKEN)"
LISTING_PATIENCE_S = 120.0
MOST_ENTRIES = 200_000
LARGEST_OVER_HTTP_BYTES = 50 * 1000**3
VENDOR_PATIENCE_S = 300.0
_REPO_ID = re.compile(r"(\b[\w\-.]{1,96}\b/)?\b[\w\-.]{1,96}\b", re.ASCII)
_DISABLED = "Access to this resource is disabled."
_WRONG_TOKEN = "Invalid credentials in Authorization header"  # noqa: S105  # words, not a token
_NEXT_PAGE = re.compile(r'<([^>]*)>[^<]*;\s*rel="?next\b', re.IGNORECASE)


class HuggingFace:
    """Hugging Face, or anything that speaks its protocol at another endpoint (olah, a mirror)."""

    id = "huggingface"
    title = TITLE
    default_revision = "main"
    note: Text | None = None

    def __init__(self, *, endpoint: str | None, network: Network, env: Mapping[str, str], home: Path) -> None:
        self.endpoint = (endpoint or "https://huggingface.co").rstrip("/")
        self._network = network
        self._origin = origin_of(self.endpoint)
        self._host = urlsplit(self.endpoint).hostname or ""
        self._env, self._home = env, home

    def snapshot(self, repo: str, revision: str) -> Snapshot:
        """List one revision, pinned to its commit.

        Raises:
            SetupError: Unreachable, RepositoryMissing, RevisionMissing, RepositoryEmpty, Gated, TokenRefused, HubBusy,
                BadAnswer.
        """
        if not _is_repo_id(repo):
            raise errors.RepositoryMissing(TITLE, repo, LOGIN)
        asking = Asking(self._network, self._origin, self._secrets, time.monotonic() + LISTING_PATIENCE_S)
        api = f"{self.endpoint}/api/models/{repo}"
        try:
            answer = asking.get(f"{api}/revision/{quote(revision, safe='')}")
            about = json_object(self._accepted(answer, repo, revision))
            commit = str(about.get("sha") or revision)
            tree = f"{api}/tree/{quote(commit, safe='')}?recursive=true&expand=false"
            pages = self._pages(asking, tree, repo, revision)
            entries = islice((entry for page in pages for entry in page), MOST_ENTRIES)
            files = tuple(_remote_file(entry) for entry in entries if entry["type"] == "file")
        except Busy as error:
            raise errors.HubBusy(TITLE, self._host, error.status, error.wait_s) from error
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise errors.BadAnswer(TITLE, self._host, f"{type(error).__name__}: {error}"[:200]) from error
        if not files:
            raise errors.RepositoryEmpty(TITLE, repo)
        snapshot = Snapshot(self.id, repo, revision, commit, files)
        if about.get("gated"):
            self._try_the_gate(snapshot)
        return snapshot

    def _pages(self, asking: Asking, url: str, repo: str, revision: str) -> Iterator[list[Any]]:
        """Walk the pages of a listing, as far as `Link: rel="next"` leads."""
        following: str | None = url
        while following:
            answer = self._accepted(asking.get(following), repo, revision)
            page = json_of(answer)
            if not isinstance(page, list):
                raise TypeError("a page that is no list")
            yield page
            found = _NEXT_PAGE.search(answer.headers.get("link", ""))
            following = urljoin(following, found[1]) if found else None

    def _accepted(self, answer: Answer, repo: str, revision: str) -> Answer:
        """Return a good answer; raise what any other one means."""
        if answer.status == 200:
            return answer
        code, words = (answer.headers.get(name, "") for name in ("x-error-code", "x-error-message"))
        if code == "RevisionNotFound":
            raise errors.RevisionMissing(TITLE, repo, revision, self.default_revision)
        if code == "GatedRepo":
            raise errors.Gated(TITLE, repo, f"{self.endpoint}/{repo}", LOGIN)
        if words == _DISABLED:
            raise errors.RepositoryDisabled(TITLE, repo)
        # The hub itself hides what is private, or not there, behind a 401 without a code; other servers mean the token.
        hidden = answer.status == 401 and self._origin.startswith("https:") and words != _WRONG_TOKEN
        if code == "RepoNotFound" or hidden:
            raise errors.RepositoryMissing(TITLE, repo, LOGIN)
        raise self._refused(answer.status, repo)

    def _refused(self, status: int, repo: str) -> SetupError:
        if status in {401, 403}:
            return errors.TokenRefused(TITLE, repo, status, LOGIN)
        if status == 404:
            return errors.RepositoryMissing(TITLE, repo, LOGIN)
        return errors.BadAnswer(TITLE, self._host, f"HTTP {status}")

    def _try_the_gate(self, snapshot: Snapshot) -> None:
        """A gated model's listing is public: ask for the head of its largest file, to know before anything is written.

        Raises:
            Gated: Our token is not let in, or there is none.
        """
        largest = max(snapshot.files, key=lambda file: file.size_bytes or 0)
        where = self.locate(snapshot, largest)
        if self._network.request("HEAD", where.url, headers=where.headers).status in {401, 403}:
            raise errors.Gated(TITLE, snapshot.repo, f"{self.endpoint}/{snapshot.repo}", LOGIN)

    def locate(self, snapshot: Snapshot, file: RemoteFile) -> Location:
        """Return the resolve URL at the pinned commit; the CDN is found by following it."""
        commit = quote(snapshot.commit or snapshot.revision, safe="")
        url = f"{self.endpoint}/{snapshot.repo}/resolve/{commit}/{quote(file.path)}"
        return Location(url, self._origin, self._secrets)

    @cached_property
    def _secrets(self) -> dict[str, str]:
        """Return the header that holds the token: of the variables, else of the login that `hf auth login` stored.

        Source:
            huggingface_hub 2.4.0, utils/_headers.py (get_token_to_send), utils/_auth.py (get_token), constants.py
            (HF_HOME, HF_TOKEN_PATH), read 2026-11. Its tokens of CI runs and of Colab are not known here.
        """
        if self._env.get("HF_HUB_DISABLE_IMPLICIT_TOKEN", "").upper() in {"1", "ON", "YES", "TRUE"}:
            return {}
        given = self._env.get("HF_TOKEN") or self._env.get("HUGGING_FACE_HUB_TOKEN") or ""
        token = _clean(given) or _clean(_text_of(self._token_file()))
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _token_file(self) -> Path:
        caches = self._env.get("XDG_CACHE_HOME") or "~/.cache"
        login = self._env.get("HF_HOME") or f"{caches}/huggingface"
        path = Template(self._env.get("HF_TOKEN_PATH") or f"{login}/token").safe_substitute(self._env)
        return self._home / path[2:] if path.startswith("~/") else Path(path)

    def download(self, snapshot: Snapshot, files: Sequence[RemoteFile], to: Path, events: Downloading) -> None:
        """Have `snapshot_download` do it, over Xet where the repository is stored there."""
        quiet = ("HF_HUB_DISABLE_TELEMETRY", "HF_HUB_DISABLE_UPDATE_CHECK", "HF_HUB_DISABLE_PROGRESS_BARS")
        own = {"HF_HUB_CACHE": str(to / ".cache" / "hub"), **dict.fromkeys(quiet, "1")}
        given = {
            "repo": snapshot.repo,
            "commit": snapshot.commit or snapshot.revision,
            "endpoint": self.endpoint,
            "to": str(to),
            "paths": None if len(files) == len(snapshot.files) else [file.path for file in files],
            "agent": self._network.user_agent,
        }
        _drop_orphans(to)
        try:
            child.call(
                _obtain,
                given,
                python=sys.executable,
                env={**self._env, **self._network.lent(to.parent), **own},
                folder=to,
                grown=events.grown,
                patience_s=VENDOR_PATIENCE_S,
            )
        finally:
            _drop_orphans(to)


def _obtain(repo: str, commit: str, endpoint: str, to: str, paths: list[str] | None, agent: str) -> None:
    """Download; run by `core.child`, in a process of its own."""
    from glob import escape

    from huggingface_hub import snapshot_download

    only = None if paths is None else [escape(path) for path in paths]
    snapshot_download(
        repo, revision=commit, local_dir=to, endpoint=endpoint, allow_patterns=only, user_agent={"tool": agent}
    )


def _drop_orphans(to: Path) -> None:
    """Remove unfinished files: the vendor gives each a new name, and never goes on with one.

    Source:
        huggingface_hub 2.4.0, file_download.py, read 2026-11.
    """
    for orphan in (to / ".cache" / "huggingface" / "download").rglob("*.incomplete"):
        orphan.unlink(missing_ok=True)


def _remote_file(entry: Mapping[str, Any]) -> RemoteFile:
    """Read one entry of the tree. An LFS entry's own `oid` is the hash of a pointer, not of the content."""
    path, lfs = str(entry["path"]), entry.get("lfs")
    if lfs is not None:
        size = int(lfs["size"])
        by_xet_only = size > LARGEST_OVER_HTTP_BYTES and bool(entry.get("xetHash"))
        return RemoteFile(path, size, sha256=str(lfs["oid"]), vendor_only=by_xet_only)
    return RemoteFile(path, int(entry["size"]), git_sha1=str(entry["oid"]))


def _is_repo_id(repo: str) -> bool:
    """Tell whether the hub could know such a name; no other one is put into an address."""
    return bool(_REPO_ID.fullmatch(repo)) and "--" not in repo and ".." not in repo and not repo.endswith(".git")


def _clean(token: str) -> str:
    """Return a token without line ends around it, or nothing when a header cannot carry it."""
    token = token.replace("\r", "").replace("\n", "").strip()
    return token if token.isascii() and token.isprintable() else ""


def _text_of(path: Path) -> str:
    """Read a file of the SDK's; an unreadable one counts as absent, as a new login replaces it."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


HUB = HuggingFace
