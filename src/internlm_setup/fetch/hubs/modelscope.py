"""ModelScope, through `modelscope_hub.HubApi`: names to a snapshot pinned by its files; a file to its download URL.

The SDK knows the paths, the headers and the walk around the listing's limit of 3000 entries; patience, retries and the
trust store are ours: a courier carries its sessions' requests, and keeps the token at the endpoint's origin.

Source:
    modelscope-hub 0.5.1; protocol notes read 2026-10.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from internlm_setup.core import child
from internlm_setup.core.courier import Courier
from internlm_setup.core.http import Network, origin_of
from internlm_setup.core.retry import Busy
from internlm_setup.core.text import Text
from internlm_setup.fetch import errors
from internlm_setup.fetch.model import Downloading, Location, RemoteFile, Snapshot

TITLE = "ModelScope"
LOGIN = "`modelscope login` (or MODELSCOPE_API_TOKEN)"
LISTING_PATIENCE_S = 120.0
VENDOR_PATIENCE_S = 300.0
A_YEAR_S = 365 * 24 * 3600


class ModelScope:
    """ModelScope, or anything that speaks its protocol at another endpoint."""

    id = "modelscope"
    title = TITLE
    default_revision = "master"
    note: Text | None = None

    def __init__(self, *, endpoint: str | None, network: Network, env: Mapping[str, str], home: Path) -> None:
        address = endpoint or "https://modelscope.cn"
        self.endpoint = (address if "://" in address else f"https://{address}").rstrip("/")
        self._network = network
        self._origin = origin_of(self.endpoint)
        self._courier = Courier(network, self._origin)
        self._host = urlsplit(self.endpoint).hostname or ""
        self._config_dir = Path(env.get("MODELSCOPE_HOME") or home / ".modelscope")
        self._token = env.get("MODELSCOPE_API_TOKEN")
        self._env = env

    @cached_property
    def _api(self) -> Any:
        """Make the SDK's client with our adapter under both of its sessions."""
        from modelscope_hub import HubApi, __version__
        from modelscope_hub._legacy_api import LegacyClient
        from modelscope_hub.config import HubConfig

        config = HubConfig(endpoint=self.endpoint, token=self._token, config_dir=self._config_dir)
        api = HubApi(config)
        # Made here, so that the SDK does not write an install identifier into the home folder and send it along.
        agent = f"modelscope_hub/{__version__}; {self._network.user_agent}"
        api._legacy = LegacyClient(config.token, self.endpoint, user_agent=agent)
        adapter = _adapter(self._courier)
        for session in (api.legacy._session, api.legacy._read_session):
            session.mount("https://", adapter)
            session.mount("http://", adapter)
        return api

    def snapshot(self, repo: str, revision: str) -> Snapshot:
        """List one revision. ModelScope names no snapshot commit, so the set of files is the pin.

        Raises:
            SetupError: Unreachable, RepositoryMissing, RevisionMissing, RepositoryEmpty, TokenRefused, HubBusy,
                BadAnswer.
        """
        self._network.knock(self.endpoint)
        self._courier.give_up_s = time.monotonic() + LISTING_PATIENCE_S
        with self._naming(repo):
            entries = self._api.legacy.list_repo_files(repo, "model", revision=revision, recursive=True)
            files = tuple(_remote_file(e) for e in entries if e.get("Type") != "tree")
            if getattr(self._api.legacy._read_state, "listing_incomplete", False):
                raise errors.BadAnswer(TITLE, self._host, "a folder holds more files than its listing can show")
            if not files:
                raise self._nothing(repo, revision)
        return Snapshot(self.id, repo, revision, None, files)

    def _nothing(self, repo: str, revision: str) -> errors.RevisionMissing | errors.RepositoryEmpty:
        """An unknown revision is answered like an empty repository: 200 and `Files: null`. Ask which it is."""
        names = [str(r.get("Revision")) for r in self._api.legacy.list_revisions(repo, "model")]
        if revision in names:
            return errors.RepositoryEmpty(TITLE, repo)
        known = f" ({', '.join(names[:8])})" if names else ""
        return errors.RevisionMissing(TITLE, repo, revision, self.default_revision, known)

    def locate(self, snapshot: Snapshot, file: RemoteFile) -> Location:
        """Return the download URL; large files redirect from there to a CDN."""
        legacy = self._api.legacy
        url = legacy.get_download_url(snapshot.repo, "model", file.path, snapshot.revision)
        if not legacy.token:
            return Location(url, self._origin)
        token = {
            "Authorization": f"Bearer {legacy.token}",
            "Cookie": f"m_session_id={legacy.token}",
        }
        return Location(url, self._origin, token)

    def download(self, snapshot: Snapshot, files: Sequence[RemoteFile], to: Path, events: Downloading) -> None:
        """Have `HubApi.download_repo` do it, without its limit of an hour for each file."""
        given = {
            "repo": snapshot.repo,
            "revision": snapshot.revision,
            "endpoint": self.endpoint,
            "config": str(self._config_dir),
            "to": str(to),
            "listed": [{"Path": f.path, "Size": f.size_bytes} for f in files],
            "agent": self._network.user_agent,
        }
        own = {"MODELSCOPE_DOWNLOAD_TOTAL_TIMEOUT": str(A_YEAR_S), "MODELSCOPE_CACHE": str(to / ".cache")}
        child.call(
            _obtain,
            given,
            python=sys.executable,
            env={**self._env, **self._network.lent(to.parent), **own, "TQDM_DISABLE": "1"},
            folder=to,
            grown=events.grown,
            patience_s=VENDOR_PATIENCE_S,
        )

    @contextmanager
    def _naming(self, repo: str) -> Iterator[None]:
        """Turn the SDK's errors into ours, each with the host, the cause and the next command."""
        from modelscope_hub import errors as vendor

        try:
            yield
        except Busy as error:
            raise errors.HubBusy(TITLE, self._host, error.status, error.wait_s) from error
        except (vendor.NotExistError, vendor.InvalidParameter) as error:
            raise errors.RepositoryMissing(TITLE, repo, LOGIN) from error
        except (vendor.PermissionDeniedError, vendor.AuthenticationError) as error:
            status = int(getattr(error, "status_code", 0) or 403)
            raise errors.TokenRefused(TITLE, repo, status, LOGIN) from error
        except vendor.HubError as error:
            raise errors.BadAnswer(TITLE, self._host, str(error)[:200]) from error
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise errors.BadAnswer(TITLE, self._host, f"{type(error).__name__}: {error}"[:200]) from error


def _adapter(courier: Courier) -> Any:
    """Make the transport under the SDK's sessions: our courier carries their requests."""
    from requests import Response
    from requests.adapters import BaseAdapter

    base: Any = BaseAdapter

    class Adapter(base):  # type: ignore[misc]
        def send(self, request: Any, **_: Any) -> Any:
            body = request.body.encode() if isinstance(request.body, str) else request.body
            answer = courier.carry(request.method, request.url, request.headers, body)
            response: Any = Response()
            response.status_code, response.url, response.request = answer.status, request.url, request
            response.headers.update(answer.headers)
            response.encoding = "utf-8"
            response.raw = io.BytesIO(answer.body)
            response._content, response._content_consumed = answer.body, True
            return response

        def close(self) -> None:
            pass

    return Adapter()


def _obtain(
    repo: str, revision: str, endpoint: str, config: str, to: str, listed: list[dict[str, object]], agent: str
) -> None:
    """Download; run by `core.child`, in a process of its own.

    The listing is ours, so no second one can name other files; it has no hashes, since each file is hashed afterwards
    anyway. The SDK's install identifier is neither made nor sent.
    """
    import os
    from pathlib import Path

    from modelscope_hub import HubApi, __version__
    from modelscope_hub._legacy_api import LegacyClient
    from modelscope_hub.config import HubConfig
    from modelscope_hub.errors import FileDownloadError

    HubConfig.get_session_id = lambda _self: ""
    settings = HubConfig(endpoint=endpoint, token=os.environ.get("MODELSCOPE_API_TOKEN"), config_dir=Path(config))
    api = HubApi(settings)
    api._legacy = LegacyClient(settings.token, endpoint, user_agent=f"modelscope_hub/{__version__}; {agent}")
    try:
        api.download_repo(repo, "model", revision=revision, local_dir=to, file_list=listed, user_agent=agent)
    except FileDownloadError as error:
        raise next(iter(error.failed_files.values()), error) from None


def _remote_file(entry: Mapping[str, Any]) -> RemoteFile:
    """Read one entry of the listing. `Sha256` is of the real content, LFS or not."""
    return RemoteFile(str(entry["Path"]), int(entry["Size"]), sha256=str(entry["Sha256"]).lower() or None)


HUB = ModelScope
