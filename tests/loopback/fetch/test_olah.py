"""A Hugging Face dialect that is not ours: olah, offline and as a caching proxy, serves our client."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from internlm_setup.fetch.transfer.manifest import read_manifest
from internlm_setup.playground.hub import HubServer
from servers import olah
from servers.machine import MODEL, STATE, Machine

pytestmark = [pytest.mark.loopback, pytest.mark.full, pytest.mark.timeout(180)]
SPELLINGS = ("internlm-chat-7b", "internlm/internlm-chat-7b")


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Olah in an environment of its own: its pins are not ours."""
    return olah.install(tmp_path_factory.mktemp("olah") / "venv")


@pytest.fixture
def offline_machine(tmp_path: Path, hub: HubServer) -> Machine:
    """A machine that knows the hubs' variables and whose Hugging Face will be olah."""
    return Machine(tmp_path / "machine", {**hub.environment()})


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_offline_from_a_git_repository(
    offline_machine: Machine, program: Path, model: Mapping[str, bytes], tmp_path: Path, spelling: str
) -> None:
    """No length, no ranges, unquoted tags, a redirect to another spelling of the listing."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    large = {path for path in model if path.endswith((".bin", ".model"))}
    repository = tmp_path / "mirrors" / "models" / "internlm" / "internlm-chat-7b"
    olah.make_git_repository(repository, dict(model), large)
    with olah.serve(program, tmp_path / "olah", mirrors=tmp_path / "mirrors") as url:
        done = offline_machine.run("fetch", spelling, "--source", "huggingface", HF_ENDPOINT=url)
    assert (done.code, offline_machine.files()) == (0, dict(model)), done.err
    manifest = read_manifest(offline_machine.cwd / MODEL / STATE)
    assert manifest is not None
    assert {e.proof for e in manifest.files if e.path in large} == {"sha256"}
    assert {e.proof for e in manifest.files} == {"sha256", "git-sha1"}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_as_a_caching_proxy_of_the_playground(
    offline_machine: Machine, hub: HubServer, program: Path, model: Mapping[str, bytes], tmp_path: Path, spelling: str
) -> None:
    with olah.serve(program, tmp_path / "olah", upstream=hub.url) as url:
        done = offline_machine.run("fetch", spelling, "--source", "huggingface", HF_ENDPOINT=url)
        assert (done.code, offline_machine.files()) == (0, dict(model)), done.err
        second = Machine(tmp_path / "second", offline_machine.variables)
        sent_bytes = hub.log.sent_bytes
        done = second.run("fetch", spelling, "--source", "huggingface", HF_ENDPOINT=url)
    assert (done.code, second.files()) == (0, dict(model)), done.err
    assert hub.log.sent_bytes - sent_bytes < 1 << 20  # from olah's cache


def test_stopped_and_resumed_through_the_proxy(
    offline_machine: Machine, hub: HubServer, program: Path, model: Mapping[str, bytes], tmp_path: Path
) -> None:
    with olah.serve(program, tmp_path / "olah", upstream=hub.url) as url:
        offline_machine.variables = {**offline_machine.variables, "HF_ENDPOINT": url}
        words = ("fetch", MODEL, "--source", "huggingface")
        child = offline_machine.start(*words, "--limit-rate", "4M")
        hub.log.wait_for_bytes(4 << 20)
        child.terminate()
        child.communicate(timeout=20)
        assert child.returncode == 143
        done = offline_machine.run(*words)
    assert (done.code, offline_machine.files()) == (0, dict(model)), done.err
