"""`tour`: every step ends as it should, and the conda of this machine proves the first."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from servers.conda import Conda
from servers.leftovers import Leftovers
from servers.machine import Machine

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
REPAIRED = [
    "internlm-setup mirrors doctor --offline",
    "internlm-setup mirrors doctor --fix --offline",
    "the two lines are indented",
]
UNDONE = ["internlm-setup mirrors undo", "the undo gave back every byte"]
HELD = ["the page came through the tunnel", "the page was had during the cut", "the page was had after the cut"]


def steps(machine: Machine) -> list[str]:
    """What a tour says it did; stdout is the envelope's alone."""
    rest = Leftovers(machine.root / "tmp")
    done = machine.run("tour", "--json", timeout_s=120, TMPDIR=str(rest.folder))
    found = json.loads(done.out)
    assert (done.code, found["data"]["problems"]) == (0, []), done.err
    assert list(machine.home.iterdir()) == []
    assert (rest.processes(), rest.files()) == (set(), [])
    told: list[str] = found["data"]["steps"]
    return told


def test_the_tour(tmp_path: Path) -> None:
    """A broken .condarc is found, repaired and put back; then models are fetched, killed and corrupted."""
    told = steps(Machine(tmp_path, {"PATH": os.defpath}))
    assert told[:5] == [*REPAIRED, *UNDONE]
    assert [step for step in told if "page" in step] == HELD
    assert "the second run went on where the first was" in told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "kill"])
def test_nothing_is_left_when_it_is_stopped(tmp_path: Path, number: signal.Signals) -> None:
    """While a tunnel is held in the background: it ends too, and no file stays."""
    rest = Leftovers(tmp_path / "tmp")
    machine = Machine(tmp_path, {"PATH": os.defpath, "TMPDIR": str(rest.folder)})
    with machine.start("tour") as tour:
        assert tour.stderr is not None
        assert any("the page is at" in line for line in tour.stderr)
        assert rest.processes() > {tour.pid}
        tour.send_signal(number)
        tour.communicate(timeout=60)
    assert tour.returncode == 128 + number
    assert (rest.processes(), rest.files()) == (set(), [])


@pytest.mark.full
def test_conda_proves_the_repair(tmp_path: Path, real_conda: Conda) -> None:
    """Where there is a conda, it says itself that it takes the channel from the mirror."""
    program = tmp_path / "bin" / "conda"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH={real_conda.library} exec {real_conda.python} -m conda "$@"\n')
    program.chmod(0o755)
    told = steps(Machine(tmp_path, {"PATH": f"{program.parent}:{os.defpath}"}))
    assert told[:6] == [*REPAIRED, "conda takes conda-forge from the mirror", *UNDONE]
