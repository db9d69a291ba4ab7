"""A hub that another distribution brings: found by its entry point, with no edit here."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from internlm_setup.playground.hub import HubServer
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
MODELS = f"""
mylab-model:
"""


@pytest.fixture
def with_mylab(machine: Machine, hub: HubServer, tmp_path: Path) -> dict[str, str]:
    """An installed distribution: a module and its metadata on the path."""
    site = tmp_path / "site"
    info = site / "mylab_hub-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "mylab_hub.py").write_text(MYLAB, encoding="utf-8")
    (info / "METADATA").write_text(METADATA, encoding="utf-8")
    (info / "entry_points.txt").write_text("[internlm_setup.hubs]\nmylab = mylab_hub:MyLab\n", encoding="utf-8")
    return {"PYTHONPATH": str(site), "MYLAB_ENDPOINT": hub.url}


REPO = "Shanghai_AI_Laboratory/internlm-chat-7b"


def test_fetch_from_it(machine: Machine, with_mylab: dict[str, str], model: Mapping[str, bytes]) -> None:
    done = machine.run("fetch", "lab/thing", "--source", "mylab", "--json", **with_mylab)
    assert done.code == 66, done.err  # asked, and it has no such model
    done = machine.run("fetch", f"{REPO}", "--source", "mylab", "--json", **with_mylab)
    assert done.code == 0, done.err
