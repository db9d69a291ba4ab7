"""Several endpoints of one hub: a cache in the local network beside the hub itself. No login goes to the cache."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from internlm_setup.fetch import service
from internlm_setup.playground import make_standin, open_playground
from internlm_setup.playground.door import MODEL_IDS
from internlm_setup.playground.hub import HubServer, Repository
from servers import olah
from servers.machine import MODEL, Machine

pytestmark = pytest.mark.loopback
WEIGHTS_BYTES = 8 << 20  # as in conftest
SECRETS = {"HF_TOKEN": "hf_SecretOfHuggingFace123", "MODELSCOPE_API_TOKEN": "ms-01234567-89ab-cdef-0123-456789abcdef"}
KEYS = {"OPENXLAB_AK": "ak-of-openxlab", "OPENXLAB_SK": "sk-of-openxlab-000"}


@pytest.fixture
def cache() -> Iterator[HubServer]:
    """A second server with the same model."""
    with open_playground(weights_bytes=WEIGHTS_BYTES) as server:
        yield server


def given(cache: HubServer, hub: str) -> list[str]:
    """The words that name the cache as one more endpoint of a hub."""
    variables = {"huggingface": "HF_ENDPOINT", "modelscope": "MODELSCOPE_ENDPOINT", "openxlab": "OPENXLAB_ENDPOINT"}
    return ["--endpoint", f"{hub}={cache.environment()[variables[hub]]}"]


def gone(machine: Machine) -> Machine:
    """The machine, where the hubs themselves cannot be reached."""
    nowhere = dict.fromkeys(("HF_ENDPOINT", "MODELSCOPE_ENDPOINT"), "http://127.0.0.1:9")
    return Machine(machine.root, {**machine.variables, **nowhere})


@pytest.mark.parametrize("source", ["huggingface", "modelscope", "openxlab"])
def test_the_cache_serves_and_gets_no_login(
    machine: Machine, cache: HubServer, model: Mapping[str, bytes], source: str
) -> None:
    """Not those of variables, not stored ones, in no header."""
    stored = machine.home / ".cache" / "huggingface" / "token"
    stored.parent.mkdir(parents=True)
    stored.write_text("hf_StoredSecret1234567")
    machine.variables = {**machine.variables, **SECRETS, **KEYS}
    done = machine.run("fetch", MODEL, "--source", source, "--to", MODEL, *given(cache, source))
    assert (done.code, {p: b for p, b in machine.files().items() if p in model}) == (0, dict(model)), done.err
    assert len(cache.log) > 0
    assert not [r for r in cache.log if r.carries_secret]


@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
def test_the_hub_itself_is_not_needed(
    machine: Machine, cache: HubServer, model: Mapping[str, bytes], source: str
) -> None:
    done = gone(machine).run("fetch", MODEL, "--source", source, *given(cache, source))
    assert (done.code, {p: b for p, b in machine.files().items() if p in model}) == (0, dict(model)), done.err


def test_the_cache_is_not_needed(machine: Machine, hub: HubServer, model: Mapping[str, bytes]) -> None:
    """A cache that is switched off, and another one that is none, cost no more than being asked."""
    words = ["--endpoint", "huggingface=http://127.0.0.1:9", "--endpoint", f"huggingface={hub.url}/nothing-here"]
    done = machine.run("fetch", MODEL, "--source", "huggingface", *words)
    assert (done.code, machine.files()) == (0, dict(model)), done.err


def test_the_hub_says_what_the_model_is(
    machine: Machine, cache: HubServer, model: Mapping[str, bytes], tmp_path: Path
) -> None:
    """A cache with other bytes under the same names serves only what is the same; the difference is a warning."""
    stale = make_standin(tmp_path / "stale", weights_bytes=WEIGHTS_BYTES, seed=8)
    cache.add(Repository(MODEL_IDS, stale))
    done = machine.run("fetch", MODEL, "--source", "huggingface", "--json", *given(cache, "huggingface"))
    assert (done.code, {p: b for p, b in machine.files().items() if p in model}) == (0, dict(model)), done.err
    used, other = json.loads(done.out)["data"]["hubs"]
    assert (used["hub"], other["hub"], other["state"]) == ("huggingface", "huggingface", "differs")
    assert used["endpoint"] != other["endpoint"] == given(cache, "huggingface")[1].partition("=")[2]
    assert f"warning: huggingface ({other['endpoint']}) holds other bytes of " in done.err


def test_each_endpoint_is_a_source(machine: Machine, cache: HubServer) -> None:
    """What all of them list with the same hash is to be had from each, under a name that tells them apart."""
    address = given(cache, "huggingface")[1].partition("=")[2]
    world = replace(machine.world(), nearer=(("huggingface", address),))
    plan = service.plan(service.Request(MODEL), world)
    own = machine.variables["HF_ENDPOINT"]
    names = ["modelscope", f"huggingface ({own})", f"huggingface ({address})"]
    (weights,) = [c for c in plan.contents if c.paths == ("pytorch_model-00001-of-00008.bin",)]
    assert [s.name for s in weights.sources] == names


def test_the_vendors_downloader_takes_no_login_there_either(machine: Machine, cache: HubServer) -> None:
    machine.variables = {**machine.variables, **SECRETS}
    words = ("--source", "huggingface", "--engine", "official", *given(cache, "huggingface"))
    done = gone(machine).run("fetch", MODEL, *words)
    assert done.code == 0, done.err
    assert [r for r in cache.log if "hf_hub" in r.headers.get("user-agent", "")]
    assert not [r for r in cache.log if r.carries_secret]


def test_the_hubs_own_origin_keeps_its_login(machine: Machine, hub: HubServer) -> None:
    """Its own address under another path is the same place."""
    machine.variables = {**machine.variables, **SECRETS}
    done = machine.run("fetch", MODEL, "--source", "huggingface", "--endpoint", f"huggingface={hub.url}/")
    assert done.code == 0, done.err
    assert [r for r in hub.log if r.carries_secret]


@pytest.mark.parametrize("value", ["huggingface", "nohub=http://127.0.0.1:1", "huggingface=ftp://me:secret@x", "=", ""])
def test_an_endpoint_that_is_none(machine: Machine, value: str) -> None:
    done = machine.run("fetch", MODEL, "--endpoint", value)
    assert done.code == 2
    assert "HUB=URL" in done.err
    assert "secret" not in done.err


@pytest.mark.parametrize("login", ["me:secret@", "me@", ":secret@"])
def test_an_endpoint_with_a_login(machine: Machine, cache: HubServer, login: str) -> None:
    """None would be sent there, so it is refused."""
    address = cache.url.replace("://", f"://{login}")
    done = machine.run("fetch", MODEL, "--source", "huggingface", "--endpoint", f"huggingface={address}")
    assert (done.code, len(cache.log)) == (2, 0)
    assert "no login is sent there" in done.err
    assert "secret" not in done.err


@pytest.mark.parametrize("named", ["--source", "variable"])
def test_an_endpoint_of_a_hub_that_is_not_asked(machine: Machine, cache: HubServer, named: str) -> None:
    """Nobody would go there: that is said before anybody is asked."""
    words = ("fetch", MODEL, *given(cache, "huggingface"))
    if named == "--source":
        done = machine.run(*words, "--source", "modelscope,openxlab")
    else:
        done = machine.run(*words, INTERNLM_SETUP_SOURCE="modelscope,openxlab")
    assert (done.code, len(cache.log)) == (2, 0)
    assert "`--source modelscope,openxlab` does not ask huggingface" in done.err


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Olah in an environment of its own: its pins are not ours."""
    return olah.install(tmp_path_factory.mktemp("olah") / "venv")


@pytest.mark.full
@pytest.mark.timeout(180)
def test_olah_beside_the_hub(
    machine: Machine, hub: HubServer, program: Path, model: Mapping[str, bytes], tmp_path: Path
) -> None:
    """Somebody else's cache of Hugging Face; what it holds once, a second machine gets from there alone."""
    with olah.serve(program, tmp_path / "olah", upstream=hub.url) as url:
        words = ("fetch", MODEL, "--source", "huggingface", "--endpoint", f"huggingface={url}")
        first, second = (gone(Machine(tmp_path / n, {**machine.variables, **SECRETS})) for n in ("one", "two"))
        assert first.run(*words).code == 0
        sent_bytes = hub.log.sent_bytes
        assert second.run(*words).code == 0
    assert first.files() == second.files() == dict(model)
    assert hub.log.sent_bytes - sent_bytes < 1 << 20
