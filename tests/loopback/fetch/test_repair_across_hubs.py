"""A repair takes its bytes from whichever hub still lists them, under whatever version they were fetched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from internlm_setup.fetch.transfer.manifest import Entry, read_manifest
from internlm_setup.playground.door import MODEL_IDS
from internlm_setup.playground.hub import HubServer, Repository
from servers.machine import MODEL, STATE, Machine

pytestmark = pytest.mark.loopback
SHARD = "pytorch_model-00002-of-00008.bin"
CONFIG = "config.json"  # Hugging Face publishes only its git hash
ENDPOINTS = {"huggingface": "HF_ENDPOINT", "modelscope": "MODELSCOPE_ENDPOINT"}
OTHER = {"huggingface": "modelscope", "modelscope": "huggingface"}


def spoiled(machine: Machine, source: str) -> Path:
    """Fetch from one hub, then damage a large and a small file."""
    folder = machine.fetch(source=source).path
    for path in (SHARD, CONFIG):
        (folder / path).write_bytes((folder / path).read_bytes()[::-1])
    return folder


def gone(machine: Machine, *hubs: str) -> Machine:
    """The same machine, where some hubs cannot be reached."""
    return Machine(machine.root, {**machine.variables, **{ENDPOINTS[h]: "http://127.0.0.1:9" for h in hubs}})


def record(folder: Path) -> dict[str, Entry]:
    made = read_manifest(folder / STATE)
    assert made is not None
    return {e.path: e for e in made.files}


def changed(model: Mapping[str, bytes], folder: Path) -> Path:
    """The model with another shard and another config, as a hub that moved on has it."""
    for path, data in model.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"new" + data if path in {SHARD, CONFIG} else data)
    return folder


@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
def test_the_recorded_hub_is_gone(machine: Machine, model: Mapping[str, bytes], source: str) -> None:
    """The other one has the same bytes; what proved them then proves them now."""
    folder = spoiled(machine, source)
    before = record(folder)
    done = gone(machine, source).run("verify", MODEL, "--repair")
    assert (done.code, {p: b for p, b in machine.files().items() if p in model}) == (0, dict(model)), done.err
    after = record(folder)
    assert after[SHARD].source == OTHER[source]
    assert {(e.path, e.proof, e.proof_from) for e in after.values()} == {
        (e.path, e.proof, e.proof_from) for e in before.values()
    }


def test_the_recorded_hub_moved_on(
    machine: Machine, hub: HubServer, model: Mapping[str, bytes], tmp_path: Path
) -> None:
    """Its new version is not mixed in: the old bytes come from where they still are."""
    folder = spoiled(machine, "modelscope")
    hub.add(Repository({"modelscope": MODEL_IDS["modelscope"]}, changed(model, tmp_path / "new")))
    assert machine.run("verify", MODEL, "--repair").code == 0
    assert {p: b for p, b in machine.files().items() if p in model} == dict(model)
    assert record(folder)[SHARD].source == "huggingface"


def test_no_hub_has_it(machine: Machine, hub: HubServer, model: Mapping[str, bytes], tmp_path: Path) -> None:
    """Nothing is changed, and nothing of another version is called a repair."""
    folder = spoiled(machine, "modelscope")
    bad = (folder / SHARD).read_bytes()
    hub.add(Repository(MODEL_IDS, changed(model, tmp_path / "new")))
    done = machine.run("verify", MODEL, "--repair", "--json")
    assert [e["code"] for e in json.loads(done.out)["errors"]] == ["fetch.no-longer-published"]
    assert (folder / SHARD).read_bytes() == bad


def test_no_hub_answers(machine: Machine) -> None:
    """The recorded hub's failure is told."""
    spoiled(machine, "modelscope")
    done = gone(machine, "modelscope", "huggingface").run("verify", MODEL, "--repair", "--json")
    assert (done.code, [e["code"] for e in json.loads(done.out)["errors"]]) == (69, ["fetch.hub-unreachable"])


def test_a_foreign_folder(machine: Machine, model: Mapping[str, bytes]) -> None:
    """`--as` takes the version of the hub that answers."""
    for path, data in model.items():
        (machine.cwd / "usb" / path).parent.mkdir(parents=True, exist_ok=True)
        (machine.cwd / "usb" / path).write_bytes(data if path != SHARD else data[::-1])
    done = gone(machine, "modelscope").run("verify", "usb", "--as", MODEL, "--repair")
    assert (done.code, machine.files("usb")) == (0, dict(model)), done.err
