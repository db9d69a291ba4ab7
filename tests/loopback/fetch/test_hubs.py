"""One model, three hubs, every spelling and every door: the same bytes, verified, once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import internlm_setup
from internlm_setup.fetch.model import FetchResult
from internlm_setup.fetch.transfer import events
from internlm_setup.playground import make_standin
from internlm_setup.playground.hub import Fault, HubServer, Repository
from servers.machine import MODEL, STATE, Machine

pytestmark = pytest.mark.loopback
EXTRA = "configuration.json"  # ModelScope's twin has it besides the shared files
IN_FULL = pytest.mark.full  # the same at the other hubs
EACH_HUB = ["modelscope", pytest.param("huggingface", marks=IN_FULL), pytest.param("openxlab", marks=IN_FULL)]
SPELLINGS = (
    "internlm-chat-7b",
    "internlm/internlm-chat-7b",
    "Shanghai_AI_Laboratory/internlm-chat-7b",
    "InternLM-Chat-7B",
)


def arrived(machine: Machine, result: FetchResult) -> dict[str, bytes]:
    """The files at the destination that every hub has."""
    files = machine.files(result.path.relative_to(machine.cwd).as_posix())
    files.pop(EXTRA, None)
    return files


@pytest.mark.parametrize("source", ["", "modelscope", "huggingface", "openxlab", "huggingface,modelscope"])
def test_every_hub_gives_the_same_bytes(machine: Machine, model: Mapping[str, bytes], source: str) -> None:
    result = machine.fetch(source=source)
    assert arrived(machine, result) == model
    assert result.hub == (source.split(",", maxsplit=1)[0] or "modelscope")
    assert result.unverified == ()


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("source", EACH_HUB)
def test_every_spelling_is_that_model_at_any_hub(
    machine: Machine, model: Mapping[str, bytes], spelling: str, source: str
) -> None:
    result = machine.fetch(spelling, source)
    assert (result.hub, result.model, arrived(machine, result)) == (source, MODEL, model)


def test_a_repository_outside_the_catalogue_comes_from_hugging_face(
    machine: Machine, hub: HubServer, model: Mapping[str, bytes], tmp_path: Path
) -> None:
    folder = make_standin(tmp_path / "lab", weights_bytes=8 << 20)
    hub.add(Repository({"huggingface": "lab/thing"}, folder))
    result = machine.fetch("lab/thing")
    assert (result.hub, result.path.name, machine.files("thing")) == ("huggingface", "thing", model)


def test_the_hub_is_asked_once_where_a_file_is(machine: Machine, hub: HubServer, tmp_path: Path) -> None:
    """However many connections fetch it; the others go where the first one was sent."""
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "model.bin").write_bytes(os.urandom(1 << 20) * 32)
    hub.add(Repository({"huggingface": "lab/thing"}, tmp_path / "lab"))
    machine.fetch("lab/thing", jobs=8)
    of_file = [request.origin for request in hub.log if request.path.endswith("/model.bin")]
    assert of_file.count("hub") == 1
    assert of_file.count("cdn") >= 8


@pytest.mark.parametrize("source", ["modelscope", "huggingface", "openxlab"])
def test_sha256sum_agrees(machine: Machine, source: str) -> None:
    result = machine.fetch(source=source)
    program = shutil.which("sha256sum")
    if program is None:
        pytest.skip("sha256sum is not installed")
    check = [program, "--check", "--strict", f"{STATE}/SHA256SUMS"]
    done = subprocess.run(check, cwd=result.path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(": OK") == len(result.files)


@pytest.mark.parametrize("source", ["modelscope", "huggingface", "openxlab"])
def test_a_second_run_moves_no_byte_and_reads_no_file(machine: Machine, hub: HubServer, source: str) -> None:
    first = machine.fetch(source=source)
    before = len(list(hub.log))
    for file in first.files:  # a file that is read again would now be found to differ
        kept = (first.path / file.path).stat()
        (first.path / file.path).write_bytes(bytes(file.size_bytes))
        os.utime(first.path / file.path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    second = machine.fetch(source=source)
    asked = list(hub.log)[before:]
    assert (second.received_bytes, second.reused_files) == (0, len(first.files))
    assert second.files == first.files
    assert machine.told(events.Noted) == []
    assert [r.sent_bytes for r in asked if r.origin == "cdn" and r.sent_bytes > 1] == []


def test_a_second_run_loads_nothing_that_fetches(machine: Machine) -> None:
    """Half of the time of a run with nothing to do is imports: what is not needed is not loaded."""
    machine.fetch(source="modelscope")
    listing = "import sys; from internlm_setup.cli import main; print(main(sys.argv[1:]), *sys.modules)"
    words = [sys.executable, "-c", listing, "fetch", MODEL, "--source", "modelscope"]
    said = subprocess.run(words, cwd=machine.cwd, env=machine.env, capture_output=True, text=True, check=True).stdout
    code, *loaded = said.splitlines()[-1].split()
    assert code == "0"
    ours = {"cli.commands.fetch", "fetch.engines.native", "fetch.hubs.modelscope"}
    idle = {"cli.commands.verify", "fetch.engines.official", "fetch.hubs.huggingface", "fetch.transfer.pool"}
    assert {f"internlm_setup.{name}" for name in ours} <= set(loaded)
    assert {*(f"internlm_setup.{name}" for name in idle), "pydantic", "rich", "modelscope_hub"}.isdisjoint(loaded)


def test_a_touched_file_is_read_again_and_not_fetched(machine: Machine) -> None:
    result = machine.fetch(source="modelscope")
    (result.path / "config.json").touch()
    second = machine.fetch(source="modelscope")
    assert (second.received_bytes, second.reused_files) == (0, len(result.files))
    assert [e.text.en for e in machine.told(events.Noted)] == ["checking config.json, which is already here"]


def test_a_lost_file_alone_is_fetched_again(machine: Machine, model: Mapping[str, bytes]) -> None:
    result = machine.fetch(source="modelscope")
    (result.path / "tokenizer.model").unlink()
    second = machine.fetch(source="modelscope")
    assert second.received_bytes == len(model["tokenizer.model"])
    assert arrived(machine, second) == model


def test_openxlab_is_verified_by_another_hubs_hashes(machine: Machine) -> None:
    result = machine.fetch(source="openxlab")
    assert {f.source for f in result.files} == {"openxlab"}
    assert {f.proof_from for f in result.files} == {"modelscope"}


def test_one_file_is_said_in_the_singular(machine: Machine) -> None:
    nowhere = dict.fromkeys(("HF_ENDPOINT", "MODELSCOPE_ENDPOINT"), "http://127.0.0.1:9")
    alone = Machine(machine.root, {**machine.variables, **nowhere})
    done = alone.run("fetch", MODEL, "--source", "openxlab", "--include", "config.json")
    assert done.code == 0, done.err
    assert f"{MODEL} is complete: 1 file, " in done.err
    assert "no published hash was found for 1 file, so it is NOT verified: config.json" in " ".join(done.err.split())


def test_openxlab_without_a_witness_is_called_unverified(machine: Machine, hub: HubServer) -> None:
    hub.faults.add(Fault("server-error", hub="modelscope", status=500))
    hub.faults.add(Fault("server-error", hub="huggingface", status=500))
    result = machine.fetch(source="openxlab")
    assert result.unverified == tuple(f.path for f in result.files)
    assert {(f.proof, f.proof_from) for f in result.files} == {("none", None)}


def test_openxlab_with_other_bytes_is_not_proved_by_the_witness(
    machine: Machine, hub: HubServer, tmp_path: Path
) -> None:
    other = make_standin(tmp_path / "other", weights_bytes=8 << 20, seed=8)
    hub.add(Repository({"openxlab": "OpenLMLab/InternLM-chat-7b"}, other))
    result = machine.fetch(source="openxlab")
    assert "pytorch_model-00001-of-00008.bin" in result.unverified
    assert "config.json" not in result.unverified


def test_the_python_door(machine: Machine, model: Mapping[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in machine.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(machine.cwd)
    told: list[events.Event] = []
    path = internlm_setup.fetch(MODEL, source="huggingface", to="models/chat", on_event=told.append)
    assert path == machine.cwd / "models/chat"
    assert machine.files("models/chat") == model
    assert any(isinstance(event, events.Planned) for event in told)
    from internlm_setup import fetch  # now that the package of that name is imported too

    assert fetch(MODEL, source="huggingface", to="models/chat") == path


@pytest.mark.parametrize("source", ["auto", "modelscope", "huggingface", "openxlab"])
def test_the_installed_command(machine: Machine, model: Mapping[str, bytes], source: str) -> None:
    done = machine.run("fetch", MODEL, "--source", source)
    folder = Path(done.out.rstrip("\n"))
    files = machine.files(folder.name)
    files.pop(EXTRA, None)
    assert (done.code, folder.is_absolute(), files) == (0, True, model), done.err


def test_the_json_envelope(machine: Machine, model: Mapping[str, bytes]) -> None:
    done = machine.run("fetch", MODEL, "--source", "huggingface", "--json")
    said = json.loads(done.out)
    data = said["data"]
    assert (said["schema"], said["status"], said["exit_code"], said["errors"]) == (1, "ok", 0, [])
    assert said["command"] == ["fetch", MODEL, "--source", "huggingface", "--json"]
    assert data["path"] == str(machine.cwd / MODEL)
    assert (data["hub"], data["repo"], data["revision"]) == ("huggingface", "internlm/internlm-chat-7b", "main")
    assert len(data["commit"]) == 40
    assert {f["path"]: f["size_bytes"] for f in data["files"]} == {p: len(b) for p, b in model.items()}
    assert {f["proof"] for f in data["files"]} == {"sha256", "git-sha1"}
    assert data["received_bytes"] == sum(map(len, model.values()))
    assert (data["reused_files"], data["unverified"]) == (0, [])
