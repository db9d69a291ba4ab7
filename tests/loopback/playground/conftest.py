"""A hub with a small stand-in model, fresh for every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from internlm_setup.playground import open_playground
from internlm_setup.playground.hub import HubServer


@pytest.fixture
def hub() -> Iterator[HubServer]:
    """Serve a one-megabyte stand-in at all three hubs."""
    with open_playground(weights_bytes=1 << 20) as server:
        yield server
