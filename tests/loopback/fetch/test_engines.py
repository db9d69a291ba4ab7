"""Every hub with every engine, both found from their registries: one contract, whoever moves the bytes."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from internlm_setup.core.errors import SetupError
from internlm_setup.core.paths import Paths
from internlm_setup.core.sidecar import ready
from internlm_setup.fetch import engines, hubs
from internlm_setup.fetch.hubs.openxlab import SDK
from internlm_setup.fetch.model import Downloader, FetchedFile, FetchResult
from internlm_setup.fetch.transfer import events
from internlm_setup.playground import make_standin
from internlm_setup.playground.door import MODEL_IDS
from internlm_setup.playground.hub import Fault, HubServer, Repository
from servers.machine import MODEL, STATE, Machine
from servers.tls_proxy import TlsProxy

pytestmark = [pytest.mark.loopback, pytest.mark.timeout(120)]
SHARD, SMALL = "pytorch_model-00003-of-00008.bin", "config.json"
EXTRA = "configuration.json"  # ModelScope's twin has it besides the shared files
SIDE = ("openxlab", "official")  # needs packages that only the full run installs
PAIRS = [
    pytest.param(hub, engine, marks=pytest.mark.full) if (hub, engine) == SIDE else (hub, engine)
    for hub in hubs.known()
    for engine in engines.known()
]
HASHLESS = "openxlab"  # it publishes nothing that could prove a file
PATIENT = ("modelscope", "official")  # tries again for half a minute
FORGETFUL = {SIDE, ("huggingface", "official")}  # nothing of an unfinished file is kept
each_pair = pytest.mark.parametrize(("source", "engine"), PAIRS)
each_proved_pair = pytest.mark.parametrize(
    ("source", "engine"), [(h, e) for h in hubs.known() for e in engines.known() if h != HASHLESS]
)
on_posix = pytest.mark.skipif(os.name == "nt", reason="the signals are those of POSIX")


@pytest.fixture(scope="session")
def side_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder in which the side environment was made once for all tests."""
    root = tmp_path_factory.mktemp("state")
    env = {**os.environ, "XDG_STATE_HOME": str(root)}
    ready(SDK, Paths.of(env, root).state, env, lambda _: None)
    return root


@pytest.fixture
def machine(request: pytest.FixtureRequest, hub: HubServer, tmp_path: Path) -> Machine:
    """An empty machine, which has the side environment where a test of the full run needs it."""
    variables = dict(hub.environment())
    if request.node.get_closest_marker("full"):
        state: Path = request.getfixturevalue("side_state")
        variables["XDG_STATE_HOME"] = str(state)
        for record in state.rglob("*.json"):  # of fetches on other machines, whose files would be reused
            if record.name in {"begun.json", "fetches.json"}:
                record.unlink()
    return Machine(tmp_path, variables)


@pytest.fixture
def change(hub: HubServer, tmp_path: Path) -> Callable[..., None]:
    """Serve the model anew with other properties."""
    folder = make_standin(tmp_path / "served", weights_bytes=1 << 20)

    def serve(**properties: Any) -> None:
        hub.add(replace(Repository(MODEL_IDS, folder), **properties))

    return serve


def refusal(machine: Machine, source: str, engine: str, **asked: Any) -> SetupError:
    with pytest.raises(SetupError) as caught:
        machine.fetch(source=source, engine=engine, to=Path("to"), **asked)
    assert caught.value.next_step("en")
    return caught.value


def told(result: FetchResult) -> list[FetchedFile]:
    return [replace(file, source="") for file in result.files]


def test_every_shipped_hub_has_an_official_downloader(machine: Machine) -> None:
    assert set(engines.known()) == {"native", "official"}
    for hub_id in hubs.known():
        assert isinstance(machine.world().hub(hub_id), Downloader)


@each_pair
def test_the_same_bytes_with_the_same_proof(
    machine: Machine, model: Mapping[str, bytes], source: str, engine: str
) -> None:
    result = machine.fetch(source=source, engine=engine, to=Path("to"))
    arrived = machine.files("to")
    arrived.pop(EXTRA, None)
    assert arrived == model
    reference = machine.fetch(source=source, to=Path("reference"))
    assert told(result) == told(reference)
    sums = [(machine.cwd / name / STATE / "SHA256SUMS").read_text() for name in ("to", "reference")]
    assert sums[0] == sums[1]
    assert sorted(p.name for p in (result.path / STATE).iterdir()) == ["SHA256SUMS", "lock", "manifest.json"]


@each_pair
def test_a_second_run_moves_no_byte(machine: Machine, hub: HubServer, source: str, engine: str) -> None:
    first = machine.fetch(source=source, engine=engine)
    before = hub.log.sent_bytes
    second = machine.fetch(source=source, engine=engine)
    assert (second.received_bytes, second.reused_files) == (0, len(first.files))
    assert hub.log.sent_bytes - before < 64 << 10


@each_pair
def test_include_and_exclude(machine: Machine, model: Mapping[str, bytes], source: str, engine: str) -> None:
    machine.fetch(source=source, engine=engine, include=("*.json", "*.py"), exclude=("tokenizer*",), to=Path("to"))
    arrived = machine.files("to")
    arrived.pop(EXTRA, None)
    wanted = {p for p in model if p.endswith((".json", ".py")) and not p.startswith("tokenizer")}
    assert arrived == {path: model[path] for path in wanted}


@each_proved_pair
@pytest.mark.parametrize("path", [SHARD, SMALL])
def test_wrong_bytes_are_exit_65(
    machine: Machine, hub: HubServer, model: Mapping[str, bytes], source: str, engine: str, path: str
) -> None:
    hub.faults.add(Fault("flip", path, hub=source))
    done = machine.run("fetch", MODEL, "--source", source, "--engine", engine, "--to", "to")
    assert (done.code, done.out) == (65, ""), done.err
    assert f"error: `{path}` from {source} is corrupt: " in done.err
    arrived = machine.files("to")
    arrived.pop(EXTRA, None)
    assert arrived == {p: b for p, b in model.items() if p != path}
    assert not list((machine.cwd / "to" / STATE).rglob(path))


@each_proved_pair
def test_a_bit_flipped_once_heals(
    machine: Machine, hub: HubServer, model: Mapping[str, bytes], source: str, engine: str
) -> None:
    flip = hub.faults.add(Fault("flip", SHARD, hub=source, times=1))
    machine.fetch(source=source, engine=engine, to=Path("to"))
    assert machine.files("to").items() >= model.items()
    assert hub.faults.struck(flip) == 1


@each_pair
def test_wrong_bytes_that_nothing_disproves_are_called_unverified(
    machine: Machine, hub: HubServer, source: str, engine: str
) -> None:
    """With hashes they are an error, without them never a success in silence."""
    hub.faults.add(Fault("flip", SHARD, hub=source))
    if source == HASHLESS:
        assert machine.fetch(source=source, engine=engine).unverified == (SHARD,)
    else:
        assert refusal(machine, source, engine).code == "fetch.hash-mismatch"


@pytest.mark.parametrize(
    ("source", "engine"), [pair for pair in PAIRS if pair != PATIENT] + [pytest.param(*PATIENT, marks=pytest.mark.full)]
)
def test_a_file_always_cut_short_is_an_error(machine: Machine, hub: HubServer, source: str, engine: str) -> None:
    """The vendor's program for OpenXLab calls it finished."""
    path, at_byte = (SMALL, 7) if source == "openxlab" else (SHARD, 0)  # what the others get, they go on with
    hub.faults.add(Fault("truncate", path, hub=source, where=frozenset({"content"}), at_byte=at_byte))
    error = refusal(machine, source, engine, include=(path,))
    assert int(error.exit_code) in {65, 69}
    assert path in error.message("en")
    assert machine.files("to") == {}


@each_pair
def test_a_missing_repository(machine: Machine, source: str, engine: str) -> None:
    with pytest.raises(SetupError) as caught:
        machine.fetch("lab/nothing", source, engine=engine)
    assert (caught.value.code, int(caught.value.exit_code)) == ("fetch.repository-missing", 66)


@each_pair
def test_an_unknown_revision(machine: Machine, source: str, engine: str) -> None:
    assert int(refusal(machine, source, engine, revision="v9").exit_code) == 66


@each_pair
def test_nothing_matches(machine: Machine, source: str, engine: str) -> None:
    """ModelScope's own program calls it a success."""
    assert refusal(machine, source, engine, include=("*.gguf",)).code == "fetch.nothing-matches"


@each_pair
def test_a_gated_repository(machine: Machine, change: Callable[..., None], source: str, engine: str) -> None:
    change(gated=True)
    assert int(refusal(machine, source, engine).exit_code) == 77


@each_pair
def test_a_file_that_is_refused(machine: Machine, hub: HubServer, source: str, engine: str) -> None:
    hub.faults.add(Fault("server-error", SHARD, hub=source, where=frozenset({"content"}), status=403))
    error = refusal(machine, source, engine, include=(SHARD,))
    assert int(error.exit_code) in {69, 77}
    assert machine.files("to") == {}


def test_a_token_is_sent_to_the_hub_alone(hub: HubServer, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reaches the vendor's code through the environment."""
    monkeypatch.setenv("HF_TOKEN", "hf_accepted")
    machine.variables = {**machine.variables, "HF_TOKEN": "hf_accepted"}
    machine.fetch(source="huggingface", engine="official")
    carriers = {r.origin for r in hub.log if r.carries_secret}
    assert carriers == {"hub"}
    assert {r.origin for r in hub.log} == {"hub", "cdn"}


@each_pair
def test_only_the_path_on_stdout(machine: Machine, source: str, engine: str) -> None:
    done = machine.run("fetch", MODEL, "--source", source, "--engine", engine, "--to", "to")
    assert (done.code, done.out) == (0, f"{machine.cwd / 'to'}\n"), done.err
    assert not [line for line in done.err.splitlines() if "%|" in line or "Traceback" in line]


def test_telemetry_is_not_sent(machine: Machine, hub: HubServer) -> None:
    for source in ("huggingface", "modelscope"):
        machine.fetch(source=source, engine="official")
    assert not [r.path for r in hub.log if "telemetry" in r.path or "bury" in r.path or "harness" in r.path]
    assert [p for p in machine.home.rglob("*") if p.is_file() and "internlm-setup" not in p.parts] == []


@pytest.fixture
def slow(hub: HubServer) -> Iterator[HubServer]:
    """The hub at 4 MiB/s in all: the weights take two seconds."""
    hub.faults.throttle(total_bytes_per_s=4 << 20)
    yield hub
    hub.faults.throttle()


def stopped(machine: Machine, hub: HubServer, words: tuple[str, ...], number: int) -> tuple[int, str]:
    """Start the command, send it a signal when half of the model has left the hub, return how it ended."""
    child = machine.start("fetch", MODEL, *words)
    try:
        hub.log.wait_for_bytes(5 << 20)
        child.send_signal(number)
        out, err = child.communicate(timeout=20)
    except BaseException:
        child.kill()
        child.communicate()
        raise
    assert out == ""
    return child.returncode, err


def processes_in(folder: Path) -> list[str]:
    """Return the command lines of processes that work in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.joinpath("cwd").resolve().is_relative_to(folder / STATE):
                found.append(process.joinpath("cmdline").read_text())
        except OSError:
            continue
    return found


@on_posix
@each_pair
@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 130),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.full),
        pytest.param(signal.SIGKILL, -9, marks=pytest.mark.full),
    ],
)
def test_stopped_and_run_again(
    machine: Machine, slow: HubServer, model: Mapping[str, bytes], source: str, engine: str, number: int, code: int
) -> None:
    """No process is left behind, nothing partial bears a final name, and what can be continued is."""
    words = ("--source", source, "--engine", engine, "--to", "to")
    ended, _ = stopped(machine, slow, words, number)
    assert ended == code
    give_up_s = time.monotonic() + 10
    while processes_in(machine.cwd / "to") and time.monotonic() < give_up_s:
        time.sleep(0.05)
    assert processes_in(machine.cwd / "to") == []
    assert {p: b for p, b in machine.files("to").items() if p != EXTRA}.items() <= model.items()
    slow.faults.throttle()
    before = slow.log.sent_bytes
    done = machine.run("fetch", MODEL, *words)
    assert done.code == 0, done.err
    assert machine.files("to").items() >= model.items()
    if (source, engine) not in FORGETFUL:
        assert slow.log.sent_bytes - before < sum(map(len, model.values()))


@pytest.mark.full
def test_openxlab_at_its_own_address(
    machine: Machine, hub: HubServer, model: Mapping[str, bytes], tmp_path: Path
) -> None:
    """Through a proxy with a certificate of a company, both given by the environment; no telemetry is sent."""
    folder = tmp_path / "tls"
    folder.mkdir()
    port = urlsplit(hub.url).port or 0
    with TlsProxy({"openapi.openxlab.org.cn": port}, folder) as proxy:
        machine.variables = {
            **{k: v for k, v in machine.variables.items() if "OPENXLAB" not in k},
            "HTTPS_PROXY": proxy.url,
            "NO_PROXY": "127.0.0.1",
            "SSL_CERT_FILE": str(proxy.certificate_file),
        }
        done = machine.run("fetch", MODEL, "--source", "openxlab", "--engine", "official", "--json")
    assert done.code == 0, done.err
    data = json.loads(done.out)["data"]
    assert {file["source"] for file in data["files"]} == {"openxlab"}
    assert data["unverified"] == []
    assert machine.files(Path(data["path"]).name) == model
    asked = [r for r in hub.log if "openxlab" in r.path or "model-center" in r.path or "bury" in r.path]
    assert len(proxy.connected) >= 2
    assert not [r.path for r in asked if "bury" in r.path]


def test_the_engine_that_is_not_there(machine: Machine) -> None:
    done = machine.run("fetch", MODEL, "--engine", "aria2c")
    assert (done.code, done.out) == (66, "")
    assert done.err == "starting\nerror: no engine is called `aria2c`\n\n`--engine` takes native, official\n"


def test_a_speed_limit_is_not_ignored(machine: Machine, hub: HubServer) -> None:
    done = machine.run("fetch", MODEL, "--source", "modelscope", "--engine", "official", "--limit-rate", "1M")
    assert (done.code, machine.files()) == (2, {})
    assert "know no speed limit" in done.err


def test_a_dry_run_writes_nothing(machine: Machine) -> None:
    done = machine.run("fetch", MODEL, "--source", "modelscope", "--engine", "official", "--dry-run")
    assert (done.code, list(machine.cwd.iterdir())) == (0, [])


def test_progress_is_told(machine: Machine, model: Mapping[str, bytes]) -> None:
    """The bytes add up to about the model's; a vendor's own bookkeeping is among them."""
    machine.fetch(source="modelscope", engine="official")
    received = sum(event.count_bytes for event in machine.told(events.Advanced))
    assert sum(map(len, model.values())) <= received < 10 << 20
    assert len(machine.told(events.FileFinished)) == len(model) + 1


@on_posix
def test_what_one_engine_left_the_other_clears_away(machine: Machine, slow: HubServer) -> None:
    stopped(machine, slow, ("--source", "modelscope", "--engine", "official", "--to", "to"), signal.SIGKILL)
    state = machine.cwd / "to" / STATE
    assert (state / "official").is_dir()
    slow.faults.throttle()
    machine.fetch(source="modelscope", to=Path("to"))
    assert sorted(p.name for p in state.iterdir()) == ["SHA256SUMS", "lock", "manifest.json"]
