"""Lock files: what one fetch brought, another brings exactly, from whichever hub still has it, or says why not."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from internlm_setup.core.errors import ExitCode, SeveralErrors
from internlm_setup.core.files import CannotWrite
from internlm_setup.fetch import service
from internlm_setup.fetch.source_errors import LockedFilesGone, LockedFilesOutOfReach
from internlm_setup.playground import make_standin
from internlm_setup.playground.door import MODEL_IDS
from internlm_setup.playground.hub import HubServer, Repository
from servers.machine import MODEL, Machine, files_in

pytestmark = pytest.mark.loopback
LOCK = Path("chat.lock")
WEIGHTS = "pytorch_model-00001-of-00008.bin"
EXTRA = "configuration.json"  # ModelScope's alone
OTHER = "internlm2-chat-1_8b"
Change = Callable[..., None]


@pytest.fixture
def change(hub: HubServer, tmp_path: Path) -> Change:
    """Publish another version at some hubs: other weights, the same words."""

    def publish(*hub_ids: str, weights_bytes: int = 8 << 20) -> None:
        newer = make_standin(tmp_path / f"newer-{weights_bytes}", weights_bytes=weights_bytes, seed=8)
        hub.add(Repository({hub_id: MODEL_IDS[hub_id] for hub_id in hub_ids}, newer))

    return publish


@pytest.fixture
def closed() -> Iterator[str]:
    """An address where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def again(machine: Machine, source: str = "", to: str = "again") -> dict[str, bytes]:
    """Fetch what the lock says on another machine, where nothing is yet, and return its files."""
    other = Machine(machine.root / to, machine.variables)
    result = other.fetch("", source, lock=machine.cwd / LOCK, to=Path(to))
    assert {f.proof_from for f in result.files} == {"lock"}
    return files_in(result.path)


def test_the_same_bytes_again(machine: Machine, hub: HubServer) -> None:
    """The lock names both hubs; the folder is called as the first one's repository, and nothing is fetched twice."""
    first = machine.fetch(lock=LOCK)
    assert first.lock == machine.cwd / LOCK
    value = json.loads((machine.cwd / LOCK).read_text())
    assert [each["hub"] for each in value["hubs"]] == ["modelscope", "huggingface"]
    assert len(value["hubs"][1]["commit"]) == 40
    assert {f["path"]: (f["size_bytes"], f["sha256"]) for f in value["files"]} == {
        f.path: (f.size_bytes, f.sha256) for f in first.files
    }
    assert again(machine) == machine.files()
    assert machine.fetch("", lock=LOCK).received_bytes == 0


def test_a_hub_that_changed_serves_only_what_stayed(machine: Machine, hub: HubServer, change: Change) -> None:
    """The weights come from the other hub; the words that only the changed one proves may still come from there."""
    machine.fetch(lock=LOCK, exclude=(EXTRA,))
    change("modelscope")
    assert again(machine) == {path: data for path, data in machine.files().items() if path != EXTRA}
    asked = [r for r in hub.log if r.origin == "cdn" and r.path.endswith(WEIGHTS)]
    assert "huggingface" in asked[-1].path


def test_nobody_has_it_any_more(machine: Machine, change: Change) -> None:
    """Exit 66 names the files, and nothing is written; the commit that is gone is looked for on its branch."""
    machine.fetch(lock=LOCK)
    change("modelscope", "huggingface")
    with pytest.raises(LockedFilesGone) as caught:
        again(machine)
    assert caught.value.exit_code == ExitCode.NOT_FOUND
    assert (WEIGHTS in caught.value.files, EXTRA in caught.value.files) == (True, True)
    assert "config.json" not in caught.value.files
    assert caught.value.hubs == "modelscope, huggingface"
    assert not (machine.root / "again" / "work" / "again").exists()


def test_nobody_has_it_any_more_outside_the_catalogue(machine: Machine, hub: HubServer, tmp_path: Path) -> None:
    """The proposed command names the repository and its hub, and locks what is there now."""
    for weights_bytes in (1 << 20, 2 << 20):
        made = make_standin(tmp_path / str(weights_bytes), weights_bytes=weights_bytes)
        hub.add(Repository({"modelscope": "acme/foo"}, made))
        if not (machine.cwd / LOCK).exists():
            machine.fetch("acme/foo", "modelscope", lock=LOCK)
    with pytest.raises(LockedFilesGone) as caught:
        again(machine)
    command = "internlm-setup fetch acme/foo --source modelscope --lock"
    assert f"`{command} NEW`" in str(caught.value.next_step())
    done = machine.run(*command.split()[1:], "new", "--to", "there")
    assert done.code == 0, done.err


def test_who_may_have_it_cannot_be_reached(machine: Machine, change: Change, closed: str) -> None:
    """Exit 69: another time it may be there."""
    machine.fetch(lock=LOCK)
    change("modelscope")
    machine.variables = {**machine.variables, "HF_ENDPOINT": closed}
    with pytest.raises(LockedFilesOutOfReach) as caught:
        again(machine)
    assert (caught.value.exit_code, caught.value.hubs) == (ExitCode.UNAVAILABLE, "huggingface")


def test_what_is_here_need_not_be_anywhere(machine: Machine, change: Change) -> None:
    """A folder that has the bytes is right by the lock alone."""
    first = machine.fetch(lock=LOCK)
    change("modelscope", "huggingface")
    second = machine.fetch("", lock=LOCK)
    assert (second.received_bytes, second.reused_files) == (0, len(first.files))


def test_what_is_on_the_machine_need_not_be_anywhere(machine: Machine, change: Change, closed: str) -> None:
    """Found in another folder and proved by the lock: where no hub has it any more, and where none answers."""
    first = machine.fetch(lock=LOCK)
    change("modelscope", "huggingface")
    second = machine.fetch("", lock=LOCK, to=Path("second"))
    machine.variables = {**machine.variables, "HF_ENDPOINT": closed, "MODELSCOPE_ENDPOINT": closed}
    third = machine.fetch("", lock=LOCK, to=Path("third"))
    for result in (second, third):
        assert (result.received_bytes, files_in(result.path)) == (0, files_in(first.path))
        assert {f.proof_from for f in result.files} == {"lock"}


def test_what_was_found_may_be_something_else(machine: Machine, change: Change, closed: str) -> None:
    """A file of the right name and size with other bytes is no help: exit 66, or 69 where no hub answers."""
    first = machine.fetch(lock=LOCK)
    weights = first.path / WEIGHTS
    weights.write_bytes(weights.read_bytes()[::-1])
    change("modelscope", "huggingface")
    with pytest.raises(LockedFilesGone) as caught:
        machine.fetch("", lock=LOCK, to=Path("second"))
    assert caught.value.files == (WEIGHTS,)
    machine.variables = {**machine.variables, "HF_ENDPOINT": closed, "MODELSCOPE_ENDPOINT": closed}
    with pytest.raises(SeveralErrors) as offline:
        machine.fetch("", lock=LOCK, to=Path("third"))
    assert offline.value.shared_exit_code == ExitCode.UNAVAILABLE


def test_another_hub_than_the_locked_one(machine: Machine, hub: HubServer, model: Mapping[str, bytes]) -> None:
    """A lock made at one hub is fetched at another that the catalogue knows."""
    machine.fetch(source="huggingface", lock=LOCK)
    assert [each["hub"] for each in json.loads((machine.cwd / LOCK).read_text())["hubs"]] == ["huggingface"]
    hub.add(Repository({"huggingface": MODEL_IDS["huggingface"]}, machine.cwd / MODEL, private=True))
    assert again(machine) == model
    assert again(machine, "modelscope", "there") == model


def test_openxlab_can_be_locked(machine: Machine, change: Change, hub: HubServer) -> None:
    """It publishes no hash; the lock has one, so its bytes are checked all the same, and other ones refused."""
    machine.fetch(source="openxlab", lock=LOCK)
    assert again(machine, "openxlab") == machine.files("InternLM-chat-7b")
    change("openxlab")
    with pytest.raises(SeveralErrors) as caught:
        again(machine, "openxlab", "third")
    assert caught.value.shared_exit_code == ExitCode.CORRUPT


def test_a_selection(machine: Machine) -> None:
    """Only what was fetched is locked."""
    machine.fetch(lock=LOCK, include=("*.json",))
    assert set(again(machine)) == set(machine.files())
    assert all(path.endswith(".json") for path in machine.files())


def test_written_once_more(machine: Machine, hub: HubServer, change: Change) -> None:
    """With a model the lock is written anew: what is published now; the same again is the same file."""
    machine.fetch(lock=LOCK, to=Path("one"))
    first = (machine.cwd / LOCK).read_bytes()
    machine.fetch(lock=LOCK, to=Path("two"))
    assert (machine.cwd / LOCK).read_bytes() == first
    change("modelscope", "huggingface")
    machine.fetch(lock=LOCK, to=Path("three"))
    assert (machine.cwd / LOCK).read_bytes() != first
    assert again(machine) == files_in(machine.cwd / "three")


def test_nothing_secret_is_written(machine: Machine) -> None:
    """Neither tokens nor addresses."""
    machine.variables = {**machine.variables, "HF_TOKEN": "hf_secret", "MODELSCOPE_API_TOKEN": "ms-secret"}
    machine.fetch(lock=LOCK)
    text = (machine.cwd / LOCK).read_text()
    assert not any(word in text for word in ("secret", "127.0.0.1", "http"))


def test_a_look_writes_no_lock(machine: Machine, model: Mapping[str, bytes]) -> None:
    """`--dry-run` says what would be fetched, with a model and without."""
    service.plan(service.Request(MODEL, lock=LOCK), machine.world())
    assert list(machine.cwd.iterdir()) == []
    machine.fetch(lock=LOCK)
    plan = service.plan(service.Request("", lock=LOCK, to=Path("x")), machine.world())
    assert {c.paths[0]: [s.hub for s in c.sources] for c in plan.contents}[WEIGHTS] == ["modelscope", "huggingface"]


def test_a_place_that_takes_no_lock(machine: Machine, hub: HubServer) -> None:
    """Found before anybody is asked, and before there is a folder."""
    (machine.cwd / "file").write_text("")
    with pytest.raises(CannotWrite):
        machine.fetch(lock=Path("file") / "chat.lock")
    assert ([file.name for file in machine.cwd.iterdir()], len(hub.log)) == (["file"], 0)


def test_on_the_command_line(machine: Machine, hub: HubServer) -> None:
    """What to do next is said, wrong lines are refused, and no other file is ever replaced."""
    first = machine.run("fetch", MODEL, "--lock", "chat.lock")
    assert "`internlm-setup fetch --lock " in first.err
    second = machine.run("fetch", "--lock", "chat.lock", "--to", "again", "--json")
    data = json.loads(second.out)["data"]
    assert (second.code, data["lock"], data["model"]) == (0, None, MODEL)
    assert {each["state"] for each in data["hubs"]} == {"used", "differs"}  # configuration.json is one hub's alone
    hub.add(Repository({"modelscope": "Shanghai_AI_Laboratory/internlm2-chat-1_8b"}, machine.cwd / MODEL))
    (machine.cwd / "notes.txt").write_text("mine")
    for words, code, said in (
        ((), 2, "`MODEL` is missing"),
        (("--lock", "none"), 66, "there is no lock file `"),
        (("--lock", "chat.lock", "--revision", "v1"), 2, "`--revision` cannot be given with `--lock` alone"),
        (("--lock", "chat.lock", "--include", "*"), 2, "`--include` cannot be given"),
        ((OTHER, "--lock", "chat.lock"), 73, f"is the lock of `{MODEL}`"),
        ((MODEL, "--lock", "notes.txt"), 78, "cannot be used as a lock file: it is not JSON"),
    ):
        done = machine.run("fetch", *words)
        assert (done.code, said in done.err) == (code, True), done.err
    assert (machine.cwd / "notes.txt").read_text() == "mine"
    assert json.loads((machine.cwd / LOCK).read_text())["model"] == MODEL


def test_a_lock_that_is_wrong_about_a_hash(machine: Machine) -> None:
    """The lock is named as what says so, not the hub."""
    machine.fetch(source="openxlab", lock=LOCK, include=("config.json",))
    value = json.loads((machine.cwd / LOCK).read_text())
    value["files"][0]["sha256"] = "0" * 64
    (machine.cwd / LOCK).write_text(json.dumps(value))
    done = machine.run("fetch", "--lock", "chat.lock", "--source", "openxlab", "--to", "again")
    assert (done.code, f"the lock file says {'0' * 64}" in done.err) == (65, True), done.err
    assert ("published" in done.err, "corrupt" in done.err) == (False, False)


def test_a_hostile_lock_leads_nowhere(machine: Machine) -> None:
    """It is looked at before anybody is asked."""
    machine.fetch(lock=LOCK)
    value = json.loads((machine.cwd / LOCK).read_text())
    value["files"][0]["path"] = "../escaped"
    (machine.cwd / LOCK).write_text(json.dumps(value))
    done = machine.run("fetch", "--lock", "chat.lock", "--to", "again")
    assert (done.code, "outside the model's folder" in done.err) == (78, True)
    assert "hub" not in done.err
    assert not (machine.cwd / "escaped").exists()
