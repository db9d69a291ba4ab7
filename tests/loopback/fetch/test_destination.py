"""What may happen to a destination: foreign files are kept, ours are renewed, plans write nothing."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from internlm_setup.core.errors import SetupError
from internlm_setup.fetch import service
from internlm_setup.playground import make_standin
from internlm_setup.playground.door import MODEL_IDS
from internlm_setup.playground.hub import HubServer, Repository
from servers.machine import MODEL, STATE, Machine

pytestmark = pytest.mark.loopback
SHARD = "pytorch_model-00001-of-00008.bin"


def refused(machine: Machine, **asked: Any) -> tuple[str, int, str]:
    with pytest.raises(SetupError) as caught:
        machine.fetch(source="huggingface", **asked)
    return caught.value.code, int(caught.value.exit_code), caught.value.message("en")


@pytest.mark.parametrize("content", [b"mine", b"{" * 300], ids=["another size", "longer"])
def test_a_foreign_file_is_named_and_kept(machine: Machine, content: bytes) -> None:
    mine = machine.cwd / MODEL / "config.json"
    mine.parent.mkdir()
    mine.write_bytes(content)
    code, exit_code, message = refused(machine)
    assert (code, exit_code) == ("fetch.file-in-the-way", 73)
    assert f"`{mine}` is there already" in message
    assert machine.files() == {"config.json": content}


def test_a_foreign_file_of_the_same_size(machine: Machine, model: Mapping[str, bytes]) -> None:
    mine = machine.cwd / MODEL / SHARD
    mine.parent.mkdir()
    mine.write_bytes(bytes(len(model[SHARD])))
    assert refused(machine)[:2] == ("fetch.file-in-the-way", 73)
    assert machine.files() == {SHARD: bytes(len(model[SHARD]))}


def test_force_replaces_it_and_leaves_other_files_alone(machine: Machine, model: Mapping[str, bytes]) -> None:
    folder = machine.cwd / MODEL
    folder.mkdir()
    (folder / "config.json").write_bytes(b"mine")
    (folder / "notes.txt").write_bytes(b"my notes")
    machine.fetch(source="huggingface", force=True)
    assert machine.files() == {**model, "notes.txt": b"my notes"}


def test_files_that_are_the_models_already_are_taken_over(machine: Machine, model: Mapping[str, bytes]) -> None:
    """Another tool put them there; they are hashed, not fetched."""
    make_standin(machine.cwd / MODEL, weights_bytes=8 << 20)
    result = machine.fetch(source="huggingface")
    assert (result.received_bytes, result.reused_files) == (0, len(model))
    assert {f.source for f in result.files} == {"disk"}


def test_a_new_version_replaces_what_we_wrote(machine: Machine, hub: HubServer, tmp_path: Path) -> None:
    """Files that are unchanged since our manifest are ours to renew."""
    machine.fetch(source="huggingface")
    newer = make_standin(tmp_path / "newer", weights_bytes=8 << 20, seed=8)
    hub.add(Repository(MODEL_IDS, newer))
    machine.fetch(source="huggingface")
    assert machine.files()[SHARD] == (newer / SHARD).read_bytes()


def test_include_and_exclude(machine: Machine, model: Mapping[str, bytes]) -> None:
    machine.fetch(source="modelscope", include=("*.json", "tokenizer.model"), exclude=("special*",))
    wanted = {p for p in model if p.endswith(".json")} | {"tokenizer.model", "configuration.json"}
    assert machine.files().keys() == wanted - {"special_tokens_map.json"}


def test_a_second_choice_of_files_keeps_the_record_of_the_first(machine: Machine, model: Mapping[str, bytes]) -> None:
    machine.fetch(source="huggingface", include=("*.json",))
    machine.fetch(source="huggingface", include=("*.py",))
    sums = (machine.cwd / MODEL / STATE / "SHA256SUMS").read_text(encoding="utf-8")
    assert {line[66:] for line in sums.splitlines()} == {p for p in model if p.endswith((".json", ".py"))}


def test_a_dry_run_writes_nothing(machine: Machine, hub: HubServer, model: Mapping[str, bytes]) -> None:
    done = machine.run("fetch", MODEL, "--source", "huggingface", "--dry-run", "--json")
    data = json.loads(done.out)["data"]
    assert (done.code, list(machine.cwd.iterdir()), list(machine.home.rglob("*"))) == (0, [], [])
    assert {r.origin for r in hub.log} == {"hub"}
    assert {f["path"]: f["size_bytes"] for f in data["files"]} == {p: len(b) for p, b in model.items()}
    assert {f["state"] for f in data["files"]} == {"missing"}
    assert data["missing_bytes"] == data["size_bytes"] == sum(map(len, model.values()))


def test_a_dry_run_sees_what_is_here(machine: Machine, model: Mapping[str, bytes]) -> None:
    machine.fetch(source="huggingface", include=("*.json",))
    made = service.plan(service.Request(MODEL, ("huggingface",)), machine.world())
    here = sum(len(b) for p, b in model.items() if p.endswith(".json"))
    assert (made.size_bytes - made.missing_bytes, len(made.found.done)) == (here, 5)


def test_a_file_where_the_folder_should_be(machine: Machine) -> None:
    (machine.cwd / MODEL).write_bytes(b"a file")
    assert refused(machine)[1] == 73
    assert (machine.cwd / MODEL).read_bytes() == b"a file"


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 20 MiB, on which 16 MiB are to stay free."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if getattr(os, "geteuid", lambda: 1)() != 0:
        pytest.skip("only root may mount a tmpfs")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.full
def test_no_space_is_told_before_a_byte_moves(machine: Machine, hub: HubServer, tiny_disk: Path) -> None:
    code, exit_code, message = refused(machine, to=tiny_disk / "model")
    assert (code, exit_code) == ("fetch.no-space", 73)
    assert f"8.1 MiB are still to come and `{tiny_disk / 'model'}` has room for " in message
    assert {r.origin for r in hub.log} == {"hub"}


def test_modelscopes_own_library_finds_its_layout(machine: Machine, model: Mapping[str, bytes]) -> None:
    """The tutorial's `snapshot_download(..., cache_dir=…)`, offline."""
    pytest.importorskip("modelscope")
    result = machine.fetch(source="modelscope", layout="modelscope-cache", to=Path("cache"))
    code = (
        "import sys\nfrom modelscope import snapshot_download\n"
        "print(snapshot_download(sys.argv[1], cache_dir=sys.argv[2], local_files_only=True))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, "Shanghai_AI_Laboratory/internlm-chat-7b", str(machine.cwd / "cache")],
        env={**machine.env, "MODELSCOPE_ENDPOINT": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert Path(found.stdout.splitlines()[-1]) == result.path
    assert machine.files("cache").items() >= {
        (f"{result.path.relative_to(machine.cwd / 'cache').as_posix()}/{p}", b) for p, b in model.items()
    }


def test_verify_tells_good_bad_and_missing(machine: Machine) -> None:
    machine.fetch(source="modelscope")
    assert machine.run("verify", f"./{MODEL}").code == 0
    (machine.cwd / MODEL / SHARD).write_bytes(b"other")
    (machine.cwd / MODEL / "config.json").unlink()
    done = machine.run("verify", MODEL, "--json")
    data = json.loads(done.out)["data"]
    assert (done.code, data["bad"], data["missing"]) == (1, [SHARD], ["config.json"])
    repair = re.search(r"to repair: `internlm-setup (.+)`", done.err)
    assert repair is not None, done.err
    assert machine.run(*shlex.split(repair[1])).code == 0
    assert machine.run("verify", MODEL).code == 0


def test_verify_without_a_record(machine: Machine) -> None:
    (machine.cwd / "empty").mkdir()
    done = machine.run("verify", "empty", "--json")
    said = json.loads(done.out)
    assert (done.code, said["exit_code"], said["errors"][0]["code"]) == (66, 66, "fetch.no-manifest")
