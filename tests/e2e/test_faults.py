"""Each way in which a fault ends a run, as the installed command tells it: exit code, words, JSON, and the next run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from internlm_setup.playground import open_playground
from internlm_setup.playground.hub import HubServer
from outcomes import CASES, at
from servers.machine import MODEL, Machine

pytestmark = [pytest.mark.e2e, pytest.mark.loopback, pytest.mark.full]
CHOSEN = [
    ("file-ignore-range", "openxlab", 0),
    ("file-garbage", "huggingface", 65),
    ("file-server-error-404", "modelscope", 66),
    ("file-hang-up", "modelscope", 69),
    ("listing-server-error-503", "openxlab", 69),
    ("listing-rate-limit-date", "huggingface", 69),
    ("file-truncate", "huggingface", 75),
    ("file-drop", "openxlab", 75),
    ("file-redirect-loop", "modelscope", 76),
    ("listing-endless", "huggingface", 76),
    ("file-server-error-403", "huggingface", 77),
]


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with open_playground(weights_bytes=8 << 20) as server:
        yield server


@pytest.mark.parametrize(("name", "source", "exit_code"), CHOSEN)
def test_how_it_ends(hub: HubServer, tmp_path: Path, name: str, source: str, exit_code: int) -> None:
    """The exit code is the table's; what to do next is said; and doing it ends well."""
    (case,) = (case for case in CASES if case.name == name)
    outcome = at(case.always, source)
    assert outcome is not None
    assert outcome.exit_code == exit_code
    machine = Machine(tmp_path, hub.environment())
    words = ("fetch", MODEL, "--source", source, "--to", "model", "--json")
    hub.faults.add(case.for_ever(source))
    done = machine.run(*words)
    told = json.loads(done.out)
    assert (done.code, told["exit_code"]) == (exit_code, exit_code), done.err
    assert {error["code"] for error in told["errors"]} == (outcome.codes if exit_code else set())
    assert all(error["hint"] for error in told["errors"])
    assert "Traceback" not in done.err
    hub.faults.clear()
    again = machine.run(*words)
    assert again.code == 0, again.err
    assert machine.run("verify", "model").code == 0
