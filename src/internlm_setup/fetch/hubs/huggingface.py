"""Hugging Face, through `huggingface_hub`: names to a snapshot pinned by its commit; a file to its resolve URL.

The SDK asks and parses; patience, retries and the trust store are ours. Its shared HTTP client is replaced while we
list, by one whose requests a courier carries: it sends the token to the endpoint's origin only (`Link: next` may point
elsewhere) and raises our errors, so that the SDK neither retries nor logs on its own.

Source:
    huggingface_hub 2.4.0 (also spoken: 1.x); protocol notes read 2026-10.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from internlm_setup.core import child
from internlm_setup.core.courier import Courier
from internlm_setup.core.errors import SetupError
from internlm_setup.core.http import Network, origin_of
from internlm_setup.core.retry import Busy
from internlm_setup.core.text import Text
from internlm_setup.fetch import errors
from internlm_setup.fetch.model import Downloading, Location, RemoteFile, Snapshot

TITLE = "Hugging Face"
LOGIN = "`hf auth login` (or HF_TOKEN)"
LISTING_PATIENCE_S = 120.0
MOST_ENTRIES = 200_000
_OF_THE_WIRE = {"content-encoding", "transfer-encoding", "content-length"}  # undone already
VENDOR_PATIENCE_S = 300.0
_CLIENT_LOCK = threading.Lock()


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
        self._env = env
        del home  # the SDK finds HF_TOKEN and the stored login itself

    def snapshot(self, repo: str, revision: str) -> Snapshot:
        """List one revision, pinned to its commit.

        Raises:
            SetupError: Unreachable, RepositoryMissing, RevisionMissing, RepositoryEmpty, Gated, TokenRefused, HubBusy,
                BadAnswer.
        """
        self._network.knock(self.endpoint)
        from huggingface_hub import HfApi
        from huggingface_hub.hf_api import RepoFile

        api = HfApi(endpoint=self.endpoint, library_name="internlm-setup")
        with self._listening(), self._naming(repo, revision):
            info = api.model_info(repo, revision=revision)
            commit = info.sha or revision
            tree = api.list_repo_tree(repo, recursive=True, revision=commit)
            files = tuple(_remote_file(e) for e in islice(tree, MOST_ENTRIES) if isinstance(e, RepoFile))
        if not files:
            raise errors.RepositoryEmpty(TITLE, repo)
        snapshot = Snapshot(self.id, repo, revision, commit, files)
        if info.gated:
            self._try_the_gate(snapshot)
        return snapshot

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
        from huggingface_hub import hf_hub_url
        from huggingface_hub.utils import build_hf_headers

        url = hf_hub_url(
            snapshot.repo,
            file.path,
            revision=snapshot.commit or snapshot.revision,
            endpoint=self.endpoint,
        )
        sent = build_hf_headers(library_name="internlm-setup")
        token = {k: v for k, v in sent.items() if k.lower() == "authorization"}
        return Location(url, self._origin, token)

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

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Have the SDK use our client for a while; one thread at a time, since the SDK shares one client."""
        from huggingface_hub import set_client_factory
        from huggingface_hub.utils import _http

        with _CLIENT_LOCK:
            before = getattr(_http, "_GLOBAL_CLIENT_FACTORY", _http.default_client_factory)
            library = getattr(_http, "httpx2", None) or getattr(_http, "httpx")  # noqa: B009  # whichever it is built on
            give_up_s = time.monotonic() + LISTING_PATIENCE_S
            client = _client(library, Courier(self._network, self._origin, give_up_s))
            set_client_factory(lambda: client)
            try:
                yield
            finally:
                set_client_factory(before)

    @contextmanager
    def _naming(self, repo: str, revision: str) -> Iterator[None]:
        """Turn the SDK's errors into ours, each with the host, the cause and the next command."""
        from huggingface_hub import errors as vendor

        try:
            yield
        except Busy as error:
            raise errors.HubBusy(TITLE, self._host, error.status, error.wait_s) from error
        except vendor.GatedRepoError as error:
            page = f"{self.endpoint}/{repo}"
            raise errors.Gated(TITLE, repo, page, LOGIN) from error
        except vendor.DisabledRepoError as error:
            raise errors.RepositoryDisabled(TITLE, repo) from error
        except vendor.RevisionNotFoundError as error:
            raise errors.RevisionMissing(TITLE, repo, revision, self.default_revision) from error
        except vendor.RepositoryNotFoundError as error:
            raise errors.RepositoryMissing(TITLE, repo, LOGIN) from error
        except vendor.HFValidationError as error:
            raise errors.RepositoryMissing(TITLE, repo, LOGIN) from error
        except vendor.HfHubHTTPError as error:
            raise self._refused(error, repo) from error
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise errors.BadAnswer(TITLE, self._host, f"{type(error).__name__}: {error}"[:200]) from error

    def _refused(self, error: Any, repo: str) -> SetupError:
        status = int(getattr(error.response, "status_code", 0))
        if status in {401, 403}:
            return errors.TokenRefused(TITLE, repo, status, LOGIN)
        if status == 404:
            return errors.RepositoryMissing(TITLE, repo, LOGIN)
        return errors.BadAnswer(TITLE, self._host, f"HTTP {status}")


def _client(library: Any, courier: Courier) -> Any:
    """Make a client of the SDK's own library (httpx or httpx2) whose requests our courier carries."""

    class Transport(library.BaseTransport):  # type: ignore[misc]
        def handle_request(self, request: Any) -> Any:
            agent = f"{courier.network.user_agent} {request.headers.get('User-Agent', '')}"
            headers = {**request.headers, "user-agent": agent}
            answer = courier.carry(request.method, str(request.url), headers, request.read() or None)
            told = {k: v for k, v in answer.headers.items() if k not in _OF_THE_WIRE}
            return library.Response(answer.status, headers=told, content=answer.body)

    return library.Client(transport=Transport(), follow_redirects=True)


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


def _remote_file(entry: Any) -> RemoteFile:
    """Read one entry of the tree. An LFS entry's own `blob_id` is the hash of a pointer, not of the content."""
    if entry.lfs is not None:
        return RemoteFile(entry.path, entry.lfs.size, sha256=entry.lfs.sha256)
    return RemoteFile(entry.path, entry.size, git_sha1=entry.blob_id)


HUB = HuggingFace
