"""Files that a person names beside the model, `--lock` and `--trace`: looked at before a byte is fetched."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from internlm_setup.fetch import service
from internlm_setup.playground.hub import HubServer
from servers.machine import MODEL, Machine

pytestmark = pytest.mark.loopback
TRACE = "runs/trace.jsonl"


def test_a_trace_is_that_of_its_run(machine: Machine) -> None:
    """Its folder is made; a run with nothing to do leaves an empty one, in the place of the older one."""
    lines = machine.cwd / TRACE
    assert machine.run("fetch", MODEL, "--trace", TRACE).code == 0
    assert {json.loads(line)["path"] for line in lines.read_text("utf-8").splitlines()} == set(machine.files())
    assert machine.run("fetch", MODEL, "--trace", TRACE).code == 0
    assert lines.read_bytes() == b""
    assert machine.run("fetch", MODEL, "--trace", os.devnull).code == 0


@pytest.mark.parametrize("engine", ["native", "official"])
def test_no_trace_over_anything_else(machine: Machine, hub: HubServer, engine: str) -> None:
    """Exit 73 over another file; exit 2 where there would be none. Nobody is asked, and nothing is written."""
    (machine.cwd / "notes.txt").write_text('{"path": "mine"}\n')
    done = machine.run("fetch", MODEL, "--trace", "notes.txt", "--engine", engine)
    code, said = {"native": (73, "holds something else than a trace"), "official": (2, "`--trace`")}[engine]
    assert (done.code, said in done.err, len(hub.log)) == (code, True, 0), done.err
    assert [(file.name, file.read_text()) for file in machine.cwd.iterdir()] == [("notes.txt", '{"path": "mine"}\n')]


@pytest.mark.parametrize("option", ["--lock", "--trace"])
@pytest.mark.parametrize(
    "place", ["m/config.json", "M/../m/Config.JSON", "m/config.json/x", "m", "m/.internlm-setup/x"]
)
def test_not_in_the_place_of_the_model(machine: Machine, option: str, place: str) -> None:
    """Exit 2, and nothing is written; beside the model's files there is room."""
    (machine.cwd / "M").mkdir()
    done = machine.run("fetch", MODEL, "--to", "m", "--include", "*.json", option, place)
    assert (done.code, f"`{option} {place}`" in done.err) == (2, True), done.err
    assert [file.name for file in machine.cwd.iterdir()] == ["M"]
    assert machine.run("fetch", MODEL, "--to", "m", "--include", "*.json", option, "m/mine").code == 0


def test_a_home_folder_by_its_sign(machine: Machine) -> None:
    """`~` that the shell left alone is the home folder wherever a path is given; `~nobody` is a name."""
    words = ("--to", "~/m", "--lock", "~/l", "--trace", "~/t", "--reuse", "~", "--include", "*.json")
    done = machine.run("fetch", MODEL, *words)
    assert (done.code, Path(done.out.strip())) == (0, machine.home / "m"), done.err
    assert {"m", "l", "t"} <= {file.name for file in machine.home.iterdir()}
    assert list(machine.cwd.iterdir()) == []
    for command in ("verify", "clean"):
        assert machine.run(command, "~/m").code == 0
    assert machine.run("fetch", "--lock", "~/l", "--to", "~nobody-here").code == 0
    assert [file.name for file in machine.cwd.iterdir()] == ["~nobody-here"]


def test_a_look_leaves_no_trace(machine: Machine) -> None:
    """`--dry-run` looks at the place alone."""
    service.plan(service.Request(MODEL, trace=Path(TRACE)), machine.world())
    assert list(machine.cwd.iterdir()) == []
