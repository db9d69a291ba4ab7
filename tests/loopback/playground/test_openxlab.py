"""OpenXLab's protocol, request by request."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path
from typing import Any

import pytest

from internlm_setup.playground.hub import Access, HubServer, Repository
from servers.asking import ask, post_json

pytestmark = pytest.mark.loopback
ADDRESSES = "/model-center/api/v1/cli/repository/getFileDownloadUrl"
LOGIN = "/sso-be/api/v1/open/"


def addresses(hub: HubServer, repository: str = "InternLM-chat-7b", jwt: str | None = None, **asked: object) -> Any:
    body = {"userName": "OpenLMLab", "repositoryName": repository, "clientFrom": "0"}
    headers = {} if jwt is None else {"Authorization": jwt}
    url = hub.endpoints["openxlab"] + ADDRESSES
    return post_json(url, {**body, "modelNames": None, "filePaths": None, **asked}, headers).json()


def login(hub: HubServer, access: Access) -> Any:
    open_url = hub.endpoints["openxlab"] + LOGIN
    nonce = post_json(open_url + "auth", {"ak": access.ak}).json()
    if nonce["msgCode"] != "10000":
        return nonce
    fields = nonce["data"]["data"]
    assert fields["algorithm"] == "HmacSHA256"
    proof = hmac.new(access.sk.encode(), fields["nonce"].encode(), hashlib.sha256).digest()
    d = base64.b64encode(proof).decode()
    return post_json(open_url + "getJwt", {"ak": access.ak, "d": d}).json()


def test_addresses_of_everything(hub: HubServer) -> None:
    """Weights are listed by model name, the rest by path; every address is signed and anonymous."""
    answer = addresses(hub)
    assert set(answer) == {"traceId", "msgCode", "msg", "data", "success"}
    tables = answer["data"]["data"]
    assert len(tables["modelNames"]) == 8
    assert {"config.json", "tokenizer.model"} <= set(tables["filePaths"])
    row = tables["modelNames"]["pytorch_model-00001-of-00008"]
    assert row["fileName"] == "pytorch_model-00001-of-00008.bin"
    assert row["url"].startswith(hub.cdn_url)
    content = ask(row["url"]).body
    ends = content[:64] + content[-64:]
    assert row["hash"] == hashlib.md5(ends + ends).hexdigest()
    assert int(ask(row["url"], "HEAD").headers["content-length"]) == len(content)


def test_filters(hub: HubServer) -> None:
    """Model names, file paths and `ignore` choose what is signed."""
    tables = addresses(hub, modelNames=["pytorch_model-00002-of-00008"])["data"]["data"]
    assert (list(tables["modelNames"]), tables["filePaths"]) == (
        ["pytorch_model-00002-of-00008"],
        {},
    )
    tables = addresses(hub, filePaths=["config.json"])["data"]["data"]
    assert (tables["modelNames"], list(tables["filePaths"])) == ({}, ["config.json"])
    tables = addresses(hub, ignore=["*.bin", "README.md"])["data"]["data"]
    assert tables["modelNames"] == {}
    assert "README.md" not in tables["filePaths"]


def test_unknown_repository(hub: HubServer) -> None:
    """The inner code says no."""
    answer = addresses(hub, "no-such")
    assert answer["msgCode"] == "10000"
    assert answer["data"]["msgCode"] != "10000"


def test_login_needs_the_right_keys(tmp_path: Path) -> None:
    """The nonce is signed with the secret key; a wrong proof, a used nonce and a wrong key fail."""
    (tmp_path / "a.txt").write_text("hello")
    repository = Repository({"openxlab": "OpenLMLab/x"}, tmp_path, private=True)
    with HubServer([repository], access=Access("ak", "sk")) as hub:
        good = login(hub, Access("ak", "sk"))
        jwt = good["data"]["data"]["jwt"]
        assert set(good["data"]["data"]) == {*("jwt", "expiration", "sso_uid", "refresh_token", "refresh_expiration")}
        assert login(hub, Access("ak", "wrong"))["msgCode"] != "10000"
        assert login(hub, Access("other", "sk"))["msgCode"] != "10000"
        assert addresses(hub, "x")["data"]["msgCode"] != "10000"
        assert addresses(hub, "x", jwt="made up")["msgCode"] != "10000"
        assert "a.txt" in addresses(hub, "x", jwt=jwt)["data"]["data"]["filePaths"]


def test_refreshing(hub: HubServer) -> None:
    """A refresh token gives a new token, another one does not; without keys any login passes."""
    first = login(hub, Access("any", "any"))["data"]["data"]
    url = hub.endpoints["openxlab"] + LOGIN
    body = {"ak": "any", "refresh_token": first["refresh_token"]}
    again = post_json(url + "refreshJwt", body).json()["data"]["data"]
    assert again["jwt"] != first["jwt"]
    wrong = post_json(url + "refreshJwt", {"ak": "any", "refresh_token": "x"}).json()
    assert wrong["msgCode"] != "10000"
    assert post_json(url + "noSuchCall", {"ak": "any"}).json()["msgCode"] != "10000"


def test_gated(tmp_path: Path) -> None:
    """A gated repository needs a token."""
    (tmp_path / "a.txt").write_text("hello")
    with HubServer([Repository({"openxlab": "OpenLMLab/x"}, tmp_path, gated=True)]) as hub:
        assert addresses(hub, "x")["data"]["msgCode"] == "10403"
        jwt = login(hub, Access("ak", "sk"))["data"]["data"]["jwt"]
        assert "a.txt" in addresses(hub, "x", jwt=jwt)["data"]["data"]["filePaths"]


def test_telemetry_and_version(hub: HubServer) -> None:
    """What the vendor's program also calls is answered."""
    bury = post_json(hub.endpoints["openxlab"] + "/data-bury/api/v1/bury/collect", {}).json()
    assert bury["data"]["msgCode"] == "10000"
    url = f"{hub.url}/gw/openxlab-xlab/api/v1/cli/version"
    version = post_json(url, {"current_version": "0.1.3"}).json()
    assert version["data"]["is_latest_version"] is True
