"""OpenXLab, spoken by us: its SDK's pins cannot live beside ours, and it needs three requests.

A nonce is signed with the secret key for a JWT (only when there are keys; reading public models needs none), and one
call answers signed URLs for every file. Those carry no sizes, so each is asked for its first byte. The `hash` in the
answer is an md5 of a few sampled bytes: no proof of anything, and not used. No telemetry is sent.

Source:
    openxlab 0.1.3 (read 2026-11): xlab/clients/auth_client.py, xlab/handler/user_token.py,
    model/clients/openapi_client.py.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from internlm_setup.core.files import write_atomically
from internlm_setup.core.http import Answer, Network, origin_of
from internlm_setup.core.parallel import each
from internlm_setup.core.reach import Unreachable
from internlm_setup.core.retry import TRY_LATER, asked_wait_s
from internlm_setup.core.text import Text
from internlm_setup.fetch import errors
from internlm_setup.fetch.model import Location, RemoteFile, Snapshot

TITLE = "OpenXLab"
LOGIN = "OPENXLAB_AK and OPENXLAB_SK"
URLS_PATH = "/model-center/api/v1/cli/repository/getFileDownloadUrl"
SHANGHAI = timezone(timedelta(hours=8))
GOOD = "10000"
SIZE_ASKERS = 8


class OpenXLab:
    """OpenXLab's model centre."""

    id = "openxlab"
    title = TITLE
    default_revision = ""
    note: Text | None = Text(
        en="OpenXLab is no longer maintained; use ModelScope or Hugging Face where you can "
        "(its maintainer, InternLM issue 813, 2025-01-15)",
        zh="OpenXLab 已不再维护；请尽量使用 ModelScope 或 Hugging Face（维护者说明：InternLM issue 813，2025-01-15）",
    )

    def __init__(self, *, endpoint: str | None, network: Network, env: Mapping[str, str], home: Path) -> None:
        self.endpoint = (endpoint or "https://openapi.openxlab.org.cn/api/v1").rstrip("/")
        self._host = urlsplit(self.endpoint).hostname or ""
        self._network = network
        self._folder = home / ".openxlab"
        self._keys = (env.get("OPENXLAB_AK", "").strip(), env.get("OPENXLAB_SK", "").strip())
        self._kinds: dict[tuple[str, str], tuple[str, str]] = {}
        self._fresh: dict[tuple[str, str], str] = {}

    def snapshot(self, repo: str, revision: str) -> Snapshot:
        """List the repository; there are no revisions here, so naming one is an error.

        Raises:
            SetupError: Unreachable, RepositoryMissing, RevisionMissing, RepositoryEmpty, TokenRefused, HubBusy,
                BadAnswer.
        """
        if revision:
            raise errors.RevisionMissing(TITLE, repo, revision, "-")
        self._network.knock(self.endpoint)
        urls = self._urls(repo, None, None)
        if not urls:
            raise errors.RepositoryEmpty(TITLE, repo)
        files = each(self._measured, urls.items(), SIZE_ASKERS)
        self._fresh.update({(repo, path): url for path, url in urls.items()})
        return Snapshot(self.id, repo, "", None, tuple(files))

    def locate(self, snapshot: Snapshot, file: RemoteFile) -> Location:
        """Return the signed URL of the listing the first time, a newly signed one after that."""
        at = (snapshot.repo, file.path)
        url = self._fresh.pop(at, None)
        if url is None:
            kind, name = self._kinds[at]
            models, paths = ([name], None) if kind == "modelNames" else (None, [name])
            url = self._urls(snapshot.repo, models, paths).get(file.path)
        if url is None:
            raise errors.FileMissing(TITLE, file.path, 404)
        expires = parse_qs(urlsplit(url).query).get("Expires", [""])[0]
        return Location(url, origin_of(self.endpoint), {}, float(expires) if expires.isdigit() else None)

    def _urls(self, repo: str, models: list[str] | None, paths: list[str] | None) -> dict[str, str]:
        """Ask for signed URLs, by path. `models` and `paths` narrow the answer; both None means everything."""
        user, _, name = repo.partition("/")
        asked = {
            "userName": user,
            "repositoryName": name,
            "modelNames": models,
            "filePaths": paths,
            "clientFrom": "0",
            "ignore": None,
        }
        data = self._post(URLS_PATH, asked, repo, token=self._token(repo))
        urls: dict[str, str] = {}
        try:
            for kind in ("modelNames", "filePaths"):
                for key, value in (data.get(kind) or {}).items():
                    path = str(value["fileName"] if kind == "modelNames" else key)
                    urls[path] = str(value["url"])
                    self._kinds[repo, path] = (kind, key)
        except (KeyError, TypeError, AttributeError) as error:
            raise errors.BadAnswer(TITLE, self._host, f"{type(error).__name__}: {error}") from error
        return urls

    def _measured(self, listed: tuple[str, str]) -> RemoteFile:
        """Ask a signed URL for its first byte and read length and tag off the answer (a HEAD is signed differently)."""
        path, url = listed
        try:
            answer = self._ask_size(url)
        except Unreachable:  # one of a hundred small requests may go wrong
            answer = self._ask_size(url)
        if answer.status in TRY_LATER:
            raise errors.HubBusy(TITLE, self._host, answer.status, asked_wait_s(answer.headers, time.time()))
        total = re.fullmatch(r"bytes (?:0-0|\*)/([0-9]{1,18})", answer.headers.get("content-range", ""))
        etag = answer.headers.get("etag")
        if total:
            return RemoteFile(path, int(total[1]), etag=etag)
        if answer.headers.get("content-type", "").startswith("text/html") and not path.endswith((".html", ".htm")):
            raise errors.BadAnswer(TITLE, self._host, f"a web page in the place of {path!r}")
        length = answer.headers.get("content-length", "")
        known = answer.status == 200 and re.fullmatch(r"[0-9]{1,18}", length)
        return RemoteFile(path, int(length) if known else None, etag=etag)

    def _ask_size(self, url: str) -> Answer:
        return self._network.request("GET", url, headers={"Range": "bytes=0-0"}, most_bytes=1)

    def _token(self, repo: str) -> str | None:
        """Return a JWT: the stored one while it is good, else a new one for our keys, else None (anonymous)."""
        stored = _read_json(self._folder / "token.json")
        if _good_until(stored, "expiration") > time.time() + 30:
            return str(stored["jwt"])
        config = _read_json(self._folder / "config.json")
        ak, sk = self._keys if all(self._keys) else (config.get("ak", ""), config.get("sk", ""))
        if not ak or not sk:
            return None
        try:
            told = self._post("/sso-be/api/v1/open/auth", {"ak": ak}, repo)
            signed = hmac.new(sk.encode(), str(told["nonce"]).encode(), hashlib.sha256).digest()
            proof = {"ak": ak, "d": base64.b64encode(signed).decode()}
            token = self._post("/sso-be/api/v1/open/getJwt", proof, repo)
            jwt = str(token["jwt"])
        except errors.RepositoryMissing as error:  # no repository was asked for yet: the keys are wrong
            raise errors.TokenRefused(TITLE, repo, 401, LOGIN) from error
        except KeyError as error:
            raise errors.BadAnswer(TITLE, self._host, f"no {error} in it") from error
        token["refresh_time"] = datetime.now(SHANGHAI).strftime("%Y-%m-%d %H:%M:%S")
        text = json.dumps(token, indent=4, sort_keys=True)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        write_atomically(self._folder / "token.json", text.encode(), mode=0o600)
        return jwt

    def _post(self, path: str, value: Mapping[str, object], repo: str, token: str | None = None) -> dict[str, Any]:
        """Send JSON and return the inner `data` of a good answer."""
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if token:
            headers["Authorization"] = token
        url, body = self.endpoint + path, json.dumps(value).encode()
        answer = self._network.request("POST", url, headers=headers, body=body)
        if answer.status in TRY_LATER:
            wait_s = asked_wait_s(answer.headers, time.time())
            raise errors.HubBusy(TITLE, self._host, answer.status, wait_s)
        if answer.status in {401, 403}:
            raise errors.TokenRefused(TITLE, repo, answer.status, LOGIN)
        return self._opened(answer, repo)

    def _opened(self, answer: Answer, repo: str) -> dict[str, Any]:
        """Take the data out of the two envelopes; a code other than 10000 in either is a refusal."""
        try:
            outer = json.loads(answer.body)
            inner = outer["data"] if outer.get("msgCode") == GOOD else outer
            if inner["msgCode"] == GOOD:
                return dict(inner["data"])
            words = str(inner.get("msg", ""))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            detail = f"HTTP {answer.status}, {type(error).__name__}"
            raise errors.BadAnswer(TITLE, self._host, detail) from error
        if re.search(r"auth|token|permission|login|access key|登录|权限", words, re.IGNORECASE):
            raise errors.TokenRefused(TITLE, repo, answer.status, LOGIN)
        raise errors.RepositoryMissing(TITLE, repo, LOGIN)


def _read_json(path: Path) -> dict[str, Any]:
    """Read one of the SDK's files; an unreadable one counts as absent, as a new login replaces it."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _good_until(token: Mapping[str, Any], name: str) -> float:
    """Return the Unix time in one of the SDK's date fields (Shanghai time), 0 when it is not there."""
    try:
        when = datetime.strptime(f"{token.get(name)} +0800", "%Y-%m-%d %H:%M:%S %z")
    except ValueError:
        return 0.0
    return when.timestamp()


HUB = OpenXLab
