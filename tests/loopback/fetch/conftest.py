"""A hub with a small stand-in model, a machine that reaches it, and the bytes that must arrive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from internlm_setup.playground import make_standin, open_playground
from internlm_setup.playground.hub import HubServer
from servers.machine import Machine, files_in

WEIGHTS_BYTES = 8 << 20


@pytest.fixture
def hub() -> Iterator[HubServer]:
    """Serve the stand-in at all three hubs."""
    with open_playground(weights_bytes=WEIGHTS_BYTES) as server:
        yield server


@pytest.fixture
def machine(hub: HubServer, tmp_path: Path) -> Machine:
    """An empty machine whose hubs are the playground's."""
    return Machine(tmp_path, hub.environment())


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bytes that must arrive, by path."""
    return files_in(make_standin(tmp_path_factory.mktemp("expected"), weights_bytes=WEIGHTS_BYTES))
