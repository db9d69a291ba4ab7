"""ModelScope's protocol: an envelope, sha256 of every file, silence on an unknown revision.

Spoken as modelscope-hub 0.5.1 needs it, with the real site's oddities: a listing stops without a
word at 3000 entries, and an unknown revision is answered with 200 and `Files: null`.

Source:
    modelscope-hub 0.5.1 and recorded answers of the real site, read 2026-10.
"""

from __future__ import annotations

import secrets
from http.cookies import CookieError, SimpleCookie

from internlm_setup.playground.hub.content import file_reply
from internlm_setup.playground.hub.library import Library
from internlm_setup.playground.hub.message import Call, Reply, json_reply, text_reply
from internlm_setup.playground.hub.repository import Entry, Shelf, Snapshot

HUB = "modelscope"
LISTING_LIMIT = 3000
_OK = 200
_REPO_MISSING = 10010205001
_FILE_MISSING = 10990101007
_TOKEN_WRONG = 10010103009
_MADE_AT = 1704067200
_COMMITTER = "playground"


def answer(call: Call, library: Library) -> Reply | None:
    """Answer a call in this protocol; None when its address is not one of ours."""
    match call.segments:
        case ("api", "v1", "login"):
            return _login(call, library)
        case ("api", "v1", "repos", "internalAccelerationInfo"):
            return _envelope({"InternalRegionQueryAddress": ""}).about(HUB, "other")
        case ("api", "v1", "models", owner, name, *rest):
            return _api(call, library, f"{owner}/{name}", rest)
        case ("models", owner, name, "resolve", revision, *parts) if parts:
            return _file(call, library, f"{owner}/{name}", revision, "/".join(parts))
        case ("openapi", "v1", "models", owner, name):
            return _card(call, library, f"{owner}/{name}").about(HUB, "listing")
        case _:
            return None


def _api(call: Call, library: Library, repo_id: str, rest: list[str]) -> Reply | None:
    if rest == ["repo"]:
        revision = call.query.get("Revision", "master")
        return _file(call, library, repo_id, revision, call.query.get("FilePath", ""))
    shelf = _readable(call, library, repo_id)
    if shelf is None:
        return _error(404, _REPO_MISSING, "record not found").about(HUB, "listing")
    match rest:
        case []:
            owner, name = repo_id.split("/")
            card = {"Path": owner, "Name": name, "Revision": "master", "Visibility": 5}
            return _envelope(card).about(HUB, "listing")
        case ["repo", "files"]:
            return _listing(call, library, shelf).about(HUB, "listing")
        case ["revisions"]:
            names = ["master", *sorted(shelf.repository.revisions)]
            branches = [{"Revision": name, "CreatedAt": _MADE_AT} for name in names]
            return _envelope({"RevisionMap": {"Branches": branches, "Tags": []}}).about(HUB, "listing")
        case _:
            return None


def _envelope(data: object, code: int = _OK, message: str = "success", status: int = 200) -> Reply:
    fields = {
        "Code": code,
        "Data": data,
        "Message": message,
        "RequestId": secrets.token_hex(16),
        "Success": code == _OK,
    }
    return json_reply(fields, status)


def _error(status: int, code: int, message: str) -> Reply:
    return _envelope(None, code, message, status)


def _token(call: Call) -> str | None:
    try:
        cookie = SimpleCookie(call.headers.get("cookie", "")).get("m_session_id")
    except CookieError:
        cookie = None
    return call.bearer or (cookie.value if cookie is not None else None)


def _login(call: Call, library: Library) -> Reply:
    token = call.json().get("AccessToken")
    if not library.knows(HUB, token if isinstance(token, str) else None):
        return _error(400, _TOKEN_WRONG, "AccessToken is invalid or expired")
    return _envelope({"Username": "playground", "Email": "", "AccessToken": token})


def _readable(call: Call, library: Library, repo_id: str) -> Shelf | None:
    """Return the shelf this caller may see; a wrong token is no token here."""
    shelf = library.shelf(HUB, repo_id)
    if shelf is None or shelf.repository.disabled:
        return None
    return None if shelf.repository.private and not library.knows(HUB, _token(call)) else shelf


def _card(call: Call, library: Library, repo_id: str) -> Reply:
    shelf = _readable(call, library, repo_id)
    request_id = secrets.token_hex(16)
    if shelf is None:
        missing = {"success": False, "code": "NotFound", "message": "record not found"}
        return json_reply({**missing, "request_id": request_id}, 404)
    owner, name = repo_id.split("/")
    total = sum(entry.size_bytes for entry in shelf.walk(HUB).entries.values())
    card: dict[str, object] = {
        "id": repo_id,
        "owner": owner,
        "name": name,
        "display_name": name,
        "visibility": "private" if shelf.repository.private else "public",
        "private": shelf.repository.private,
        "gated": shelf.repository.gated,
        "file_size": total,
        "tags": [],
        "downloads": 0,
        "likes": 0,
    }
    return json_reply({"success": True, "request_id": request_id, "data": card})


def _listing(call: Call, library: Library, shelf: Shelf) -> Reply:
    snapshot = shelf.walk(HUB)
    revision = call.query.get("Revision", "master")
    if not library.has_revision(HUB, shelf, revision):
        return _envelope({"Files": None, "IsVisual": 0, "LatestCommitter": None})
    root = call.query.get("Root", "").strip("/")
    recursive = call.query.get("Recursive", "").lower() in {"true", "1"}
    rows = _rows_under(snapshot, root, recursive=recursive)
    if root and not rows:
        return _error(404, _FILE_MISSING, f"{root} not found")
    committer = {
        "Id": "",
        "ShortId": snapshot.commit[:8],
        "CommitterName": _COMMITTER,
        "CreatedAt": _MADE_AT,
        "Title": "Upload model",
    }
    data = {"Files": rows[:LISTING_LIMIT], "IsVisual": 0, "LatestCommitter": committer}
    return _envelope(data)


def _rows_under(snapshot: Snapshot, root: str, *, recursive: bool) -> list[dict[str, object]]:
    """Return rows of files and folders under `root`, only the direct ones unless `recursive`."""
    prefix = f"{root}/" if root else ""
    rows: dict[str, dict[str, object]] = {}
    for path, entry in snapshot.entries.items():
        if not path.startswith(prefix):
            continue
        steps = path.removeprefix(prefix).split("/")
        if all(step not in {"", ".", ".."} for step in steps):
            ends = range(1, len(steps)) if recursive else range(1, min(2, len(steps)))
            for folder in (prefix + "/".join(steps[:end]) for end in ends):
                rows.setdefault(folder, _row(folder, None, snapshot))
            if not recursive and len(steps) > 1:
                continue
        rows[path] = _row(path, entry, snapshot)
    return list(rows.values())


def _row(path: str, entry: Entry | None, snapshot: Snapshot) -> dict[str, object]:
    return {
        "CommitMessage": "Upload model",
        "CommittedDate": _MADE_AT,
        "CommitterName": _COMMITTER,
        "Id": entry.git_sha1 if entry is not None else "",
        "InCheck": False,
        "IsLFS": entry is not None and entry.lfs,
        "Mode": "33188" if entry is not None else "16384",
        "Name": path.rsplit("/", 1)[-1],
        "Path": path,
        "Revision": snapshot.commit,
        "Sha256": entry.sha256 if entry is not None else "",
        "Size": entry.size_bytes if entry is not None else 0,
        "Type": "blob" if entry is not None else "tree",
    }


def _file(call: Call, library: Library, repo_id: str, revision: str, path: str) -> Reply:
    shelf = _readable(call, library, repo_id)
    if shelf is None:
        return _error(404, _REPO_MISSING, "record not found").about(HUB, "file", path)
    return _file_of(call, library, shelf, revision, path).about(HUB, "file", path)


def _file_of(call: Call, library: Library, shelf: Shelf, revision: str, path: str) -> Reply:
    repository = shelf.repository
    if not library.has_revision(HUB, shelf, revision):
        return _error(404, _FILE_MISSING, "revision not found")
    if repository.gated and not (repository.granted and library.knows(HUB, _token(call))):
        return _error(403, 403, "the model is gated; apply for access on its page first")
    entry = shelf.find(HUB, path)
    if entry is None:
        return _error(404, _FILE_MISSING, f"file {path} not found")
    if not entry.lfs:
        return file_reply(call, entry, {"ETag": f'"{entry.sha256}"'})
    url = library.content_url(HUB, repository.ids[HUB], path)
    headers = {
        "Location": url,
        "X-Linked-ETag": f'"{entry.sha256}"',
        "X-Linked-Size": str(entry.size_bytes),
    }
    return text_reply(f"Found. Redirecting to {url}", 302, headers)
