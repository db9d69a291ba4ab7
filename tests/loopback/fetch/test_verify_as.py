"""`verify --as`: folders that the vendors' own programs made, against what the hubs publish."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from internlm_setup.playground.hub import HubServer, Repository
from servers.machine import MODEL, STATE, Machine

pytestmark = pytest.mark.loopback
SHARD = "pytorch_model-00002-of-00008.bin"


def client(machine: Machine, name: str, *words: str) -> str:
    """Run a vendor's program on the machine and return what it wrote to standard output; skip where there is none."""
    program = Path(sys.executable).parent / name
    if not program.exists():
        pytest.skip(f"{name} is not installed")
    done = subprocess.run(
        [program, *words], env=machine.env, cwd=machine.cwd, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def checked(machine: Machine, folder: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Verify a folder as the model; nothing in it may change by that."""
    before = stamps(folder)
    done = machine.run("verify", str(folder), "--as", MODEL, *words, "--json")
    assert stamps(folder) == before
    return done.code, json.loads(done.out)["data"]


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.lstat().st_size, p.lstat().st_mtime_ns) for p in folder.rglob("*")}


def spoil(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    path.write_bytes(data)


def test_hf_local_dir(machine: Machine, model: Mapping[str, bytes]) -> None:
    """What `hf download --local-dir` made is good, its own folder is no extra, and it is repaired in place."""
    client(machine, "hf", "download", f"internlm/{MODEL}", "--local-dir", "to")
    folder = machine.cwd / "to"
    assert (folder / ".cache" / "huggingface").is_dir()
    code, data = checked(machine, folder, "--source", "huggingface")
    assert (code, data["bad"], data["missing"], data["extra"], data["unverified"]) == (0, [], [], [], [])
    assert (data["against"], data["hub"], data["files"]) == ("hub", "huggingface", len(model))
    spoil(folder / SHARD)
    (folder / "config.json").unlink()
    (folder / "notes.txt").write_text("mine")
    code, data = checked(machine, folder, "--source", "huggingface")
    assert (code, data["bad"], data["missing"], data["extra"]) == (1, [SHARD], ["config.json"], ["notes.txt"])
    assert machine.run("verify", "to", "--as", MODEL, "--source", "huggingface", "--repair").code == 0
    assert {p: b for p, b in machine.files("to").items() if p in model} == model
    assert (folder / "notes.txt").read_text() == "mine"
    assert machine.run("verify", "to").code == 0  # it has a record now


def test_hf_cache(machine: Machine, model: Mapping[str, bytes]) -> None:
    """The cache's snapshot folder of links is followed; a repair explains and writes nothing."""
    shown = client(machine, "hf", "download", f"internlm/{MODEL}", "--format", "json")
    folder = next(p for p in machine.home.rglob("snapshots/*") if p.is_dir())
    assert folder.name in shown
    assert (folder / SHARD).is_symlink()
    assert checked(machine, folder, "--source", "huggingface")[0] == 0
    blob = (folder / SHARD).resolve()
    blob.chmod(0o644)
    spoil(blob)
    bad = blob.read_bytes()
    code, data = checked(machine, folder, "--source", "huggingface")
    assert (code, data["bad"]) == (1, [SHARD])
    before = stamps(folder)
    done = machine.run("verify", str(folder), "--as", MODEL, "--source", "huggingface", "--repair")
    assert (done.code, stamps(folder), blob.read_bytes()) == (73, before, bad)
    assert f"`rm {folder / SHARD}`" in done.err


def test_modelscope_local_dir(machine: Machine, model: Mapping[str, bytes]) -> None:
    """What `modelscope download` made is good; at the other hub one file of it is unknown, and that is no reproach."""
    name = f"Shanghai_AI_Laboratory/{MODEL}"
    client(machine, "modelscope", "download", "--model", name, "--local_dir", "to")
    code, data = checked(machine, machine.cwd / "to", "--source", "modelscope")
    assert (code, data["extra"], data["files"]) == (0, [], len(model) + 1)
    code, data = checked(machine, machine.cwd / "to", "--source", "huggingface")
    assert (code, data["extra"], data["unverified"]) == (0, ["configuration.json"], [])
    spoil(machine.cwd / "to" / SHARD)
    assert checked(machine, machine.cwd / "to")[1]["bad"] == [SHARD]


def test_a_git_folder(machine: Machine, model: Mapping[str, bytes]) -> None:
    """What git keeps for itself is no extra; pointers that LFS never filled are bad."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    folder = machine.cwd / "clone"
    folder.mkdir()
    subprocess.run(["git", "init", "-q", str(folder)], check=True, env=machine.env)
    for path, data in model.items():
        (folder / path).write_bytes(data)
    assert checked(machine, folder, "--source", "huggingface")[1]["extra"] == []
    (folder / SHARD).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 1048576\n")
    assert checked(machine, folder, "--source", "huggingface")[1]["bad"] == [SHARD]


def test_a_hub_without_hashes_and_with_witnesses(machine: Machine, model: Mapping[str, bytes]) -> None:
    """OpenXLab publishes no hash; equal bytes are proved by another hub's, others stay not verified."""
    folder = machine.cwd / "usb"
    folder.mkdir()
    for path, content in model.items():
        (folder / path).write_bytes(content)
    code, data = checked(machine, folder, "--source", "openxlab")
    assert (code, data["hub"], data["unverified"]) == (0, "openxlab", [])
    good = machine.run("verify", "usb", "--as", MODEL, "--source", "openxlab")
    assert f"at openxlab (-): {len(model)} verified by sha256 from modelscope" in good.err
    spoil(folder / SHARD)
    code, data = checked(machine, folder, "--source", "openxlab")
    assert (code, data["bad"], data["unverified"]) == (0, [], [SHARD])
    done = machine.run("verify", "usb", "--as", MODEL, "--source", "openxlab")
    assert f"{SHARD}  not verified" in done.out
    assert f"no published hash proves 1 of {len(model)} files, so they are NOT verified" in done.err
    (folder / SHARD).write_bytes(b"short")
    assert checked(machine, folder, "--source", "openxlab")[1]["bad"] == [SHARD]


def test_a_repair_from_a_hub_without_hashes(machine: Machine, hub: HubServer, tmp_path: Path) -> None:
    """With no witness either, what is missing comes, and nothing is called verified."""
    made = tmp_path / "lonely"
    made.mkdir()
    (made / "weights.bin").write_bytes(b"w" * 500_000)
    (made / "config.json").write_bytes(b"{}")
    hub.add(Repository({"openxlab": "lab/lonely"}, made))
    (machine.cwd / "to").mkdir()
    (machine.cwd / "to" / "config.json").write_bytes(b"{}")
    words = ("verify", "to", "--as", "lab/lonely", "--source", "openxlab")
    assert machine.run(*words, "--repair").code == 0
    assert machine.files("to")["weights.bin"] == b"w" * 500_000
    data = json.loads(machine.run(*words, "--json").out)["data"]
    assert data["unverified"] == ["config.json", "weights.bin"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--as", "internlm-chat-7bx"], 66, "did you mean `internlm-chat-7b`"),
        (["--as", f"{MODEL}@v9", "--source", "huggingface"], 66, "has no revision `v9`"),
        (["--as", f"{MODEL}@main", "--source", "huggingface"], 1, "19 are missing"),
        (["--as", MODEL, "--source", "nohub"], 66, "no hub is called `nohub`"),
        (["--source", "huggingface"], 2, "it needs `--as MODEL`"),
    ],
)
def test_what_is_said(machine: Machine, words: list[str], code: int, said: str) -> None:
    (machine.cwd / "empty").mkdir()
    done = machine.run("verify", "empty", *words)
    assert (done.code, said in done.err) == (code, True), done.err


def test_the_proposed_command_repairs(machine: Machine, model: Mapping[str, bytes]) -> None:
    """From an empty folder even."""
    (machine.cwd / "empty").mkdir()
    done = machine.run("verify", "empty", "--as", MODEL, "--source", "modelscope")
    assert f"`internlm-setup verify empty --as {MODEL} --source modelscope --repair`" in done.err
    done = machine.run("verify", "empty", "--as", MODEL, "--source", "modelscope", "--repair")
    assert done.code == 0, done.err
    assert {p: b for p, b in machine.files("empty").items() if p in model} == model
    assert machine.run("verify", MODEL).code == 0  # and its name is known


def fetched(machine: Machine, *words: str) -> Path:
    done = machine.run("fetch", MODEL, *words)
    assert done.code == 0, done.err
    return Path(done.out.strip())


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("words", [["--source", "huggingface", "--to", "hf"], ["--layout", "hf-cache"]])
def test_a_folder_stays_the_version_that_it_is(machine: Machine, words: list[str], recorded: bool) -> None:
    """Hugging Face's, and no repair makes it ModelScope's, with its README and one file more; a setting does not."""
    folder = fetched(machine, *words)
    if not recorded:  # as Hugging Face's own programs leave it
        shutil.rmtree(folder / STATE)
        (folder / ".cache" / "huggingface").mkdir(parents=True)
    (folder / "README.md").unlink()
    why = "the folder was fetched with its version" if recorded else "the folder looks as if its library had made it"
    for usual in ("auto", "modelscope"):
        done = machine.run("verify", str(folder), "--as", MODEL, INTERNLM_SETUP_SOURCE=usual)
        assert (done.code, "0 of 19 files differ, 1 are missing" in done.err) == (1, True), done.err
        assert f"compared with the version of huggingface: {why}" in done.err
    assert machine.run("verify", str(folder), "--as", MODEL, "--repair").code == 0
    done = machine.run("verify", str(folder), "--as", MODEL)
    assert (done.code, (folder / "configuration.json").exists()) == (0, False), done.err
    assert checked(machine, folder, "--source", "modelscope")[1]["missing"] == ["configuration.json"]


def test_the_folders_own_hub_is_out_of_reach(machine: Machine) -> None:
    """Another one's version is not put in its place unless that is asked for; the command is proposed."""
    folder = fetched(machine, "--source", "huggingface")
    (folder / "README.md").unlink()
    done = machine.run("verify", MODEL, "--as", MODEL, "--repair", HF_ENDPOINT="http://127.0.0.1:9")
    assert (done.code, (folder / "README.md").exists()) == (69, False), done.err
    assert f"`internlm-setup verify {folder} --as {MODEL} --source modelscope`" in done.err


def test_nothing_tells_whose_version_it_is(machine: Machine) -> None:
    """A hub that is asked by the usual order is named, with the reason."""
    (machine.cwd / "usb").mkdir()
    done = machine.run("verify", "usb", "--as", MODEL, INTERNLM_SETUP_LANG="zh")
    assert "与 modelscope 的版本比较：它在默认顺序中排在最前" in done.err
