"""ModelScope's protocol, request by request."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from internlm_setup.playground.hub import Entry, Fault, HubServer, Repository
from servers.asking import ask, post_json

pytestmark = pytest.mark.loopback
MODEL = "Shanghai_AI_Laboratory/internlm-chat-7b"
SHARD = "pytorch_model-00001-of-00008.bin"


def api(hub: HubServer, rest: str = "", model: str = MODEL) -> str:
    return f"{hub.url}/api/v1/models/{model}{rest}"


def serve(folder: Path, **facts: object) -> Repository:
    (folder / "a.txt").write_text("hello")
    return Repository({"modelscope": "org/name"}, folder, **facts)  # type: ignore[arg-type]


def test_listing_has_sha256_of_every_file(hub: HubServer) -> None:
    """Small files too; ModelScope's twin has a `configuration.json` more."""
    answer = ask(api(hub, "/repo/files?Revision=master&Recursive=True")).json()
    assert (answer["Code"], answer["Success"], answer["Message"]) == (200, True, "success")
    rows = {row["Path"]: row for row in answer["Data"]["Files"]}
    for path in ("README.md", "configuration.json"):
        content = ask(api(hub, f"/repo?Revision=master&FilePath={path}")).body
        assert rows[path]["Sha256"] == hashlib.sha256(content).hexdigest()
        assert rows[path]["Size"] == len(content)
    assert rows[SHARD]["IsLFS"] is True
    committer = answer["Data"]["LatestCommitter"]
    assert (committer["Id"], len(committer["ShortId"])) == ("", 8)


def test_folders_and_roots(tmp_path: Path) -> None:
    """`Root` narrows the listing, `Recursive` opens folders, a missing root is 404."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.txt").write_text("b")
    with HubServer([serve(tmp_path)]) as hub:
        url = api(hub, "/repo/files?Revision=master", "org/name")
        flat = ask(url + "&Recursive=False").json()["Data"]["Files"]
        assert [(row["Path"], row["Type"]) for row in flat] == [("a.txt", "blob"), ("sub", "tree")]
        under = ask(url + "&Recursive=True&Root=sub").json()["Data"]["Files"]
        assert [row["Path"] for row in under] == ["sub/b.txt"]
        assert ask(url + "&Root=nowhere").status == 404


def test_listing_stops_at_3000(tmp_path: Path) -> None:
    """A longer listing is cut without a word, as on the real site."""
    entries = tuple(Entry(f"{n:05d}", 1, "0" * 64, "1" * 40) for n in range(3001))
    with HubServer([serve(tmp_path, entries=entries)]) as hub:
        url = api(hub, "/repo/files?Revision=master&Recursive=True", "org/name")
        assert len(ask(url).json()["Data"]["Files"]) == 3000


def test_unknown_revision_is_silence(hub: HubServer) -> None:
    """The listing answers 200 with `Files: null`; the file itself is 404."""
    listing = ask(api(hub, "/repo/files?Revision=main&Recursive=True"))
    assert (listing.status, listing.json()["Data"]["Files"]) == (200, None)
    file = ask(api(hub, "/repo?Revision=main&FilePath=README.md"))
    assert (file.status, file.json()["Code"]) == (404, 10990101007)


def test_missing_things_have_codes(hub: HubServer) -> None:
    """Repository and file are told apart by `Code`."""
    for rest in ("", "/repo/files", "/repo?FilePath=a", "/revisions"):
        missing = ask(api(hub, rest, "no/such"))
        assert (missing.status, missing.json()["Code"]) == (404, 10010205001)
    file = ask(api(hub, "/repo?Revision=master&FilePath=no.such"))
    assert (file.status, file.json()["Code"]) == (404, 10990101007)
    card = ask(f"{hub.url}/openapi/v1/models/no/such")
    assert (card.status, card.json()["success"]) == (404, False)
    assert ask(api(hub, "/no-such-call")).status == 404


def test_large_files_are_redirected_to_the_cdn(hub: HubServer) -> None:
    """Both spellings of a file's address lead to the same signed bytes."""
    by_query = ask(api(hub, f"/repo?Revision=master&FilePath={SHARD}"))
    by_path = ask(f"{hub.url}/models/{MODEL}/resolve/master/{SHARD}")
    assert by_query.status == by_path.status == 302
    content = ask(by_query.headers["location"]).body
    assert by_query.headers["x-linked-etag"] == f'"{hashlib.sha256(content).hexdigest()}"'
    assert ask(by_path.headers["location"]).body == content
    assert "OSSAccessKeyId=" in by_query.headers["location"]


def test_ranges_may_come_as_200(hub: HubServer) -> None:
    """Ranges are 206, or 200 with Content-Range when switched so."""
    url = api(hub, "/repo?Revision=master&FilePath=README.md")
    part = {"Range": "bytes=2-5"}
    assert ask(url, headers=part).status == 206
    hub.faults.add(Fault("range-200", hub="modelscope"))
    answer = ask(url, headers=part)
    assert (answer.status, len(answer.body)) == (200, 4)
    assert answer.headers["content-range"].startswith("bytes 2-5/")


def test_cards(hub: HubServer) -> None:
    """The card by both interfaces, the revisions, the acceleration probe."""
    assert ask(api(hub)).json()["Data"]["Name"] == "internlm-chat-7b"
    card = ask(f"{hub.url}/openapi/v1/models/{MODEL}").json()
    assert (card["success"], card["data"]["id"]) == (True, MODEL)
    revisions = ask(api(hub, "/revisions")).json()["Data"]["RevisionMap"]
    assert [row["Revision"] for row in revisions["Branches"]] == ["master"]
    probe = ask(f"{hub.url}/api/v1/repos/internalAccelerationInfo").json()
    assert probe["Data"]["InternalRegionQueryAddress"] == ""


def test_gates(tmp_path: Path) -> None:
    """A wrong token is no token; the cookie counts as much as the header."""
    cookie, bearer = {"Cookie": "m_session_id=good"}, {"Authorization": "Bearer good"}
    bad = {"Authorization": "Bearer bad"}
    with HubServer([serve(tmp_path, private=True)], tokens={"modelscope": "good"}) as hub:
        files = api(hub, "/repo/files", "org/name")
        assert [ask(files, headers=h).status for h in ({}, bad, bearer, cookie)] == [*(404, 404, 200, 200)]
        hub.add(serve(tmp_path, gated=True))
        file = api(hub, "/repo?FilePath=a.txt", "org/name")
        assert ask(files).status == 200
        assert [ask(file, headers=h).status for h in ({}, bearer)] == [403, 200]
        login = f"{hub.url}/api/v1/login"
        assert post_json(login, {"AccessToken": "good"}).json()["Success"] is True
        assert post_json(login, {"AccessToken": "bad"}).json()["Code"] == 10010103009
