"""OpenXLab's protocol: a login by key pair, one call that signs every address, and telemetry.

There is no listing with sizes and there are no revisions; `hash` is the md5 of a 256-byte sample,
as the real service gives it, and proves nothing. Weights are listed under a model's name,
everything else under its path, and the vendor's downloader saves both by `fileName`.

Source:
    openxlab 0.1.3, read 2026-10.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from internlm_setup.playground.hub.library import Library
from internlm_setup.playground.hub.message import Call, Reply, json_reply
from internlm_setup.playground.hub.repository import Entry, Shelf

HUB = "openxlab"
PREFIX = ("api", "v1")
_WEIGHTS = frozenset({".bin", ".safetensors", ".pt", ".pth", ".gguf", ".onnx"})
_SAMPLE_BYTES = 64
_SHANGHAI = timezone(timedelta(hours=8))
_OK = "10000"


class OpenXLab:
    """The protocol with what it must remember between calls: nonces and tokens it has given out."""

    def __init__(self, token_lifetime_s: float = 86400.0) -> None:
        self.token_lifetime_s = token_lifetime_s
        self._lock = threading.Lock()
        self._nonces: dict[str, str] = {}
        self._tokens: dict[str, datetime] = {}
        self._refresh_tokens: set[str] = set()

    def answer(self, call: Call, library: Library) -> Reply | None:
        """Answer a call in this protocol; None when its address is not one of ours."""
        match call.segments:
            case ("api", "v1", "sso-be", "api", "v1", "open", step):
                return self._login(step, call.json(), library).about(HUB, "other")
            case (
                "api",
                "v1",
                "model-center",
                "api",
                "v1",
                "cli",
                "repository",
                "getFileDownloadUrl",
            ):
                return self._addresses(call, library).about(HUB, "listing")
            case ("api", "v1", "data-bury", "api", "v1", "bury", "collect"):
                return _envelope(None).about(HUB, "other")
            case ("gw", "openxlab-xlab", "api", "v1", "cli", "version"):
                version = call.json().get("current_version", "0.1.3")
                newest = {"is_latest_version": True, "latest_version": f"OpenXLab {version}"}
                data = {**newest, "auto_update": False}
                return json_reply({"msgCode": _OK, "msg": "Success", "success": True, "data": data})
            case _:
                return None

    def _login(self, step: str, asked: Mapping[str, object], library: Library) -> Reply:
        ak = str(asked.get("ak", ""))
        if library.access is not None and ak != library.access.ak:
            return _refused("20001", "ak does not exist")
        if step == "auth":
            with self._lock:
                self._nonces[ak] = nonce = secrets.token_hex(16)
            return _envelope({"nonce": nonce, "algorithm": "HmacSHA256"})
        if step == "getJwt":
            return (
                self._jwt() if self._proves(ak, str(asked.get("d", "")), library) else _refused("20002", "d is wrong")
            )
        if step == "refreshJwt":
            good = asked.get("refresh_token") in self._refresh_tokens
            return self._jwt() if good else _refused("20003", "refresh token is wrong")
        return _refused("404", "no such call")

    def _proves(self, ak: str, d: str, library: Library) -> bool:
        with self._lock:
            nonce = self._nonces.pop(ak, None)
        if library.access is None or nonce is None:
            return nonce is not None
        proof = hmac.new(library.access.sk.encode(), nonce.encode(), hashlib.sha256).digest()
        return hmac.compare_digest(base64.b64encode(proof).decode(), d)

    def _jwt(self) -> Reply:
        expiration = datetime.now(_SHANGHAI) + timedelta(seconds=self.token_lifetime_s)
        jwt, refresh_token = (
            ".".join(secrets.token_urlsafe(n) for n in (9, 24, 32)),
            secrets.token_urlsafe(24),
        )
        with self._lock:
            self._tokens[jwt] = expiration
            self._refresh_tokens.add(refresh_token)
        fields = {
            "jwt": jwt,
            "expiration": _shown(expiration),
            "sso_uid": "10000",
            "refresh_token": refresh_token,
            "refresh_expiration": _shown(expiration + timedelta(days=7)),
        }
        return _envelope(fields)

    def _addresses(self, call: Call, library: Library) -> Reply:
        jwt = call.headers.get("authorization")
        if jwt is not None and self._tokens.get(jwt, datetime.now(_SHANGHAI)) <= datetime.now(_SHANGHAI):
            return _refused("10003", "token is invalid or has expired")
        asked = call.json()
        repo_id = f"{asked.get('userName')}/{asked.get('repositoryName')}"
        shelf = library.shelf(HUB, repo_id)
        if shelf is None or shelf.repository.disabled or (shelf.repository.private and jwt is None):
            return _inner("10404", f"repository {repo_id} does not exist", None)
        if shelf.repository.gated and (jwt is None or not shelf.repository.granted):
            return _inner("10403", f"no permission to download {repo_id}", None)
        return _inner(_OK, "Success", _signed(library, shelf, asked))


def _signed(library: Library, shelf: Shelf, asked: Mapping[str, object]) -> dict[str, object]:
    """Return the two tables of signed addresses, filtered as the caller asked."""
    models, paths, ignore = (_words(asked.get(k)) for k in ("modelNames", "filePaths", "ignore"))
    tables: dict[str, dict[str, object]] = {"modelNames": {}, "filePaths": {}}
    for entry in shelf.walk(HUB).entries.values():
        path = PurePosixPath(entry.path)
        kind = "modelNames" if path.suffix in _WEIGHTS else "filePaths"
        key = str(path.with_suffix("")) if kind == "modelNames" else entry.path
        chosen = models if kind == "modelNames" else paths
        everything = models is None and paths is None
        if not (everything or {key, entry.path, path.name} & set(chosen or ())):
            continue
        if any(fnmatchcase(name, pattern) for pattern in ignore or () for name in (entry.path, path.name, key)):
            continue
        url = library.content_url(HUB, shelf.repository.ids[HUB], entry.path)
        tables[kind][key] = {"url": url, "fileName": path.name, "hash": sample_md5(entry)}
    return {**tables}


def _words(value: object) -> list[str] | None:
    return [str(word) for word in value] if isinstance(value, list) else None


def sample_md5(entry: Entry) -> str:
    """Return the service's `hash`: md5 of 64 bytes at each end, twice; of all if 128 or fewer."""
    if entry.source is None:
        return hashlib.md5(entry.sha256.encode(), usedforsecurity=False).hexdigest()
    with entry.source.open("rb") as file:
        first = file.read(2 * _SAMPLE_BYTES)
        sample = first
        if entry.size_bytes > 2 * _SAMPLE_BYTES:
            file.seek(-_SAMPLE_BYTES, 2)
            sample = (first[:_SAMPLE_BYTES] + file.read(_SAMPLE_BYTES)) * 2
    return hashlib.md5(sample, usedforsecurity=False).hexdigest()


def _shown(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def _envelope(data: object) -> Reply:
    return _inner(_OK, "Success", data)


def _inner(code: str, message: str, data: object) -> Reply:
    trace_id = secrets.token_hex(16)
    inner = {"traceId": trace_id, "msgCode": code, "msg": message, "data": data}
    fields = {"traceId": trace_id, "msgCode": _OK, "msg": "Success", "data": inner, "success": True}
    return json_reply(fields)


def _refused(code: str, message: str) -> Reply:
    trace_id = secrets.token_hex(16)
    fields = {"traceId": trace_id, "msgCode": code, "msg": message, "data": None, "success": False}
    return json_reply(fields)
