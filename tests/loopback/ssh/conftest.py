"""One real OpenSSH server for the tests of this folder that need nothing special of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from servers.openssh import Sshd, make_key, sshd
from servers.ssh_person import public


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A server that takes the key `key` of its folder."""
    with sshd(tmp_path_factory.mktemp("sshd")) as running:
        running.authorize(public(make_key(running.folder / "key")))
        yield running


@pytest.fixture
def key(server: Sshd) -> Path:
    """The key that it takes."""
    return server.folder / "key"
