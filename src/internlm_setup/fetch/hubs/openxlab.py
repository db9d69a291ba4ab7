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
import importlib.util
import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from internlm_setup.core import child, sidecar
from internlm_setup.core.files import write_atomically
from internlm_setup.core.http import Answer, Network, origin_of
from internlm_setup.core.parallel import each
from internlm_setup.core.paths import Paths
from internlm_setup.core.reach import Unreachable
from internlm_setup.core.retry import TRY_LATER, asked_wait_s
from internlm_setup.core.text import Text
from internlm_setup.fetch import errors
from internlm_setup.fetch.model import Downloading, Location, RemoteFile, Snapshot

TITLE = "OpenXLab"
LOGIN = "OPENXLAB_AK and OPENXLAB_SK"
URLS_PATH = "/model-center/api/v1/cli/repository/getFileDownloadUrl"
SHANGHAI = timezone(timedelta(hours=8))
GOOD = "10000"
SIZE_ASKERS = 8
VENDOR_PATIENCE_S = 60.0  # its requests have no time limit of their own
SDK = sidecar.Sidecar("openxlab-0.1.3", ("openxlab==0.1.3",), "openxlab.model", "70 MB")


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
        self._env, self._state = env, Paths.of(env, home).state
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

    def download(self, snapshot: Snapshot, files: Sequence[RemoteFile], to: Path, events: Downloading) -> None:
        """Have openxlab's `download` do it: in our environment when it is installed there, else in its own."""
        if importlib.util.find_spec("openxlab"):
            python, env = sys.executable, self._env
        else:
            python, env = str(sidecar.ready(SDK, self._state, self._env, events.note)), sidecar.apart(self._env)
        given = {
            "repo": snapshot.repo,
            "endpoint": self.endpoint,
            "to": str(to),
            "paths": [file.path for file in files],
            "agent": self._network.user_agent,
        }
        child.call(
            _obtain,
            given,
            python=python,
            env={**env, **self._network.lent(to.parent)},
            folder=to,
            grown=events.grown,
            patience_s=VENDOR_PATIENCE_S,
        )

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
                    origin_of(urls[path])  # or it is no address
                    self._kinds[repo, path] = (kind, key)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
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


def _obtain(repo: str, endpoint: str, to: str, paths: list[str], agent: str) -> None:
    """Download; run by `core.child`, in a process of its own and without the rest of this module.

    Its telemetry has no time limit and keeps the process from ending, so none is sent. It saves files under the name
    that the answer gives, wherever that leads and even if two are the same, and has no way to ask for some files only:
    so the answer is narrowed to the asked paths, and each file is named by its path. It asks for a cache in the home
    folder and leaves links to it, unless told otherwise.
    """
    from pathlib import Path

    from openxlab.model.common import bury
    from openxlab.model.handler import download_file
    from openxlab.xlab.handler import user_token

    bury.bury_thread_pool.submit_task = lambda *_asked, **_named: None
    download_file.requests.utils.default_user_agent = lambda *_named: agent
    download_file.endpoint = endpoint
    user_token.AUTH_CLIENT.endpoint = f"{endpoint}/sso-be/api/v1/open/"

    class Narrowed(download_file.OpenapiClient):  # type: ignore[misc]
        def get_download_url(self, *asked: object) -> tuple[dict[str, object], dict[str, object]]:
            try:
                models, files = super().get_download_url(*asked)
            except ValueError as error:  # which `download` would print, and return as if all were well
                raise RuntimeError(str(error)) from error
            named = {str(value["fileName"]): value for value in (models or {}).values()}
            named |= {str(path): {**value, "fileName": str(path)} for path, value in (files or {}).items()}
            return {}, {path: value for path, value in named.items() if path in paths}

    download_file.OpenapiClient = Narrowed
    for path in paths:
        (Path(to) / path).parent.mkdir(parents=True, exist_ok=True)
    download_file.download(repo, output=to, overwrite=True, cache=False)


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
