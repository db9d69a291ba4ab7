"""`clean`: sizes first, then a question, and never what is finished or in use."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from internlm_setup.fetch import service
from internlm_setup.fetch.transfer.events import Advanced
from internlm_setup.fetch.transfer.store import Store
from servers.machine import MODEL, STATE, Machine, files_in, installed_command

pytestmark = pytest.mark.loopback
SHARD = "pytorch_model-00001-of-00008.bin"


class Killed(BaseException):
    """What stops a run from inside."""


@pytest.fixture
def stopped(machine: Machine) -> Path:
    """A folder whose first fetch was cut off with a file half there, beside a side environment and a log."""
    came = 0

    def count(event: object) -> None:
        nonlocal came
        came += event.count_bytes if isinstance(event, Advanced) and event.path == SHARD else 0
        if came > 700_000:
            raise Killed

    with pytest.raises(Killed):
        service.fetch(service.Request(MODEL, ("huggingface",), jobs=1), machine.world(), count)
    state = machine.home / ".local" / "state" / "internlm-setup"
    for name in ("environments/openxlab/bin/python", "log/internlm-setup.log"):
        (state / name).parent.mkdir(parents=True, exist_ok=True)
        (state / name).write_bytes(b"x" * 50_000)
    assert partial_of(machine.cwd / MODEL).exists()
    return machine.cwd / MODEL


def partial_of(folder: Path) -> Path:
    return folder / STATE / "partial"


def everything(machine: Machine) -> set[str]:
    return {str(p) for p in machine.root.rglob("*")}


def test_a_dry_run_shows_and_stops(machine: Machine, stopped: Path) -> None:
    before = everything(machine)
    done = machine.run("clean", "--dry-run", "--json")
    data = json.loads(done.out)["data"]
    assert (done.code, everything(machine)) == (0, before)
    assert [item["kind"] for item in data["items"]] == ["partial", "environment", "log"]
    assert [item["removed"] for item in data["items"]] == [False] * 3
    assert data["size_bytes"] == sum(item["size_bytes"] for item in data["items"]) >= 700_000
    shown = machine.run("clean", "--dry-run")
    assert "stopped download" in shown.out
    assert str(partial_of(stopped)) in shown.out
    assert "nothing was removed" in shown.err


def test_with_yes(machine: Machine, stopped: Path) -> None:
    finished = files_in(stopped)
    done = machine.run("clean", "--yes", "--json")
    assert done.code == 0, done.err
    assert {item["removed"] for item in json.loads(done.out)["data"]["items"]} == {True}
    assert not partial_of(stopped).exists()
    assert files_in(stopped) == finished
    assert (stopped / STATE / "finished.jsonl").exists()
    again = machine.run("clean", "--yes")
    assert (again.code, again.out, "nothing to clean" in again.err) == (0, "", True)


def test_of_one_folder(machine: Machine, stopped: Path) -> None:
    """Named by path or by the model's name; environments and logs stay."""
    assert machine.run("clean", str(stopped), "--yes").code == 0
    assert not partial_of(stopped).exists()
    assert [i["kind"] for i in json.loads(machine.run("clean", "--dry-run", "--json").out)["data"]["items"]] == [
        "environment",
        "log",
    ]
    assert machine.run("clean", "no-such-folder", "--yes").code == 66


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_without_a_terminal_nobody_is_asked(machine: Machine, stopped: Path, words: list[str]) -> None:
    before = everything(machine)
    done = machine.run("clean", *words)
    assert (done.code, "add `--yes`" in done.err, everything(machine)) == (2, True, before)


@pytest.mark.parametrize(
    ("typed", "code", "there"), [(b"y\n", 0, False), (b"n\n", 1, True), (b"\n", 1, True), (b"\x04", 1, True)]
)
def test_on_a_terminal(machine: Machine, stopped: Path, typed: bytes, code: int, there: bool) -> None:
    """Only a yes removes anything."""
    ours, its = pty.openpty()
    command = [*installed_command(), "clean"]
    with subprocess.Popen(command, env=machine.env, cwd=machine.cwd, stdin=its, stdout=its, stderr=its) as child:
        os.close(its)
        shown = b""
        while b"[y/N] " not in shown:
            shown += os.read(ours, 1 << 16)
        os.write(ours, typed)
        child.wait(timeout=20)
    os.close(ours)
    assert (child.returncode, partial_of(stopped).exists()) == (code, there)


def test_not_while_a_fetch_is_under_way(machine: Machine, stopped: Path) -> None:
    """The rest is removed; the folder in use is kept and named."""
    with Store(stopped).locked():
        done = machine.run("clean", "--yes", "--json")
    envelope = json.loads(done.out)
    assert (done.code, envelope["status"], envelope["errors"][0]["code"]) == (73, "partial", "fetch.destination-busy")
    assert [i["removed"] for i in envelope["data"]["items"]] == [False, True, True]
    assert partial_of(stopped).exists()
