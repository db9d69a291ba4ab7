"""How hubs are asked: without the vendors' SDKs, with the token that a person gave them, and to the last folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from modelscope_hub.config import HubConfig

from internlm_setup.fetch.errors import BadAnswer, RepositoryMissing
from internlm_setup.fetch.model import Hub
from internlm_setup.playground import open_playground
from internlm_setup.playground.door import MODEL_IDS
from internlm_setup.playground.hub import Entry, HubServer, Repository
from servers.machine import MODEL, Machine
from servers.rude import listening

pytestmark = pytest.mark.loopback
SHA256, SHA1 = "ab" * 32, "cd" * 20
SDKS = {"huggingface_hub", "modelscope", "modelscope_hub", "openxlab", "requests", "httpx", "httpx2"}


def imported(log: str) -> set[str]:
    """The packages that Python's own account of imports names."""
    lines = (line.rsplit("|", 1) for line in log.splitlines() if line.startswith("import time:"))
    return {line[1].strip().split(".")[0] for line in lines if len(line) == 2}


def listed(machine: Machine, source: str) -> Hub:
    """Have a hub's model listed, and return the hub."""
    hub = machine.world().hub(source)
    hub.snapshot(MODEL_IDS[source], hub.default_revision)
    return hub


def sent(hub: HubServer) -> set[str | None]:
    """The tokens that came; a request is in the log when its answer has left."""
    hub.log.wait_for(lambda request: "/tree/" in request.path or request.path.endswith("/repo/files"))
    return {request.headers.get("authorization") for request in hub.log}


@pytest.mark.parametrize("source", ["auto", "modelscope", "huggingface", "openxlab"])
def test_a_fetch_imports_no_sdk(machine: Machine, source: str) -> None:
    """It would take longer than all the rest of a fetch that has nothing to do."""
    done = machine.run("fetch", MODEL, "--source", source, PYTHONPROFILEIMPORTTIME="1")
    assert done.code == 0
    found = imported(done.err)
    assert {"internlm_setup", "urllib3"} <= found
    assert found & SDKS == set()


VARIABLES = {
    "HF_TOKEN": {"HF_TOKEN": " hf_good\n"},
    "before the older name": {"HF_TOKEN": "hf_good", "HUGGING_FACE_HUB_TOKEN": "hf_bad"},
    "the older name": {"HUGGING_FACE_HUB_TOKEN": "hf_good"},
    "before a stored login": {"HF_TOKEN": "hf_good", "HF_TOKEN_PATH": "~/bad"},
    "HF_TOKEN_PATH": {"HF_TOKEN_PATH": "~/good", "HF_HOME": "~/nowhere"},
    "a path with a variable": {"HF_TOKEN_PATH": "${HOME}/good"},
    "HF_HOME": {"HF_HOME": "~/hf", "XDG_CACHE_HOME": "~/nowhere"},
    "XDG_CACHE_HOME": {"XDG_CACHE_HOME": "~/caches"},
    "an empty variable is none": {"HF_TOKEN": "", "HF_HOME": "", "XDG_CACHE_HOME": "~/caches"},
}


@pytest.mark.parametrize("variables", VARIABLES.values(), ids=VARIABLES)
def test_hugging_faces_token_is_found(machine: Machine, hub: HubServer, variables: Mapping[str, str]) -> None:
    for name in ("good", "bad", "hf/token", "caches/huggingface/token"):
        (machine.home / name).parent.mkdir(parents=True, exist_ok=True)
        (machine.home / name).write_text("hf_bad" if name == "bad" else "hf_good\n", encoding="utf-8")
    machine.variables = {**machine.variables, **variables}
    listed(machine, "huggingface")
    assert sent(hub) == {"Bearer hf_good"}


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"HF_TOKEN": "hf_good", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "yes"},
        {"HF_TOKEN": "hf_\x01bad"},  # no header can carry it
        {"HF_TOKEN": "hf_好"},
    ],
)
def test_hugging_face_without_a_token(machine: Machine, hub: HubServer, variables: Mapping[str, str]) -> None:
    machine.variables = {**machine.variables, **variables}
    listed(machine, "huggingface")
    assert sent(hub) == {None}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"MODELSCOPE_API_TOKEN": "ms-good"}, "Bearer ms-good"),
        ({"MODELSCOPE_API_TOKEN": ""}, None),
        ({}, "Bearer ms-stored"),
        ({"MODELSCOPE_HOME": "other"}, "Bearer ms-other"),
    ],
)
def test_modelscopes_token_is_found(
    machine: Machine, hub: HubServer, variables: dict[str, str], expected: str | None
) -> None:
    """What `modelscope login` stored is found where its SDK finds it; a variable wins, even an empty one."""
    for folder, token in ((".modelscope", "ms-stored"), ("other", "ms-other")):
        HubConfig(endpoint=machine.variables["MODELSCOPE_ENDPOINT"], config_dir=machine.home / folder).save_token(token)
    if "MODELSCOPE_HOME" in variables:
        variables = {"MODELSCOPE_HOME": str(machine.home / variables["MODELSCOPE_HOME"])}
    machine.variables = {**machine.variables, **variables}
    listed(machine, "modelscope")
    assert sent(hub) == {expected}
    cookies = {request.headers.get("cookie") for request in hub.log}
    assert cookies == {expected and expected.replace("Bearer ", "m_session_id=")}


@pytest.mark.parametrize(
    "repo", ["lab/a--b", "lab/a..b", "lab/name.git", "lab/-name", "lab/x/y", "lab/x?y", "lab/名字"]
)
def test_a_name_that_hugging_face_cannot_know_is_not_asked_for(machine: Machine, hub: HubServer, repo: str) -> None:
    with pytest.raises(RepositoryMissing):
        machine.world().hub("huggingface").snapshot(repo, "main")
    assert len(hub.log) == 0


def test_names_are_quoted(machine: Machine, hub: HubServer, tmp_path: Path) -> None:
    """A revision may hold a slash, a path almost anything."""
    path, odd = "a folder/50% #1?+&=.txt", "fix/50% #1?+&="
    (tmp_path / "served" / "a folder").mkdir(parents=True)
    (tmp_path / "served" / path).write_bytes(b"here")
    hub.add(Repository(MODEL_IDS, tmp_path / "served", revisions=frozenset({odd})))
    for source in ("huggingface", "modelscope"):
        one = machine.world().hub(source)
        snapshot = one.snapshot(MODEL_IDS[source], odd)
        assert [file.path for file in snapshot.files] == [path]
        where = one.locate(snapshot, snapshot.files[0])
        assert machine.world().network.request("GET", where.url).body == b"here"


def test_modelscopes_limit_is_passed_folder_by_folder(machine: Machine, hub: HubServer, tmp_path: Path) -> None:
    """More than 3000 entries in all, and in one folder of folders; no single one holds as many."""
    paths = [f"top{n}" for n in range(5)]
    paths += [f"wide/{a}/f{n}" for a in "abc" for n in range(1500)]
    paths += [f"small/f{n}" for n in range(7)]
    (tmp_path / "served").mkdir()
    entries = tuple(Entry(path, 1, SHA256, SHA1) for path in paths)
    hub.add(Repository(MODEL_IDS, tmp_path / "served", entries=entries))
    snapshot = machine.world().hub("modelscope").snapshot(MODEL_IDS["modelscope"], "master")
    assert sorted(file.path for file in snapshot.files) == sorted(paths)
    hub.log.wait_for(lambda _: len(hub.log) >= 2 + 1 + 2 + 3)  # the top twice; small; wide twice; those in it
    assert len(hub.log) == 8


def test_hugging_faces_pages_are_all_read(tmp_path: Path) -> None:
    with open_playground(weights_bytes=1 << 20, page_size=3) as hub:
        machine = Machine(tmp_path, hub.environment())
        asked = machine.world().hub("huggingface").snapshot(MODEL_IDS["huggingface"], "main")
        pages = [request for request in hub.log if "/tree/" in request.path]
    assert len(pages) > 3
    assert len(asked.files) == len({file.path for file in asked.files}) > 2 * 3


ODD = {
    "huggingface": ["[]", "{}", '{"id": "x", "sha": "c"}', "[" * 100_000],
    "modelscope": ["[]", "{}", '{"Data": {"Files": [7]}}', '{"Data": {"Files": [{"Path": "x"}]}}', "[" * 100_000],
}


@pytest.mark.parametrize(("source", "body"), [(source, body) for source, bodies in ODD.items() for body in bodies])
def test_json_of_another_shape_is_a_bad_answer(tmp_path: Path, source: str, body: str) -> None:
    said = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
    with listening(said.encode()) as server:
        machine = Machine(tmp_path, {"HF_ENDPOINT": server.url, "MODELSCOPE_ENDPOINT": server.url})
        with pytest.raises(BadAnswer):
            listed(machine, source)
