"""One flipped bit: never under a final name, told with file and hub; healed when it was only once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from internlm_setup.fetch.transfer.errors import TransferFailed
from internlm_setup.playground.hub import Fault, HubServer
from servers.machine import MODEL, STATE, Machine

pytestmark = pytest.mark.loopback
SHARD = "pytorch_model-00003-of-00008.bin"
SMALL = "config.json"


@pytest.mark.parametrize(("source", "path"), [("modelscope", SHARD), ("huggingface", SMALL)])
def test_a_flipped_bit_is_exit_65(
    machine: Machine, hub: HubServer, model: Mapping[str, bytes], path: str, source: str
) -> None:
    hub.faults.add(Fault("flip", path, hub=source))
    done = machine.run("fetch", MODEL, "--source", source, "--to", "to")
    assert (done.code, done.out) == (65, "")
    assert f"error: `{path}` from {source} is corrupt: " in done.err
    arrived = machine.files("to")
    assert path not in arrived
    assert {p: b for p, b in arrived.items() if p in model} == {p: b for p, b in model.items() if p != path}
    assert not list((machine.cwd / "to" / STATE).rglob("*.bytes"))


def test_the_envelope_has_both_hashes(machine: Machine, hub: HubServer) -> None:
    hub.faults.add(Fault("flip", SHARD))
    said = json.loads(machine.run("fetch", MODEL, "--source", "modelscope", "--json").out)
    (error,) = said["errors"]
    assert (said["exit_code"], error["code"]) == (65, "fetch.hash-mismatch")
    assert (error["path"], error["hub"], error["kind"]) == (SHARD, "modelscope", "sha256")
    assert len(error["expected"]) == len(error["actual"]) == 64


@pytest.mark.parametrize("path", [SHARD, SMALL])
def test_a_bit_flipped_once_heals(machine: Machine, hub: HubServer, model: Mapping[str, bytes], path: str) -> None:
    flip = hub.faults.add(Fault("flip", path, times=1))
    result = machine.fetch(source="huggingface", jobs=1)
    assert (machine.files(), hub.faults.struck(flip)) == (model, 1)
    assert result.received_bytes == sum(map(len, model.values())) + len(model[path])


def test_the_run_after_a_corrupt_one_fetches_the_corrupt_file_alone(
    machine: Machine, hub: HubServer, model: Mapping[str, bytes]
) -> None:
    hub.faults.add(Fault("flip", SHARD))
    assert machine.run("fetch", MODEL, "--source", "huggingface").code == 65
    hub.faults.clear()
    assert machine.fetch(source="huggingface", jobs=1).received_bytes == len(model[SHARD])
    assert machine.files() == model


def test_a_body_that_is_always_cut_is_no_success(machine: Machine, hub: HubServer) -> None:
    """The OpenXLab client says "finished" to this."""
    hub.faults.add(Fault("truncate", SMALL, hub="openxlab", where=frozenset({"content"}), at_byte=7))
    with pytest.raises(
        TransferFailed, match=f"`{SMALL}` could not be had from openxlab: 127.0.0.1: the connection was closed"
    ):
        machine.fetch(source="openxlab", include=(SMALL,), to=Path("to"))
    assert machine.files("to") == {}
