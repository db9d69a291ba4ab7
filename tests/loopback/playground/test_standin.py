"""The stand-in model: the real names, bytes that depend on the seed alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from internlm_setup.playground import make_standin, open_playground
from servers.asking import ask

NAMES = {
    *(".gitattributes", "README.md", "config.json", "configuration_internlm.py"),
    *("generation_config.json", "modeling_internlm.py", "pytorch_model.bin.index.json"),
    *("special_tokens_map.json", "tokenization_internlm.py", "tokenizer.model"),
    "tokenizer_config.json",
    *(f"pytorch_model-{n:05d}-of-00008.bin" for n in range(1, 9)),
}


def read(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_names_and_sizes(tmp_path: Path) -> None:
    """It has the real repository's files and says that it is a stand-in."""
    folder = make_standin(tmp_path / "new", weights_bytes=1_000_003)
    files = read(folder)
    assert set(files) == NAMES
    shards = [len(body) for name, body in files.items() if name.startswith("pytorch_model-")]
    assert sum(shards) == 1_000_003
    assert "stand-in" in files["README.md"].decode()
    index = json.loads(files["pytorch_model.bin.index.json"])
    assert set(index["weight_map"].values()) <= set(files)


def test_seeds(tmp_path: Path) -> None:
    """The same seed gives the same bytes; another one, other weights."""
    one = read(make_standin(tmp_path / "one", weights_bytes=8000))
    two = read(make_standin(tmp_path / "two", weights_bytes=8000))
    three = read(make_standin(tmp_path / "three", weights_bytes=8000, seed=8))
    assert one == two
    assert {name for name in one if one[name] != three[name]} == {
        *(name for name in NAMES if name.startswith("pytorch_model-")),
        "tokenizer.model",
    }


@pytest.mark.loopback
def test_the_door_serves_one_model_at_three_hubs() -> None:
    """The same shard comes from every hub under its own name for the model."""
    shard = "pytorch_model-00003-of-00008.bin"
    with open_playground(weights_bytes=8000, seed=3) as hub:
        by_hf = ask(f"{hub.url}/internlm/internlm-chat-7b/resolve/main/{shard}")
        by_ms = ask(f"{hub.url}/api/v1/models/Shanghai_AI_Laboratory/internlm-chat-7b/repo?FilePath={shard}")
        bodies = {ask(answer.headers["location"]).body for answer in (by_hf, by_ms)}
        assert len(bodies) == 1
        assert len(bodies.pop()) == 1000
