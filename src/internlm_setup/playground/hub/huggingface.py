"""Hugging Face's protocol: paged listings, redirects to a CDN, errors by `X-Error-Code`.

Spoken as huggingface_hub 2.4.0 and olah 0.5.4 (as a caching proxy) need it. There are no Xet
fields: without them every client uses plain HTTP.

Source:
    huggingface_hub 2.4.0 and traces of the real hub, read 2026-10.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from http import HTTPStatus
from urllib.parse import parse_qs, quote, urlencode

from internlm_setup.playground.hub.content import file_reply
from internlm_setup.playground.hub.library import Library
from internlm_setup.playground.hub.message import Call, Reply, json_reply, text_reply
from internlm_setup.playground.hub.repository import Entry, Shelf, Snapshot

HUB = "huggingface"
_POINTER_BYTES = 134
_MADE_ON = "2024-01-01T00:00:00.000Z"


def answer(call: Call, library: Library) -> Reply | None:
    """Answer a call in this protocol; None when its address is not one of ours."""
    match call.segments:
        case ("api", "whoami-v2"):
            return _whoami(call, library)
        case ("api", "models", owner, name, *rest):
            found = _shelf_for(call, library, f"{owner}/{name}")
            reply = found if isinstance(found, Reply) else _api(call, library, found, rest)
            return reply.about(HUB, "listing")
        case (owner, name, "resolve", revision, *parts) if parts:
            path = "/".join(parts)
            found = _shelf_for(call, library, f"{owner}/{name}")
            if isinstance(found, Shelf):
                reply = _gate(call, library, found) or _resolve(call, library, found, revision, path)
            else:
                reply = found
            return reply.about(HUB, "file", path)
        case _:
            return None


def _whoami(call: Call, library: Library) -> Reply:
    if not library.knows(HUB, call.bearer):
        return _error(401, "", "Invalid username or password.")
    role = {"displayName": "playground", "role": "read"}
    owner = {"type": "user", "id": "0" * 24, "name": "playground", "orgs": []}
    return json_reply({**owner, "auth": {"type": "access_token", "accessToken": role}})


def _shelf_for(call: Call, library: Library, repo_id: str) -> Shelf | Reply:
    """Return the shelf, or what keeps this caller from knowing of it."""
    known = library.knows(HUB, call.bearer)
    if call.bearer is not None and not known:
        return _error(401, "", "Invalid credentials in Authorization header")
    shelf = library.shelf(HUB, repo_id)
    if shelf is None or (shelf.repository.private and not known):
        words = "Repository not found" if known else "Invalid username or password."
        return _error(404 if known else 401, "RepoNotFound", words)
    if shelf.repository.disabled:
        return _error(403, "", "Access to this resource is disabled.")
    return shelf


def _gate(call: Call, library: Library, shelf: Shelf) -> Reply | None:
    """Return what keeps this caller from a gated model's files; names and sizes are public."""
    repository = shelf.repository
    known = library.knows(HUB, call.bearer)
    if not repository.gated or (known and repository.granted):
        return None
    words = f"Access to model {repository.ids[HUB]} is restricted"
    if known:
        return _error(403, "GatedRepo", f"{words} and you are not in the authorized list.")
    return _error(401, "GatedRepo", f"{words}. You must be authenticated to access it.")


def _api(call: Call, library: Library, shelf: Shelf, rest: list[str]) -> Reply:
    match rest:
        case []:
            return _model(call, library, shelf, "main")
        case ["refs"]:
            return _refs(shelf)
        case ["revision", revision]:
            return _model(call, library, shelf, revision)
        case ["tree", revision, *parts]:
            return _tree(call, library, shelf, revision, "/".join(parts))
        case ["paths-info", revision] if call.method == "POST":
            return _paths_info(call, library, shelf, revision)
        case _:
            return _error(404, "", "Sorry, we can't find the page you are looking for.")


def _refs(shelf: Shelf) -> Reply:
    commit = shelf.walk(HUB).commit
    names = ["main", *sorted(shelf.repository.revisions)]
    branches = [{"name": n, "ref": f"refs/heads/{n}", "targetCommit": commit} for n in names]
    return json_reply({"branches": branches, "tags": [], "converts": []})


def _error(status: int, code: str, message: str) -> Reply:
    named = {"X-Error-Message": message}
    if code:
        named["X-Error-Code"] = code
    if status == HTTPStatus.UNAUTHORIZED:
        named["WWW-Authenticate"] = 'Bearer realm="Authentication required", charset="UTF-8"'
    return json_reply({"error": message}, status, named)


def _no_revision(revision: str) -> Reply:
    return _error(404, "RevisionNotFound", f"Invalid rev id: {quote(revision)}")


def _model(call: Call, library: Library, shelf: Shelf, revision: str) -> Reply:
    snapshot = shelf.walk(HUB)
    if not library.has_revision(HUB, shelf, revision):
        return _no_revision(revision)
    name = shelf.repository.ids[HUB]
    with_blobs = call.query.get("blobs", "").lower() in {"true", "1"}
    files = [_sibling(entry, with_blobs=with_blobs) for entry in snapshot.entries.values()]
    card = {
        "_id": hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()[:24],
        "id": name,
        "modelId": name,
        "author": name.split("/")[0],
        "sha": snapshot.commit,
        "lastModified": _MADE_ON,
        "createdAt": _MADE_ON,
        "private": shelf.repository.private,
        "gated": "auto" if shelf.repository.gated else False,
        "disabled": shelf.repository.disabled,
        "tags": [],
        "downloads": 0,
        "likes": 0,
        "siblings": files,
    }
    return json_reply(card)


def _sibling(entry: Entry, *, with_blobs: bool) -> dict[str, object]:
    if not with_blobs:
        return {"rfilename": entry.path}
    row: dict[str, object] = {
        "rfilename": entry.path,
        "size": entry.size_bytes,
        "blobId": entry.git_sha1,
    }
    if entry.lfs:
        row["lfs"] = {
            "sha256": entry.sha256,
            "size": entry.size_bytes,
            "pointerSize": _POINTER_BYTES,
        }
    return row


def _tree(call: Call, library: Library, shelf: Shelf, revision: str, root: str) -> Reply:
    snapshot = shelf.latest(HUB) if "cursor" in call.query else shelf.walk(HUB)
    if not library.has_revision(HUB, shelf, revision):
        return _no_revision(revision)
    recursive = call.query.get("recursive", "").lower() in {"true", "1"}
    paths = _paths_under(snapshot, root, recursive=recursive)
    if root and not paths:
        return _error(404, "EntryNotFound", f'{root} does not exist on "{revision}"')
    start = _offset_of(call.query.get("cursor", ""))
    limit = call.query.get("limit", "")
    count = min(library.page_size, int(limit)) if limit.isdecimal() else library.page_size
    expand = call.query.get("expand", "").lower() in {"true", "1"}
    rows = [_row(snapshot, path, expand=expand) for path in paths[start : start + count]]
    headers = {}
    if start + count < len(paths):
        cursor = base64.urlsafe_b64encode(str(start + count).encode()).decode()
        query = urlencode({**call.query, "cursor": cursor, "limit": str(count)})
        where = f"{library.url}/{'/'.join(quote(part, safe='') for part in call.segments)}"
        headers["Link"] = f'<{where}?{query}>; rel="next"'
    return json_reply(rows, headers=headers)


def _offset_of(cursor: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(cursor or "MA=="))
    except ValueError:
        return 0


def _paths_under(snapshot: Snapshot, root: str, *, recursive: bool) -> list[str]:
    """Return files and folders under `root` in order, only the direct ones unless `recursive`."""
    prefix = f"{root}/" if root else ""
    found: dict[str, None] = {}
    for path in snapshot.entries:
        if not path.startswith(prefix):
            continue
        steps = path.removeprefix(prefix).split("/")
        if all(step not in {"", ".", ".."} for step in steps):
            ends = range(1, len(steps)) if recursive else range(1, min(2, len(steps)))
            found |= {prefix + "/".join(steps[:end]): None for end in ends}
            if not recursive and len(steps) > 1:
                continue
        found[path] = None
    return list(found)


def _row(snapshot: Snapshot, path: str, *, expand: bool) -> dict[str, object]:
    entry = snapshot.entries.get(path)
    if entry is None:
        oid = hashlib.sha1(f"{snapshot.commit}{path}".encode(), usedforsecurity=False).hexdigest()
        return {"type": "directory", "oid": oid, "size": 0, "path": path}
    row: dict[str, object] = {
        "type": "file",
        "oid": entry.git_sha1,
        "size": entry.size_bytes,
        "path": entry.path,
    }
    if entry.lfs:
        row["lfs"] = {"oid": entry.sha256, "size": entry.size_bytes, "pointerSize": _POINTER_BYTES}
    if expand:
        row["lastCommit"] = {"id": snapshot.commit, "title": "Upload model", "date": _MADE_ON}
    return row


def _paths_info(call: Call, library: Library, shelf: Shelf, revision: str) -> Reply:
    snapshot = shelf.walk(HUB)
    if not library.has_revision(HUB, shelf, revision):
        return _no_revision(revision)
    asked: Iterable[object]
    if "json" in call.headers.get("content-type", ""):
        value = call.json().get("paths", [])
        asked = value if isinstance(value, list) else [value]
    else:
        asked = parse_qs(call.body.decode(errors="replace")).get("paths", [])
    wanted = {str(path).strip("/") for path in asked}
    there = _paths_under(snapshot, "", recursive=True)
    return json_reply([_row(snapshot, path, expand=False) for path in there if path in wanted])


def _resolve(call: Call, library: Library, shelf: Shelf, revision: str, path: str) -> Reply:
    if not library.has_revision(HUB, shelf, revision):
        return _no_revision(revision)
    entry = shelf.find(HUB, path)
    headers = {"X-Repo-Commit": shelf.latest(HUB).commit, "Accept-Ranges": "bytes"}
    if entry is None:
        missing = {"X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found", **headers}
        return text_reply("Entry not found", 404, missing)
    if not entry.lfs:
        return file_reply(call, entry, {"ETag": f'"{entry.git_sha1}"', **headers})
    url = library.content_url(HUB, shelf.repository.ids[HUB], path)
    headers |= {
        "Location": url,
        "X-Linked-Size": str(entry.size_bytes),
        "X-Linked-ETag": f'"{entry.sha256}"',
        "Cache-Control": "no-store",
    }
    return text_reply(f"Found. Redirecting to {url}", 302, headers)
