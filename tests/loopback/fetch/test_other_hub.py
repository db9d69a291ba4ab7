"""A hub that another distribution brings: found by its entry point, with no edit here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from internlm_setup.playground import make_standin
from internlm_setup.playground.hub import HubServer, Repository
from servers.machine import MODEL, Machine

pytestmark = pytest.mark.loopback
# The hub serves what the playground has, under a protocol of its own: none at all but the files' addresses.
MYLAB = '''
"""A hub in forty lines, as docs/how-to/add-a-hub.md has it."""
import json
from internlm_setup.core.http import origin_of
from internlm_setup.fetch.model import Location, RemoteFile, Snapshot


class MyLab:
    id = "mylab"
    title = "My Lab"
    default_revision = ""
    note = None

    def __init__(self, *, endpoint, network, env, home):
        self.endpoint = endpoint or env["MYLAB_ENDPOINT"]
        self._network = network

    def snapshot(self, repo, revision):
        url = f"{self.endpoint}/api/v1/models/{repo}/repo/files?Revision=master&Recursive=true"
        rows = json.loads(self._network.request("GET", url).body)["Data"]["Files"]
        files = tuple(RemoteFile(r["Path"], r["Size"], sha256=r["Sha256"]) for r in rows if r["Type"] == "blob")
        return Snapshot(self.id, repo, revision, None, files)

    def locate(self, snapshot, file):
        url = f"{self.endpoint}/api/v1/models/{snapshot.repo}/repo?Revision=master&FilePath={file.path}"
        return Location(url, origin_of(self.endpoint))


HUB = MyLab
'''
METADATA = "Metadata-Version: 2.1\nName: mylab-hub\nVersion: 1.0\n"
ASK_HUBS = "import internlm_setup; print(*internlm_setup.hubs())"


@pytest.fixture
def with_mylab(hub: HubServer, tmp_path: Path) -> dict[str, str]:
    """An installed distribution: a module and its metadata on the path; and the model it serves."""
    site = tmp_path / "site"
    info = site / "mylab_hub-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "mylab_hub.py").write_text(MYLAB, encoding="utf-8")
    (info / "METADATA").write_text(METADATA, encoding="utf-8")
    (info / "entry_points.txt").write_text("[internlm_setup.hubs]\nmylab = mylab_hub:MyLab\n", encoding="utf-8")
    served = make_standin(tmp_path / "served", weights_bytes=8 << 20)
    hub.add(Repository({"modelscope": "internlm/internlm-chat-7b"}, served))
    return {"PYTHONPATH": str(site), "MYLAB_ENDPOINT": hub.url}


def test_fetch_from_it(machine: Machine, with_mylab: dict[str, str], model: Mapping[str, bytes]) -> None:
    machine.variables = {**machine.variables, **with_mylab}
    done = machine.run("fetch", MODEL, "--source", "mylab", "--json")
    assert (done.code, machine.files()) == (0, model), done.err
    data = json.loads(done.out)["data"]
    assert (data["hub"], {f["proof_from"] for f in data["files"]}) == ("mylab", {"mylab"})


def test_it_is_among_the_hubs(machine: Machine, with_mylab: dict[str, str]) -> None:
    program = [sys.executable, "-c", ASK_HUBS]
    env = {**machine.env, **with_mylab}
    said = subprocess.run(program, env=env, capture_output=True, text=True, check=True).stdout
    assert said.split() == ["huggingface", "modelscope", "openxlab", "mylab"]


def test_without_it_the_known_hubs_are_named(machine: Machine) -> None:
    done = machine.run("fetch", MODEL, "--source", "mylab")
    assert (done.code, done.out) == (66, "")
    assert "error: no hub is called `mylab`\n\n`--source` takes auto, " in done.err
