"""Hugging Face's protocol, request by request."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from internlm_setup.playground.hub import Entry, HubServer, Repository
from servers.asking import ask

pytestmark = pytest.mark.loopback
MODEL = "internlm/internlm-chat-7b"
SHARD = "pytorch_model-00001-of-00008.bin"


def api(hub: HubServer, rest: str = "") -> str:
    return f"{hub.url}/api/models/{MODEL}{rest}"


def resolve(hub: HubServer, path: str, revision: str = "main") -> str:
    return f"{hub.url}/{MODEL}/resolve/{revision}/{path}"


def serve(folder: Path, **facts: object) -> Repository:
    (folder / "a.txt").write_text("hello")
    return Repository({"huggingface": "org/name"}, folder, **facts)  # type: ignore[arg-type]


def test_revision_names_the_commit_and_the_files(hub: HubServer) -> None:
    """The branch, the commit and no revision at all show the same model."""
    answer = ask(api(hub, "/revision/main"))
    commit = answer.json()["sha"]
    assert len(commit) == 40
    assert {"rfilename": SHARD} in answer.json()["siblings"]
    assert ask(api(hub, f"/revision/{commit}")).json() == answer.json() == ask(api(hub)).json()
    assert ask(api(hub, "/revision/main"), "HEAD").body == b""


def test_blobs_add_sizes_and_hashes(hub: HubServer) -> None:
    """`?blobs=true` says size and hash of every file."""
    rows = {row["rfilename"]: row for row in ask(api(hub, "?blobs=true")).json()["siblings"]}
    content = ask(ask(resolve(hub, SHARD)).headers["location"]).body
    assert rows[SHARD]["lfs"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert "lfs" not in rows["config.json"]


def test_tree_lists_git_hashes_and_lfs_hashes(hub: HubServer) -> None:
    """Small files carry their git blob's sha1, LFS files their pointer's and the sha256."""
    rows = {row["path"]: row for row in ask(api(hub, "/tree/main?recursive=true")).json()}
    readme = ask(resolve(hub, "README.md")).body
    blob = b"blob %d\0" % len(readme) + readme
    assert rows["README.md"]["oid"] == hashlib.sha1(blob).hexdigest()
    size, sha256 = rows[SHARD]["size"], rows[SHARD]["lfs"]["oid"]
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
    blob = b"blob %d\0" % len(pointer) + pointer
    assert rows[SHARD]["oid"] == hashlib.sha1(blob).hexdigest()
    assert rows[SHARD]["lfs"]["pointerSize"] == 134
    assert "xetHash" not in rows[SHARD]


def test_tree_walks_folders(tmp_path: Path) -> None:
    """Without `recursive` a folder is one row; with it, its files follow; a path narrows."""
    (tmp_path / "sub" / "deep").mkdir(parents=True)
    (tmp_path / "sub" / "deep" / "b.txt").write_text("b")
    repository = serve(tmp_path)
    with HubServer([repository]) as hub:
        tree = f"{hub.url}/api/models/org/name/tree/main"
        assert [r["path"] for r in ask(tree).json()] == ["a.txt", "sub"]
        everything = ["a.txt", "sub", "sub/deep", "sub/deep/b.txt"]
        assert [r["path"] for r in ask(tree + "/?recursive=1").json()] == everything
        assert [r["path"] for r in ask(tree + "/sub").json()] == ["sub/deep"]
        assert ask(tree + "/nowhere").headers["x-error-code"] == "EntryNotFound"
        expanded = ask(tree + "/sub/deep?expand=true").json()[0]
        assert expanded["lastCommit"]["id"]


def test_pages_are_linked_until_the_last(tmp_path: Path) -> None:
    """Following `rel="next"` sees every entry once; `limit` makes pages smaller."""
    entries = tuple(Entry(f"{n:05d}.txt", 1, "0" * 64, "1" * 40) for n in range(25))
    with HubServer([serve(tmp_path, entries=entries)], page_size=10) as hub:
        url: str | None = f"{hub.url}/api/models/org/name/tree/main?recursive=true"
        seen, pages = [], 0
        while url is not None:
            answer = ask(url)
            seen += [row["path"] for row in answer.json()]
            pages += 1
            link = answer.headers.get("link")
            url = link[1 : link.index(">")] if link else None
        assert (seen, pages) == ([entry.path for entry in entries], 3)
        first = ask(f"{hub.url}/api/models/org/name/tree/main?limit=4&cursor=nonsense")
        assert len(first.json()) == 4
        assert first.headers["link"].endswith('rel="next"')


@pytest.mark.parametrize("path", ["../out", "/abs", "C:\\x", "a/../../b", "nl\nesc\x1b", "Ünï"])
def test_any_entry_can_be_listed(tmp_path: Path, path: str) -> None:
    """A made-up listing is served as it is, for clients to refuse; it has no bytes."""
    entries = (Entry(path, 10**18, "0" * 64, "1" * 40, lfs=True),)
    with HubServer([serve(tmp_path, entries=entries)]) as hub:
        rows = ask(f"{hub.url}/api/models/org/name/tree/main?recursive=true").json()
        assert rows[-1]["path"] == path
        assert rows[-1]["size"] == 10**18


@pytest.mark.parametrize("ending", ["", "/"])
def test_paths_info_takes_forms_and_json(hub: HubServer, ending: str) -> None:
    """Both spellings of a body, with and without a trailing slash, give the rows asked for."""
    url = api(hub, f"/paths-info/main{ending}")
    form = urlencode({"paths": ["config.json", "no.such"], "expand": "False"}, doseq=True)
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    by_form = ask(url, "POST", kind, form.encode()).json()
    body = json.dumps({"paths": ["config.json", "no.such"]}).encode()
    by_json = ask(url, "POST", {"Content-Type": "application/json"}, body).json()
    assert [row["path"] for row in by_form] == ["config.json"]
    assert by_form == by_json


def test_small_files_come_from_the_hub(hub: HubServer) -> None:
    """HEAD and GET agree on length, ETag and commit; a range is honoured."""
    head, get = ask(resolve(hub, "README.md"), "HEAD"), ask(resolve(hub, "README.md"))
    assert head.status == get.status == 200
    assert int(head.headers["content-length"]) == len(get.body)
    assert head.headers["etag"] == get.headers["etag"]
    assert len(head.headers["x-repo-commit"]) == 40
    part = ask(resolve(hub, "README.md"), headers={"Range": "bytes=4-7"})
    assert (part.status, part.body) == (206, get.body[4:8])


def test_large_files_are_redirected_to_the_cdn(hub: HubServer) -> None:
    """The redirect carries size, sha256 and commit, and leads to another origin."""
    for method in ("HEAD", "GET"):
        answer = ask(resolve(hub, SHARD), method)
        assert answer.status == 302
        assert answer.headers["location"].startswith(hub.cdn_url)
        assert len(answer.headers["x-linked-etag"]) == 66
        assert answer.headers["cache-control"] == "no-store"
    answer = ask(resolve(hub, SHARD), "HEAD")
    content = ask(answer.headers["location"])
    assert int(answer.headers["x-linked-size"]) == len(content.body)
    assert answer.headers["x-linked-etag"] == f'"{hashlib.sha256(content.body).hexdigest()}"'


def test_missing_things_have_codes(hub: HubServer) -> None:
    """Repository, revision and entry are told apart by `X-Error-Code`."""
    anonymous = ask(f"{hub.url}/api/models/no/such/revision/main")
    assert (anonymous.status, anonymous.headers["x-error-code"]) == (401, "RepoNotFound")
    known = ask(f"{hub.url}/api/models/no/such", headers={"Authorization": "Bearer t"})
    assert (known.status, known.headers["x-error-code"]) == (404, "RepoNotFound")
    for url in (api(hub, "/revision/v9"), api(hub, "/tree/v9"), resolve(hub, "a", "refs%2Fpr%2F9")):
        assert ask(url).headers["x-error-code"] == "RevisionNotFound"
    missing = ask(resolve(hub, "no.such"))
    assert (missing.status, missing.body) == (404, b"Entry not found")
    assert missing.headers["x-error-code"] == "EntryNotFound"
    assert missing.headers["x-repo-commit"]
    assert ask(f"{hub.url}/api/agent-harnesses").status == 404
    assert ask(api(hub, "/no-such-call")).status == 404


def test_gates(tmp_path: Path) -> None:
    """A gated model shows its names to all and its files to those let in; a private one nothing."""
    tokens = {"huggingface": "good"}
    good, bad = {"Authorization": "Bearer good"}, {"Authorization": "Bearer bad"}
    with HubServer([serve(tmp_path, gated=True)], tokens=tokens) as hub:
        card, file = f"{hub.url}/api/models/org/name", f"{hub.url}/org/name/resolve/main/a.txt"
        assert ask(card).json()["gated"] == "auto"
        assert ask(file).headers["x-error-code"] == "GatedRepo"
        assert ask(file).status == 401
        assert ask(file, headers=good).body == b"hello"
        assert ask(file, headers=bad).status == 401
        assert ask(f"{hub.url}/api/whoami-v2", headers=good).json()["name"] == "playground"
        assert ask(f"{hub.url}/api/whoami-v2").status == 401
        hub.add(serve(tmp_path, gated=True, granted=False))
        assert ask(file, headers=good).status == 403
        hub.add(serve(tmp_path, private=True))
        assert ask(card).headers["x-error-code"] == "RepoNotFound"
        assert ask(card, headers=good).status == 200
        hub.add(serve(tmp_path, disabled=True))
        assert "disabled" in ask(card, headers=good).headers["x-error-message"]


def test_revisions_that_exist(tmp_path: Path) -> None:
    """Extra names are branches, and may be spelt with an escaped slash."""
    with HubServer([serve(tmp_path, revisions=frozenset({"v1.0", "refs/pr/1"}))]) as hub:
        file = f"{hub.url}/org/name/resolve/refs%2Fpr%2F1/a.txt"
        assert ask(file).body == b"hello"
        refs = ask(f"{hub.url}/api/models/org/name/refs").json()
        assert [branch["name"] for branch in refs["branches"]] == ["main", "refs/pr/1", "v1.0"]


def test_links_keep_to_the_hub(tmp_path: Path) -> None:
    """The next page is at the hub itself, whatever name the client used for it."""
    entries = tuple(Entry(str(n), 1, "0" * 64, "1" * 40) for n in range(3))
    with HubServer([serve(tmp_path, entries=entries)], page_size=2) as hub:
        url = f"{hub.url}/api/models/org/name/tree/main"
        link = ask(url, headers={"Host": "elsewhere.invalid"}).headers["link"]
        assert urlsplit(link[1 : link.index(">")]).netloc == urlsplit(hub.url).netloc
