"""What listens on a server, as its kernel tells it."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from internlm_setup.tunnel.forwards import parse
from internlm_setup.tunnel.health import Place, is_loopback, judge, look, services
from internlm_setup.tunnel.health import parse as read
from servers.tunnels import FakeSession

SAID = b"""Last login: today
   0: 0100007F:1776 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 00000000:1EB4 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
   2: 0100007F:9999 0100007F:1776 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 0 0 0 0 0 4
   1: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 0 0 0 0 0 5
   2: 0000000000000000FFFF00000100007F:2329 00000000000000000000000000000000:0000 0A 0 0 0 0 0 6
   3: XYZ:1 0 0A 0
"""
PLACES = read(SAID)


def test_the_kernels_table() -> None:
    """Listening sockets alone, in both families; other lines are passed over."""
    found = {(str(place.address), place.port) for place in PLACES}
    assert found == {("127.0.0.1", 6006), ("0.0.0.0", 7860), ("::1", 8080), ("::", 22), ("127.0.0.1", 9001)}


@pytest.mark.parametrize(
    ("forward", "is_there"),
    [
        ("1:127.0.0.1:6006", True),
        ("1:localhost:6006", True),
        ("1:127.0.0.2:6006", False),
        ("1:127.0.0.2:7860", True),
        ("1:127.0.0.1:8080", False),
        ("1:localhost:8080", True),
        ("1:[::1]:8080", True),
        ("1:127.0.0.1:22", True),
        ("1:[::1]:7860", False),
        ("1:127.0.0.1:5000", False),
    ],
)
def test_who_would_take_a_connection(forward: str, is_there: bool) -> None:
    """An address of its own takes its own, 0.0.0.0 all of IPv4, and :: everything."""
    found = parse("local", forward)
    assert found.destination is not None
    port = found.destination.port
    assert judge(PLACES, [found]) == (((port,), ()) if is_there else ((), (port,)))


def test_places_beyond_the_server_are_not_judged() -> None:
    """Nor are forwards that lead here."""
    assert judge(PLACES, [parse("local", "1:example.org:80"), parse("remote", "1:127.0.0.1:5000")]) == ((), ())
    assert not is_loopback("example.org")
    assert is_loopback("::1")


def test_services() -> None:
    """Neither the system's ports nor those that programs get by chance."""
    chance = Place(ip_address("127.0.0.1"), 45_000)
    assert services([*PLACES, chance], [6006]) == (7860, 9001)


@pytest.mark.parametrize("said", [None, b"", b"grep: not found\n"])
def test_where_nothing_can_be_told(said: bytes | None) -> None:
    """A server that runs nothing, or has no such table: not the same as a server on which nothing listens."""
    assert look(FakeSession(said=said)) is None
