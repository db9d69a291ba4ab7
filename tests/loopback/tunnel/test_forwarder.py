"""Which forward a stream belongs to that somebody opened at the server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from internlm_setup.tunnel.forwarder import Forwarder
from internlm_setup.tunnel.model import Endpoint, Forward
from internlm_setup.tunnel.parking import Parking
from servers.tunnels import FakeChannel, FakeSession

pytestmark = pytest.mark.loopback
NOT_ASKED_FOR = 9


class Listens(FakeSession):
    """A session whose server takes every port that it is asked for, and 7000 where it may choose."""

    def listen_there(self, bind: Endpoint) -> int:
        return bind.port or 7000


@pytest.fixture
def services() -> Iterator[list[socket.socket]]:
    """Three services here."""
    with ExitStack() as stack:
        yield [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]


def forwarder_to(services: list[socket.socket], *ports: int) -> Forwarder:
    forwarder = Forwarder(Parking(1.0, lambda _: None), lambda _: None)
    for port, service in zip(ports, services, strict=False):
        forwarder.open(Forward("remote", Endpoint("", port), Endpoint(*service.getsockname())))
    return forwarder


def arrives(service: socket.socket) -> bool:
    service.settimeout(5)
    try:
        service.accept()[0].close()
    except TimeoutError:
        return False
    return True


def test_a_port_that_was_named_and_one_that_the_server_chose(services: list[socket.socket]) -> None:
    """Whatever the order, what comes to the named one does not arrive at the other's service."""
    forwarder = forwarder_to(services, 0, 6006)
    forwarder.take(Endpoint("", 6006), FakeChannel(FakeSession()))
    assert arrives(services[1])


def test_ports_that_the_server_chose(services: list[socket.socket]) -> None:
    """Each leads to its own service; what belongs to none is turned away."""
    forwarder = forwarder_to(services, 0, 0)
    session = Listens()
    first, second = forwarder._remote
    forwarder._ask(session, second, None)
    forwarder.take(Endpoint("", 7000), FakeChannel(session))
    assert arrives(services[1])
    session.streams = 1
    forwarder.take(Endpoint("", NOT_ASKED_FOR), FakeChannel(session))
    assert session.streams == 0
    assert first != second
