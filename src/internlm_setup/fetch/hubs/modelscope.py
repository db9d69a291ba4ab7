"""ModelScope, spoken by us: names to a snapshot pinned by its files; a file to its download URL.

A listing is one request, and several where it reaches the limit of 3000 entries. The vendor's SDK is imported by
nothing but its own downloader, in a process of its own.

Source:
    modelscope-hub 0.5.1: _legacy_api.py (list_repo_files, list_revisions, get_download_url), config.py, errors.py,
    read 2026-11.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlencode, urlsplit

from internlm_setup.core import child
from internlm_setup.core.asking import Asking, json_object
from internlm_setup.core.http import Network, origin_of
from internlm_setup.core.retry import Busy
from internlm_setup.core.text import Text
from internlm_setup.fetch import errors
from internlm_setup.fetch.model import Downloading, Location, RemoteFile, Snapshot

TITLE = "ModelScope"
LOGIN = "MODELSCOPE_API_TOKEN (or `modelscope login`)"
LISTING_PATIENCE_S = 120.0
LISTING_LIMIT = 3000
MOST_ENTRIES = 200_000
VENDOR_PATIENCE_S = 300.0
A_YEAR_S = 365 * 24 * 3600
REPOSITORY_MISSING = 10010205001
TOKEN_WRONG = 10010103009
_HAS = Text(en=" (it has: {names})", zh="（现有：{names}）")


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
        self._host = urlsplit(self.endpoint).hostname or ""
        self._config_dir = Path(env.get("MODELSCOPE_HOME") or home / ".modelscope")
        self._env = env

    def snapshot(self, repo: str, revision: str) -> Snapshot:
        """List one revision. ModelScope names no snapshot commit, so the set of files is the pin.

        Raises:
            SetupError: Unreachable, RepositoryMissing, RevisionMissing, RepositoryEmpty, TokenRefused, HubBusy,
                BadAnswer.
        """
        asking = Asking(self._network, self._origin, self._secrets, time.monotonic() + LISTING_PATIENCE_S)
        try:
            entries = islice(self._walk(asking, repo, revision), MOST_ENTRIES)
            files = tuple(_remote_file(entry) for entry in entries)
            if not files:
                raise self._nothing(asking, repo, revision)
        except Busy as error:
            raise errors.HubBusy(TITLE, self._host, error.status, error.wait_s) from error
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise errors.BadAnswer(TITLE, self._host, f"{type(error).__name__}: {error}"[:200]) from error
        return Snapshot(self.id, repo, revision, None, files)

    def _walk(self, asking: Asking, repo: str, revision: str) -> Iterator[Mapping[str, Any]]:
        """List every file; a listing that was cut off at the limit is asked for again, folder by folder.

        Raises:
            BadAnswer: One folder alone reaches the limit, so nobody can tell what else is in it.
        """
        folders, known = [""], {""}
        while folders:
            folder = folders.pop()
            entries = self._list(asking, repo, revision, folder, recursive=True)
            if len(entries) >= LISTING_LIMIT:
                entries = self._list(asking, repo, revision, folder, recursive=False)
                below = {str(entry["Path"]) for entry in entries if _is_folder(entry)} - known
                if len(entries) >= LISTING_LIMIT or not below:
                    raise errors.BadAnswer(TITLE, self._host, "a folder holds more files than its listing can show")
                folders += sorted(below)
                known |= below
            yield from (entry for entry in entries if not _is_folder(entry))

    def _list(self, asking: Asking, repo: str, revision: str, folder: str, *, recursive: bool) -> list[Any]:
        asked = {"Revision": revision, "Recursive": str(recursive), **({"Root": folder} if folder else {})}
        data = self._ask(asking, repo, f"/repo/files?{urlencode(asked)}")
        return list((data.get("Files") if isinstance(data, dict) else data) or ())

    def _nothing(self, asking: Asking, repo: str, revision: str) -> errors.RevisionMissing | errors.RepositoryEmpty:
        """An unknown revision is answered like an empty repository: 200 and `Files: null`. Ask which it is."""
        known = (self._ask(asking, repo, "/revisions") or {}).get("RevisionMap") or {}
        named = [*(known.get("Tags") or ()), *(known.get("Branches") or ())]
        names = [str(one.get("Revision")) for one in named]
        if revision in names:
            return errors.RepositoryEmpty(TITLE, repo)
        shown = _HAS.fill(names=", ".join(names[:8])) if names else Text(en="", zh="")
        return errors.RevisionMissing(TITLE, repo, revision, self.default_revision, shown)

    def _ask(self, asking: Asking, repo: str, path: str) -> Any:
        """Ask about one repository and take the data out of the envelope; raise what a refusal means."""
        answer = asking.get(f"{self._api(repo)}{path}")
        if answer.status in {401, 403}:
            raise errors.TokenRefused(TITLE, repo, answer.status, LOGIN)
        if answer.status == 404:
            raise errors.RepositoryMissing(TITLE, repo, LOGIN)
        if answer.status not in {200, 400}:
            raise errors.BadAnswer(TITLE, self._host, f"HTTP {answer.status}")
        envelope = json_object(answer)
        if envelope.get("Code") == TOKEN_WRONG:
            raise errors.TokenRefused(TITLE, repo, answer.status, LOGIN)
        if envelope.get("Code") == REPOSITORY_MISSING or answer.status == 400:
            raise errors.RepositoryMissing(TITLE, repo, LOGIN)
        return envelope["Data"]

    def _api(self, repo: str) -> str:
        return f"{self.endpoint}/api/v1/models/{quote(repo)}"

    def locate(self, snapshot: Snapshot, file: RemoteFile) -> Location:
        """Return the download URL; large files redirect from there to a CDN."""
        at = f"Revision={quote_plus(snapshot.revision)}&FilePath={quote_plus(file.path)}"
        return Location(f"{self._api(snapshot.repo)}/repo?{at}", self._origin, self._secrets)

    @cached_property
    def _secrets(self) -> dict[str, str]:
        """Return the headers that hold the token: the variable's, even an empty one, else the stored login's.

        Source:
            modelscope-hub 0.5.1, config.py (HubConfig), _legacy_api.py (_ensure_session_auth), read 2026-11.
        """
        token = self._env.get("MODELSCOPE_API_TOKEN")
        token = (self._stored_token() if token is None else token).strip()
        if not token or not (token.isascii() and token.isprintable()):  # a header cannot carry such a one
            return {}
        return {"Authorization": f"Bearer {token}", "Cookie": f"m_session_id={token}"}

    def _stored_token(self) -> str:
        """Return the session of `modelscope login`, where there is one; its file is the SDK's own, so the SDK reads it.

        A file that cannot be read counts as none: a new login replaces it.
        """
        if not (self._config_dir / "credentials" / "cookies").is_file():
            return ""
        from modelscope_hub.config import HubConfig

        try:
            return HubConfig(endpoint=self.endpoint, config_dir=self._config_dir).load_token() or ""
        except Exception:  # noqa: BLE001  # whatever a damaged file makes of it
            return ""

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


def _is_folder(entry: Mapping[str, Any]) -> bool:
    return bool(entry.get("Type") == "tree")


def _remote_file(entry: Mapping[str, Any]) -> RemoteFile:
    """Read one entry of the listing. `Sha256` is of the real content, LFS or not."""
    return RemoteFile(str(entry["Path"]), int(entry["Size"]), sha256=str(entry["Sha256"]).lower() or None)


HUB = ModelScope
