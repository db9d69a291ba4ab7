"""One real OpenSSH server for the tests of this folder, and sessions to it by every engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from internlm_setup.tunnel.model import Engine, Session
from servers.openssh import SSHD, Sshd, make_key, sshd
from servers.ssh_person import public
from servers.streams import ENGINES, session_to


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A server that takes the key `key` of its folder."""
    if SSHD is None:
        pytest.skip("needs the OpenSSH server")
    with sshd(tmp_path_factory.mktemp("sshd")) as running:
        running.authorize(public(make_key(running.folder / "key")))
        yield running


@pytest.fixture(params=list(ENGINES.values()), ids=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine in turn."""
    found: Engine = request.param
    return found


@pytest.fixture(params=[engine for name, engine in ENGINES.items() if name != "openssh"], ids=lambda engine: engine.id)
def own_engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine that speaks SSH itself."""
    found: Engine = request.param
    return found


@pytest.fixture
def session(server: Sshd, engine: Engine) -> Iterator[Session]:
    """A session that is up."""
    with closing(session_to(server, engine)) as opened:
        yield opened
