"""What is on the machine already is used, and the hub asked for nothing but its listing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from internlm_setup.fetch import service
from internlm_setup.fetch.transfer.events import ignore
from internlm_setup.playground.hub import HubServer
from servers.machine import MODEL, STATE, Machine, files_in

pytestmark = pytest.mark.loopback
SHARD = "pytorch_model-00002-of-00008.bin"
REPO = f"internlm/{MODEL}"
NOWHERE = {"HF_ENDPOINT": "http://127.0.0.1:9", "MODELSCOPE_ENDPOINT": "http://127.0.0.1:9"}


def put(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write a model's files into a folder that no tool knows."""
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


def cut_off(machine: Machine) -> Machine:
    """The same machine, where no hub answers."""
    return Machine(machine.root, {**machine.variables, **NOWHERE})


def asked_files(hub: HubServer) -> list[str]:
    """What was asked for beside listings."""
    return [r.path for r in hub.log if r.origin != "hub" or "/resolve/" in r.path or r.path.endswith("/repo")]


def client(machine: Machine, name: str, *words: str) -> None:
    """Run a vendor's program on the machine; skip where there is none."""
    program = Path(sys.executable).parent / name
    if not program.exists():
        pytest.skip(f"{name} is not installed")
    done = subprocess.run(
        [program, *words], env=machine.env, cwd=machine.cwd, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
def test_a_folder_under_another_name(machine: Machine, hub: HubServer, model: Mapping[str, bytes], source: str) -> None:
    """With `--reuse` all of it comes from there, verified by the hub's hashes; the folder stays as it was."""
    usb = put(machine.root / "usb" / "from-a-friend", model)
    extra = {"configuration.json"} if source == "modelscope" else set()
    done = machine.run("fetch", MODEL, "--source", source, "--reuse", str(usb.parent), "--json")
    data = json.loads(done.out)["data"]
    assert (done.code, data["unverified"]) == (0, []), done.err
    assert {p: b for p, b in machine.files().items() if p in model} == dict(model)
    assert data["received_bytes"] == sum(f["size_bytes"] for f in data["files"] if f["path"] in extra)
    assert data["reused_bytes"] == sum(map(len, model.values()))
    assert len(asked_files(hub)) == len(extra)
    assert files_in(usb) == dict(model)
    assert machine.run("verify", MODEL).code == 0


def test_dry_run_says_what_would_be_reused(machine: Machine, model: Mapping[str, bytes]) -> None:
    usb = put(machine.root / "usb", model)
    words = ("fetch", MODEL, "--source", "huggingface", "--reuse", str(usb), "--dry-run")
    told = json.loads(machine.run(*words, "--json").out)["data"]
    assert {f["state"] for f in told["files"]} == {"found"}
    assert {f["path"]: f["found_at"] for f in told["files"]}[SHARD] == str(usb / SHARD)
    done = machine.run(*words)
    assert str(usb / SHARD) in done.out
    assert "seem to be on this machine" in done.err
    assert not (machine.cwd / MODEL).exists()


def test_a_damaged_file_is_fetched_and_the_rest_reused(
    machine: Machine, hub: HubServer, model: Mapping[str, bytes]
) -> None:
    """What does not prove right costs its own download alone."""
    usb = put(machine.root / "usb", model)
    (usb / SHARD).write_bytes(bytes(len(model[SHARD])))
    result = machine.fetch(source="huggingface", reuse=(usb,))
    assert machine.files() == dict(model)
    assert result.received_bytes == len(model[SHARD])
    assert {path.rpartition("/")[2] for path in asked_files(hub) if "/resolve/" in path} == {SHARD}


def test_what_hf_and_modelscope_left_in_their_caches(
    machine: Machine, hub: HubServer, model: Mapping[str, bytes]
) -> None:
    """Nobody has to name a cache; one hub's cache serves a fetch from the other."""
    client(machine, "hf", "download", REPO)
    hub.log.clear()
    machine.fetch(source="modelscope", exclude=("configuration.json",))
    assert (machine.files(), asked_files(hub)) == (dict(model), [])
    shutil.rmtree(machine.home / ".cache")
    shutil.rmtree(machine.cwd / MODEL)
    client(machine, "modelscope", "download", "--model", f"Shanghai_AI_Laboratory/{MODEL}")
    hub.log.clear()
    machine.fetch(source="huggingface")
    assert (machine.files(), asked_files(hub)) == (dict(model), [])


def test_an_earlier_fetch(machine: Machine, hub: HubServer, model: Mapping[str, bytes]) -> None:
    """A second folder of a model costs no byte, and is a folder of its own."""
    machine.fetch(source="huggingface")
    hub.log.clear()
    machine.fetch(source="huggingface", to=Path("second"))
    assert (machine.files("second"), asked_files(hub)) == (dict(model), [])
    shutil.rmtree(machine.cwd / MODEL)
    assert machine.run("verify", "second").code == 0


def test_the_folders_of_a_profile(machine: Machine, hub: HubServer, model: Mapping[str, bytes]) -> None:
    """A folder that everybody on the machine shares is copied from, never linked, and never written to."""
    share = put(machine.root / "share" / "model_repos" / MODEL, model)
    world = replace(machine.world(), local_models=(f"{share.parent}", "/gone/*"))
    result = service.fetch(service.Request(model=MODEL, sources=("huggingface",)), world, ignore)
    assert (machine.files(), asked_files(hub), result.received_bytes) == (dict(model), [], 0)
    assert not any((machine.cwd / MODEL / path).samefile(share / path) for path in model)


def test_a_partial_of_an_earlier_run_is_not_in_the_way(
    machine: Machine, hub: HubServer, model: Mapping[str, bytes]
) -> None:
    """A file found on the machine takes the place of what had come of it."""
    child = machine.start("fetch", MODEL, "--source", "huggingface", "--limit-rate", "4M")
    hub.log.wait_for_bytes(3 << 20)
    child.kill()
    child.communicate()
    usb = put(machine.root / "usb", model)
    done = machine.run("fetch", MODEL, "--source", "huggingface", "--reuse", str(usb))
    assert (done.code, machine.files()) == (0, dict(model)), done.err
    assert not [p for end in ("bytes", "pieces", "whole") for p in (machine.cwd / MODEL / STATE).rglob(f"*.{end}")]


def test_the_vendors_engine_is_not_asked_for_what_is_here(
    machine: Machine, hub: HubServer, model: Mapping[str, bytes]
) -> None:
    usb = put(machine.root / "usb", model)
    machine.fetch(source="huggingface", engine="official", reuse=(usb,))
    assert (machine.files(), asked_files(hub)) == (dict(model), [])


def test_a_place_that_is_not_there(machine: Machine) -> None:
    done = machine.run("fetch", MODEL, "--source", "huggingface", "--reuse", "./gone")
    assert done.code == 66
    assert "--reuse" in done.err
    assert not (machine.cwd / MODEL).exists()


# ------------------------------------------------------------------ no hub answers


def test_offline_a_folder_is_offered_and_not_called_verified(machine: Machine, model: Mapping[str, bytes]) -> None:
    """The exit code is that of hubs that cannot be reached; the next command is exact, and works once one answers."""
    usb = put(machine.root / "usb" / MODEL, model)
    words = ("fetch", MODEL, "--source", "huggingface", "--reuse", str(usb.parent))
    done = cut_off(machine).run(*words, "--json")
    told = {e["code"]: e for e in json.loads(done.out)["errors"]}
    assert done.code == 69
    assert set(told) == {"fetch.hub-unreachable", "fetch.found-not-verified"}
    assert told["fetch.found-not-verified"]["folder"] == str(usb)
    assert not (machine.cwd / MODEL).exists()
    command = told["fetch.found-not-verified"]["command"]
    assert command == f"internlm-setup fetch {MODEL} --reuse {usb}"
    assert machine.run(*command.split()[1:]).code == 0
    zh = cut_off(machine).run(*words, "--lang", "zh")
    assert "未经" in zh.err


@pytest.mark.parametrize("inside", ["notes.txt", "config.json", "model.safetensors"])
def test_offline_a_folder_that_was_asked_for_must_look_like_a_model(machine: Machine, inside: str) -> None:
    """Any file is not enough; then a folder inside that is called like the model is still found."""
    usb = put(machine.root / "usb", {inside: b"x"})
    words = ("fetch", MODEL, "--source", "huggingface", "--reuse", str(usb), "--json")

    def offer() -> list[str]:
        errors = json.loads(cut_off(machine).run(*words).out)["errors"]
        return [e["folder"] for e in errors if e["code"] == "fetch.found-not-verified"]

    assert offer() == ([] if inside == "notes.txt" else [str(usb)])
    called_so = put(usb / MODEL, {"notes.txt": b"x"})
    assert offer() == [str(called_so if inside == "notes.txt" else usb)]


@pytest.mark.parametrize("program", ["hf", "modelscope"])
def test_offline_a_vendors_cache_is_offered(machine: Machine, program: str) -> None:
    repo = [REPO] if program == "hf" else ["--model", f"Shanghai_AI_Laboratory/{MODEL}"]
    client(machine, program, "download", *repo)
    done = cut_off(machine).run("fetch", MODEL)
    assert done.code == 69
    snapshot = next(p for p in machine.home.rglob("snapshots/*") if p.is_dir())
    assert str(snapshot) in done.err.replace("\n", "")


def test_offline_an_earlier_fetch_can_be_checked_at_once(machine: Machine) -> None:
    """Its own record needs no network."""
    machine.fetch(source="huggingface", to=Path("mine"))
    done = cut_off(machine).run("fetch", MODEL, "--to", "other", "--json")
    command = next(e["command"] for e in json.loads(done.out)["errors"] if e["code"] == "fetch.found-not-verified")
    assert command == f"internlm-setup verify {machine.cwd / 'mine'}"
    assert cut_off(machine).run(*command.split()[1:]).code == 0


def test_offline_with_nothing_here(machine: Machine) -> None:
    done = cut_off(machine).run("fetch", MODEL, "--json")
    assert (done.code, {e["code"] for e in json.loads(done.out)["errors"]}) == (69, {"fetch.hub-unreachable"})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no such files here")
def test_odd_things_in_a_place(machine: Machine, model: Mapping[str, bytes]) -> None:
    """Pipes, links in circles and unreadable folders are passed by."""
    usb = put(machine.root / "usb", model)
    os.mkfifo(usb / "pipe")
    (usb / "circle").symlink_to("circle")
    (usb / "up").symlink_to("..")
    (usb / "locked").mkdir(mode=0)
    machine.fetch(source="huggingface", reuse=(usb,))
    assert machine.files() == dict(model)
