"""A small stand-in for a model: the real repository's file names, contents of our own.

It lets the whole tool be tried without gigabytes. Bytes depend on `seed` alone, so two runs make
the same model.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

WEIGHT_SHARDS = 8
_DEFAULT_WEIGHTS_BYTES = 24 << 20
_NOTICE = "# A stand-in made by internlm-setup's playground; it holds no model.\n"
_README = """---
license: apache-2.0
---

# InternLM-chat-7b: a stand-in

This folder was made by internlm-setup's playground on this machine. It has the file names of
`internlm/internlm-chat-7b` so that downloading can be tried without gigabytes, but the weights are
random bytes: there is no model here.

# InternLM-chat-7b：替身

本目录由 internlm-setup 的 playground 在本机生成，只有文件名与 `internlm/internlm-chat-7b` 相同，
权重是随机字节，并不是真正的模型。
"""
_ATTRIBUTES = "*.bin filter=lfs diff=lfs merge=lfs -text\n*.model filter=lfs diff=lfs merge=lfs -text\n"
_MODULES = ("configuration_internlm.py", "modeling_internlm.py", "tokenization_internlm.py")
_CONFIG = {
    "architectures": ["InternLMForCausalLM"],
    "bos_token_id": 1,
    "eos_token_id": 2,
    "hidden_size": 64,
    "model_type": "internlm",
    "num_hidden_layers": WEIGHT_SHARDS,
    "torch_dtype": "float16",
    "vocab_size": 512,
}
_TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>", "unk_token": "<unk>"}


def make_standin(folder: Path, *, weights_bytes: int = _DEFAULT_WEIGHTS_BYTES, seed: int = 7) -> Path:
    """Write a stand-in for internlm-chat-7b.

    Args:
        folder: Where; made if missing, and files of these names are replaced.
        weights_bytes: Size of all weight files together, at least 8.
        seed: Another seed gives other weights under the same names.

    Returns:
        `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        ".gitattributes": _ATTRIBUTES,
        "README.md": _README,
        "config.json": _json(_CONFIG),
        "generation_config.json": _json({"bos_token_id": 1, "eos_token_id": 2}),
        "special_tokens_map.json": _json(_TOKENS),
        "tokenizer_config.json": _json({"tokenizer_class": "InternLMTokenizer", **_TOKENS}),
        "pytorch_model.bin.index.json": _json(_index(weights_bytes)),
    }
    for name in _MODULES:
        texts[name] = f'{_NOTICE}"""Stands where the real repository has its {name}."""\n'
    for name, text in texts.items():
        (folder / name).write_bytes(text.encode())
    sizes = _shard_sizes(weights_bytes)
    for number, size_bytes in enumerate(sizes, start=1):
        (folder / shard_name(number)).write_bytes(_random_bytes(f"{seed}/{number}", size_bytes))
    (folder / "tokenizer.model").write_bytes(_random_bytes(f"{seed}/tokenizer", 64 << 10))
    return folder


def make_modelscope_extras(folder: Path) -> Path:
    """Write what ModelScope's twin has besides the shared files, and return `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"framework": "pytorch", "task": "chat", "allow_remote": True}
    (folder / "configuration.json").write_bytes(_json(settings).encode())
    return folder


def shard_name(number: int) -> str:
    """Return the name of a weight file, counted from 1."""
    return f"pytorch_model-{number:05d}-of-{WEIGHT_SHARDS:05d}.bin"


def _shard_sizes(weights_bytes: int) -> list[int]:
    """Split the weights as the real ones are: shards of one size, and a shorter last one."""
    usual = -(-weights_bytes // WEIGHT_SHARDS)
    return [max(0, min(usual, weights_bytes - start * usual)) for start in range(WEIGHT_SHARDS)]


def _random_bytes(key: str, size_bytes: int) -> bytes:
    return hashlib.shake_128(key.encode()).digest(size_bytes)


def _index(weights_bytes: int) -> dict[str, object]:
    layers = {f"model.layers.{number}.mlp.up_proj.weight": shard_name(number + 1) for number in range(WEIGHT_SHARDS)}
    return {"metadata": {"total_size": weights_bytes}, "weight_map": layers}


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
