"""Several hubs at once: whose version arrives, what is said of the others, and that none of them stops the run."""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from internlm_setup.core.errors import SeveralErrors
from internlm_setup.fetch import service
from internlm_setup.fetch.source_errors import HubsDiffer
from internlm_setup.fetch.transfer import events
from internlm_setup.playground import make_standin
from internlm_setup.playground.door import MODEL_IDS
from internlm_setup.playground.hub import Fault, HubServer, Repository
from servers.machine import MODEL, Machine

pytestmark = pytest.mark.loopback
WEIGHTS = "pytorch_model-00001-of-00008.bin"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The same model as the playground's, to be served anew."""
    return make_standin(tmp_path / "served", weights_bytes=8 << 20)


def with_other(hub: HubServer, folder: Path, name: str, hub_id: str = "modelscope") -> bytes:
    """Let one hub hold other bytes of one file, as long as the true ones; return them."""
    other = folder.with_name(f"other-{hub_id}")
    other.mkdir(exist_ok=True)
    data = bytes(b ^ 1 for b in (folder / name).read_bytes())
    (other / name).write_bytes(data)
    hub.add(Repository(MODEL_IDS, folder, overlays={hub_id: other}))
    return data


@pytest.fixture
def closed() -> Iterator[str]:
    """An address where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture
def silent() -> Iterator[str]:
    """An address where connections are taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def fetched(machine: Machine, *words: str) -> tuple[int, dict[str, Any]]:
    """Run the installed command and return its exit code and data."""
    done = machine.run("fetch", MODEL, *words, "--json")
    return done.code, json.loads(done.out)["data"]


def states(data: Mapping[str, Any]) -> dict[str, str]:
    return {each["hub"]: each["state"] for each in data["hubs"]}


def test_both_hubs_serve_what_is_the_same(machine: Machine) -> None:
    """The weights have two sources, the primary first; a file that only one hub can prove has one."""
    plan = service.plan(service.Request(MODEL), machine.world())
    sources = {content.paths[0]: [source.hub for source in content.sources] for content in plan.contents}
    assert sources[WEIGHTS] == ["modelscope", "huggingface"]
    assert sources["config.json"] == ["modelscope"]
    assert [each.state for each in plan.choice.hubs] == ["used", "same"]


def test_a_hub_that_lies_is_in_the_result(machine: Machine, hub: HubServer, model: Mapping[str, bytes]) -> None:
    """Everything is right all the same."""
    for path in model:
        hub.faults.add(Fault("flip", path, hub="huggingface"))
    result = machine.fetch(jobs=4)
    assert machine.files().items() >= model.items()
    assert result.dropped == ("huggingface",)


def test_one_file_comes_from_both(machine: Machine, hub: HubServer, folder: Path) -> None:
    """Without a word about it: the trace has pieces of either, and the file is right."""
    data = bytes(range(256)) * (48 << 12)
    (folder / "model.safetensors").write_bytes(data)
    hub.add(Repository(MODEL_IDS, folder))
    code, done = fetched(machine, "--include", "*.safetensors", "--trace", "trace.jsonl")
    assert (code, (machine.cwd / MODEL / "model.safetensors").read_bytes()) == (0, data)
    came = Counter[str]()
    for line in (machine.cwd / "trace.jsonl").read_text().splitlines():
        piece = json.loads(line)
        came[piece["source"]] += piece["bytes"]
    assert min(came["modelscope"], came["huggingface"]) > 0
    assert came.total() >= len(data)
    assert set(done["files"][0]["source"].split(",")) == set(came)
    assert done["files"][0]["proof_from"] == "modelscope"


def test_auto_takes_one_version_and_warns_once(
    machine: Machine, hub: HubServer, folder: Path, model: Mapping[str, bytes]
) -> None:
    other = with_other(hub, folder, WEIGHTS)
    done = machine.run("fetch", MODEL)
    assert done.code == 0, done.err
    assert machine.files()[WEIGHTS] == other
    assert done.err.count("warning:") == 1
    assert f"huggingface holds other bytes of {WEIGHTS}; the version of modelscope is used" in done.err
    code, data = fetched(machine)
    assert (code, data["hub"], states(data)) == (0, "modelscope", {"modelscope": "used", "huggingface": "differs"})
    assert [each["different"] for each in data["hubs"]] == [[], [WEIGHTS]]
    assert not [r for r in hub.log if r.origin == "cdn" and r.path.endswith(WEIGHTS) and "huggingface" in r.path]


def test_named_hubs_with_other_weights_are_refused(machine: Machine, hub: HubServer, folder: Path) -> None:
    with_other(hub, folder, WEIGHTS)
    done = machine.run("fetch", MODEL, "--source", "huggingface,modelscope")
    assert (done.code, done.out, list(machine.cwd.iterdir())) == (1, "", [])
    assert f"huggingface and modelscope hold different weights of `{MODEL}`: {WEIGHTS}" in done.err
    for hub_id in ("huggingface", "modelscope"):
        assert f"`internlm-setup fetch {MODEL} --source {hub_id}`" in done.err
    assert machine.run("fetch", MODEL, "--source", "huggingface,modelscope", "--include", "*.json").code == 0


def test_a_choice_outside_the_catalogue(machine: Machine, hub: HubServer, folder: Path) -> None:
    """Each proposed command is understood as it stands."""
    other = make_standin(folder.with_name("other"), weights_bytes=1 << 20)
    hub.add(
        Repository(dict.fromkeys(("modelscope", "huggingface"), "acme/foo"), folder, overlays={"modelscope": other})
    )
    done = machine.run("fetch", "acme/foo", "--source", "huggingface,modelscope")
    assert (done.code, "`internlm-setup fetch acme/foo --source modelscope`" in done.err) == (1, True), done.err
    assert machine.run("fetch", "acme/foo", "--source", "modelscope").code == 0


def test_named_hubs_with_another_readme_are_used(
    machine: Machine, hub: HubServer, folder: Path, model: Mapping[str, bytes]
) -> None:
    """Whose first bytes are compared is the one that was named first; sizes tell where hashes cannot."""
    (folder.with_name("other-modelscope")).mkdir()
    (folder.with_name("other-modelscope") / "README.md").write_text("other words")
    hub.add(Repository(MODEL_IDS, folder, overlays={"modelscope": folder.with_name("other-modelscope")}))
    code, data = fetched(machine, "--source", "huggingface,modelscope")
    assert (code, machine.files()) == (0, model)
    assert data["hubs"][1]["different"] == ["README.md"]


def test_a_dead_hub_is_passed_over(machine: Machine, closed: str, model: Mapping[str, bytes]) -> None:
    machine.variables = {**machine.variables, "MODELSCOPE_ENDPOINT": closed}
    code, data = fetched(machine)
    assert (code, data["hub"], machine.files()) == (0, "huggingface", model)
    assert states(data) == {"huggingface": "used", "modelscope": "failed"}
    assert "the connection was refused" in data["hubs"][1]["verdict"]


def test_all_hubs_dead(machine: Machine, closed: str) -> None:
    machine.variables = {**machine.variables, "MODELSCOPE_ENDPOINT": closed, "HF_ENDPOINT": closed}
    done = machine.run("fetch", MODEL)
    assert (done.code, done.err.count("the connection was refused")) == (69, 2)


def test_a_silent_hub_is_waited_for_once(machine: Machine, silent: str, model: Mapping[str, bytes]) -> None:
    """Then it is remembered, and told so; whoever names it has it asked, and it is heard again when it speaks."""
    well = machine.variables
    machine.variables = {**well, "MODELSCOPE_ENDPOINT": silent}
    _, first = fetched(machine)
    assert (first["hub"], machine.files()) == ("huggingface", model)
    assert first["hubs"][1]["verdict"].startswith("no answer within")
    _, second = fetched(machine)
    assert second["hubs"][1]["verdict"] == "it did not answer a while ago, so it was not waited for"
    _, named = fetched(machine, "--source", "modelscope,huggingface")
    assert named["hubs"][1]["verdict"].startswith("no answer within")
    shown = json.loads(machine.run("models", "show", MODEL, "--json").out)["data"]
    assert states(shown) == {"modelscope": "silent", "huggingface": "used", "openxlab": "not-asked"}


def test_a_gated_hub_stops_nobody(machine: Machine, hub: HubServer, folder: Path) -> None:
    hub.add(Repository({"huggingface": MODEL_IDS["huggingface"]}, folder, gated=True))
    code, data = fetched(machine)
    assert (code, data["hub"], states(data)["huggingface"]) == (0, "modelscope", "failed")
    assert "conditions" in data["hubs"][1]["verdict"]
    hub.add(Repository({"modelscope": MODEL_IDS["modelscope"]}, folder, private=True))
    with pytest.raises(SeveralErrors):
        machine.fetch()


def test_a_private_first_hub(machine: Machine, hub: HubServer, folder: Path, model: Mapping[str, bytes]) -> None:
    hub.add(Repository({"modelscope": MODEL_IDS["modelscope"]}, folder, private=True))
    assert (machine.fetch().hub, machine.files()) == ("huggingface", model)


def test_the_revision_must_be_there(machine: Machine, hub: HubServer, folder: Path) -> None:
    hub.add(Repository({"huggingface": MODEL_IDS["huggingface"]}, folder, revisions=frozenset({"v9"})))
    result = machine.fetch(revision="v9")
    assert (result.hub, result.revision) == ("huggingface", "v9")
    assert "no revision `v9`" in result.hubs[1].verdict.en
    with pytest.raises(SeveralErrors) as caught:
        machine.fetch(revision="v10")
    assert {error.code for error in caught.value.errors} == {"fetch.revision-missing"}


def test_a_folder_keeps_its_version(machine: Machine, hub: HubServer, folder: Path, closed: str) -> None:
    """What was begun from one hub goes on from it, whoever else answers by now."""
    with_other(hub, folder, WEIGHTS)
    well = machine.variables
    machine.variables = {**well, "MODELSCOPE_ENDPOINT": closed}
    machine.fetch(include=("*.json",))
    machine.variables = well
    result = machine.fetch()
    assert result.hub == "huggingface"
    assert "the folder was begun with its version" in result.hubs[0].verdict.en
    assert machine.files()[WEIGHTS] == (folder / WEIGHTS).read_bytes()


def test_openxlab_is_compared_by_size_and_never_mixed(machine: Machine, hub: HubServer, tmp_path: Path) -> None:
    plan = service.plan(service.Request(MODEL, ("openxlab", "modelscope")), machine.world())
    assert {tuple(s.hub for s in content.sources) for content in plan.contents} == {("openxlab",)}
    plan = service.plan(service.Request(MODEL, ("modelscope", "openxlab")), machine.world())
    assert {tuple(s.hub for s in content.sources) for content in plan.contents} == {("modelscope",)}
    larger = make_standin(tmp_path / "larger", weights_bytes=9 << 20)
    hub.add(Repository({"openxlab": MODEL_IDS["openxlab"]}, larger))
    with pytest.raises(HubsDiffer):
        service.plan(service.Request(MODEL, ("modelscope", "openxlab")), machine.world())


def test_the_official_engine_uses_the_primary_alone(
    machine: Machine, hub: HubServer, model: Mapping[str, bytes]
) -> None:
    result = machine.fetch(source="huggingface,modelscope", engine="official")
    assert (machine.files(), {f.source for f in result.files}) == (model, {"huggingface"})
    assert not [r for r in hub.log if r.hub == "modelscope" and r.path.endswith("/repo")]


def test_who_is_asked_is_told_before_what_they_hold(machine: Machine) -> None:
    machine.fetch()
    told = [type(event) for event in machine.events]
    assert told[:4] == [events.Asking, events.Asking, events.Compared, events.Planned]


@pytest.mark.parametrize("source", ["auto", "huggingface,modelscope"])
def test_what_models_show_says_is_what_fetch_says(machine: Machine, hub: HubServer, folder: Path, source: str) -> None:
    with_other(hub, folder, "README.md")
    machine.variables = {**machine.variables, "INTERNLM_SETUP_SOURCE": source}
    shown = json.loads(machine.run("models", "show", MODEL, "--json").out)["data"]
    _, data = fetched(machine)
    assert shown["hubs"][:2] == data["hubs"]


def test_models_show_outside_the_catalogue(machine: Machine, hub: HubServer, folder: Path) -> None:
    """What the hints of other commands propose is understood."""
    hub.add(Repository({"modelscope": "acme/foo"}, folder))
    done = machine.run("models", "show", "acme/foo", "--json", INTERNLM_SETUP_SOURCE="modelscope")
    data = json.loads(done.out)["data"]
    assert (done.code, data["name"], states(data)) == (0, "acme/foo", {"modelscope": "used"}), done.err
    done = machine.run("models", "show", "acme/foo")
    assert (done.code, "acme/foo: outside the catalogue" in done.err) == (0, True), done.err
    assert machine.run("models", "show", "foo").code == 66
