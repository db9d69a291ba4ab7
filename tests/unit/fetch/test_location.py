"""Where a content's bytes are: who asks, who waits, and for what."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue

from internlm_setup.fetch.model import Location
from internlm_setup.fetch.transfer.location import Whereabouts

HUB = Location("https://hub.test/resolve/x", "https://hub.test:443")
CDN = Location("https://cdn.test/x", "https://hub.test:443")
PATIENCE_S = 10.0
Addresses = SimpleQueue[str]


def of_hub() -> Whereabouts:
    """Return what is known at first: the hub's own address."""
    return Whereabouts(lambda: HUB)


@contextmanager
def others(whereabouts: Whereabouts, cancelled: threading.Event, count: int = 3) -> Iterator[Addresses]:
    """Have several ask for the location and stay at it; the queue gets the addresses that they are given."""
    given: Addresses = SimpleQueue()
    over, at_the_door = threading.Event(), threading.Barrier(count + 1)

    def ask() -> None:
        at_the_door.wait(PATIENCE_S)
        with whereabouts.asking(cancelled) as location:
            given.put(location.url)
            over.wait(PATIENCE_S)

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    at_the_door.wait(PATIENCE_S)
    try:
        yield given
    finally:
        over.set()
        for thread in threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()


def taken(given: Addresses, count: int) -> list[str]:
    """Wait for so many addresses."""
    return [given.get(timeout=PATIENCE_S) for _ in range(count)]


def test_what_one_learns_serves_all() -> None:
    """While one asks the hub the others wait, and they go where it was sent."""
    whereabouts, run = of_hub(), threading.Event()
    with whereabouts.asking(run) as location, others(whereabouts, run) as given:
        assert (location, given.empty()) == (HUB, True)
        whereabouts.learned(CDN)
        assert taken(given, 3) == [CDN.url] * 3


def test_a_stale_location_is_asked_for_by_one_again() -> None:
    """After `forget` it is as at the beginning."""
    whereabouts, run = of_hub(), threading.Event()
    whereabouts.learned(CDN)
    whereabouts.forget()
    with others(whereabouts, run) as given:
        assert taken(given, 1) == [HUB.url]
        whereabouts.learned(CDN)
        assert taken(given, 2) == [CDN.url] * 2


def test_one_who_learns_nothing_is_succeeded() -> None:
    """When the one who asked has failed, the next one asks, and only one."""
    whereabouts, run = of_hub(), threading.Event()
    with ExitStack() as asker:
        asker.enter_context(whereabouts.asking(run))
        with others(whereabouts, run) as given:
            asker.close()
            assert taken(given, 1) == [HUB.url]
            whereabouts.learned(CDN)
            assert taken(given, 2) == [CDN.url] * 2


def test_nobody_waits_for_ever() -> None:
    """Who has waited long enough asks for himself."""
    whereabouts, run = of_hub(), threading.Event()
    with whereabouts.asking(run), others(whereabouts, run) as given:
        assert taken(given, 3) == [HUB.url] * 3


def test_nobody_waits_when_it_is_over() -> None:
    """A cancelled run ends, whoever is still asking."""
    whereabouts, run = of_hub(), threading.Event()
    with whereabouts.asking(run), others(whereabouts, run) as given:
        run.set()
        assert taken(given, 3) == [HUB.url] * 3


def test_an_address_past_the_hub_is_not_waited_for() -> None:
    """A hub that says itself where the bytes are leaves nothing to be learned."""
    whereabouts, run = Whereabouts(lambda: CDN), threading.Event()
    with others(whereabouts, run) as given:
        assert taken(given, 3) == [CDN.url] * 3
