"""One real OpenSSH server for the tests of this folder that need nothing special of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.openssh import OpenSSH, make_key, openssh


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSSH]:
    """A server that takes the key `key` of its folder."""
    with openssh(tmp_path_factory.mktemp("sshd")) as running:
        running.let_in(make_key(running.folder / "key"))
        yield running


@pytest.fixture
def key(server: OpenSSH) -> Path:
    """The key that it takes."""
    return server.folder / "key"
