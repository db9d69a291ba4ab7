"""The vendors' caches as we fill them: their own libraries find the model there, without a network."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path

import pytest

from internlm_setup.playground.door import MODEL_IDS
from internlm_setup.playground.hub import HubServer, Repository
from servers.machine import MODEL, STATE, Machine

pytestmark = pytest.mark.loopback
HF, MS = MODEL_IDS["huggingface"], MODEL_IDS["modelscope"]
SHARD = "pytorch_model-00002-of-00008.bin"
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9", "MODELSCOPE_ENDPOINT": "http://127.0.0.1:9"}
HF_FINDS = "from huggingface_hub import snapshot_download as s; print(s({repo!r}, local_files_only=True{more}))"
MS_FINDS = "from modelscope import snapshot_download as s; print(s({repo!r}, local_files_only=True{more}))"
AUTO = """
from transformers import AutoConfig, AutoTokenizer
print(AutoConfig.from_pretrained({repo!r}).n_embd, AutoTokenizer.from_pretrained({repo!r})("b a")["input_ids"])
"""


def found(machine: Machine, code: str, python: str = sys.executable) -> str:
    """Run a library on the machine without a network and return the last line it wrote."""
    env = {**machine.env, **OFFLINE}
    done = subprocess.run([python, "-c", code], env=env, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip().rpartition("\n")[2]


def files(folder: Path) -> dict[str, bytes]:
    """Relative path to bytes, links followed, our own state left out."""
    there = ((p.relative_to(folder), p) for p in folder.rglob("*") if p.is_file())
    return {inside.as_posix(): path.read_bytes() for inside, path in there if STATE not in inside.parts}


def fetched(machine: Machine, *words: str) -> Path:
    done = machine.run("fetch", MODEL, *words)
    assert done.code == 0, done.err
    return Path(done.out.strip())


@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
def test_hugging_faces_library_finds_it(machine: Machine, model: Mapping[str, bytes], source: str) -> None:
    """Whichever hub it came from: under the name that `from_pretrained` is given."""
    folder = fetched(machine, "--source", source, "--layout", "hf-cache", "--exclude", "configuration.json")
    assert found(machine, HF_FINDS.format(repo=HF, more="")) == str(folder)
    assert files(folder) == dict(model)
    cache = machine.home / ".cache" / "huggingface" / "hub" / f"models--internlm--{MODEL}"
    assert folder.parent == cache / "snapshots"
    assert (cache / "refs" / "main").read_text() == folder.name
    assert {(folder / path).resolve().parent for path in model} == {cache / "blobs"}


@pytest.mark.parametrize(("layout", "primary"), [("hf-cache", "huggingface"), ("modelscope-cache", "modelscope")])
def test_the_hub_of_the_layout_says_which_version(machine: Machine, layout: str, primary: str) -> None:
    """Where nobody named a hub; the other one may bring the bytes."""
    done = machine.run("fetch", MODEL, "--layout", layout, "--json")
    data = json.loads(done.out)["data"]
    assert (done.code, data["hub"]) == (0, primary), done.err
    assert "used: it is the hub of the layout" in done.err


def test_a_name_for_the_set_of_files_is_told(machine: Machine) -> None:
    """ModelScope has no commit that Hugging Face's cache could be called by."""
    done = machine.run("fetch", MODEL, "--source", "modelscope", "--layout", "hf-cache")
    commit = Path(done.out.strip()).name
    assert f"ModelScope has no commits: the folder is called by its set of files, {commit}, and is found as" in done.err


def test_it_is_what_hf_makes(machine: Machine, model: Mapping[str, bytes]) -> None:
    """The same commit, links and blobs as the vendor's own download, which has nothing left to fetch."""
    folder = fetched(machine, "--source", "huggingface", "--layout", "hf-cache", "--to", "ours")
    program = Path(sys.executable).parent / "hf"
    if not program.exists():
        pytest.skip("hf is not installed")
    words = [str(program), "download", HF, "--cache-dir"]
    subprocess.run([*words, "theirs"], env=machine.env, cwd=machine.cwd, check=True, capture_output=True, timeout=50)
    ours, theirs = (machine.cwd / name / f"models--internlm--{MODEL}" for name in ("ours", "theirs"))
    links = {p: str((ours / "snapshots" / folder.name / p).readlink()) for p in model}
    assert links == {p: str((theirs / "snapshots" / folder.name / p).readlink()) for p in model}
    assert {p.name for p in (ours / "blobs").iterdir()} == {p.name for p in (theirs / "blobs").iterdir()}
    before = {p: p.stat().st_ino for p in (ours / "blobs").iterdir()}
    subprocess.run([*words, "ours"], env=machine.env, cwd=machine.cwd, check=True, capture_output=True, timeout=50)
    assert {p: p.stat().st_ino for p in (ours / "blobs").iterdir()} == before


def test_stopped_and_resumed_verified_and_repaired(
    machine: Machine, hub: HubServer, model: Mapping[str, bytes]
) -> None:
    """Links are the layout's own way: a resume counts them, a check follows them, a repair mends what they lead to."""
    words = ("fetch", MODEL, "--source", "huggingface", "--layout", "hf-cache", "--to", "cache")
    child = machine.start(*words, "--limit-rate", "4M")
    hub.log.wait_for_bytes(4 << 20)
    child.kill()
    child.communicate()
    folder = fetched(machine, *words[2:])
    hub.log.clear()
    assert fetched(machine, *words[2:]) == folder
    assert not [r for r in hub.log if "/resolve/" in r.path or r.origin != "hub"]
    assert machine.run("verify", str(folder)).code == 0
    blob = (folder / SHARD).resolve()
    blob.write_bytes(bytes(10) + model[SHARD][10:])
    assert machine.run("verify", str(folder)).code == 1
    done = machine.run("verify", str(folder), "--repair")
    assert done.code == 0, done.err
    assert (files(folder), (folder / SHARD).resolve(), (folder / SHARD).is_symlink()) == (dict(model), blob, True)
    assert blob.read_bytes() == model[SHARD]
    assert machine.run("verify", str(folder)).code == 0


def test_another_revision_shares_its_blobs(machine: Machine, hub: HubServer, model: Mapping[str, bytes]) -> None:
    """What did not change between two revisions is not fetched again."""
    first = fetched(machine, "--source", "huggingface", "--layout", "hf-cache")
    changed = machine.root / "changed"
    for path, data in model.items():
        (changed / path).parent.mkdir(parents=True, exist_ok=True)
        (changed / path).write_bytes(data if path != SHARD else data[::-1])
    hub.add(Repository(MODEL_IDS, changed))
    hub.log.clear()
    second = fetched(machine, "--source", "huggingface", "--layout", "hf-cache")
    assert first.name != second.name
    asked = {r.path.rpartition("/")[2] for r in hub.log if "/resolve/" in r.path}
    assert asked == {SHARD}
    assert files(first) == dict(model)
    assert found(machine, HF_FINDS.format(repo=HF, more="")) == str(second)


@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
def test_modelscopes_library_finds_it(machine: Machine, model: Mapping[str, bytes], source: str) -> None:
    """By name in its own cache, and with the tutorial's `cache_dir`."""
    words = ("--source", source, "--layout", "modelscope-cache", "--exclude", "configuration.json")
    folder = fetched(machine, *words)
    assert found(machine, MS_FINDS.format(repo=MS, more="")) == str(folder)
    assert files(folder) == dict(model)
    there = fetched(machine, *words, "--to", "models")
    more = f", cache_dir={str(machine.cwd / 'models')!r}"
    assert found(machine, MS_FINDS.format(repo=MS, more=more)) == str(there)


# ------------------------------------------------------------------ transformers itself


@pytest.fixture(scope="session")
def transformers(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Transformers in an environment of its own, without torch."""
    folder = tmp_path_factory.mktemp("transformers") / "venv"
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "transformers"], check=True, capture_output=True)
    return python


@pytest.mark.full
@pytest.mark.timeout(400)
@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
def test_transformers_loads_it_offline(
    machine: Machine, hub: HubServer, transformers: str, tmp_path: Path, source: str
) -> None:
    """`AutoTokenizer` and `AutoConfig` by name, with HF_HUB_OFFLINE=1."""
    served = tmp_path / "served"
    served.mkdir()
    (served / "config.json").write_text(json.dumps({"model_type": "gpt2", "n_embd": 48, "vocab_size": 3}))
    words = {"type": "WordLevel", "vocab": {"a": 0, "b": 1, "?": 2}, "unk_token": "?"}
    tokenizer = {"version": "1.0", "added_tokens": [], "pre_tokenizer": {"type": "Whitespace"}, "model": words}
    empty = dict.fromkeys(("truncation", "padding", "normalizer", "post_processor", "decoder"))
    (served / "tokenizer.json").write_text(json.dumps({**empty, **tokenizer}))
    (served / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    hub.add(Repository(MODEL_IDS, served))
    fetched(machine, "--source", source, "--layout", "hf-cache")
    assert found(machine, AUTO.format(repo=HF), transformers) == "48 [1, 0]"
