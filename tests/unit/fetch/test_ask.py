"""Asking hubs: one with patience, several at once in order of preference."""

from __future__ import annotations

import threading

import pytest

from fakes import FakeHub, StillClock, listed, snapshot_of
from internlm_setup.core.reach import unreachable
from internlm_setup.fetch.ask import MOST_TRIES, Question, ask, ask_all
from internlm_setup.fetch.errors import HubBusy, HubUnreachable, RepositoryMissing
from internlm_setup.fetch.model import Snapshot
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.transfer.errors import HostileListing

GOOD = snapshot_of(listed("a.bin", b"a"))
OTHER = snapshot_of(listed("a.bin", b"a"), hub="two")
HOSTILE = snapshot_of(listed("../a.bin", b"a"))
BUSY = HubBusy("Hub One", "one.test", 503)
MISSING = RepositoryMissing("Hub One", "lab/model", "login")
LONG_S = 20.0


def question(hub: FakeHub) -> Question:
    """Return what to ask it."""
    return Question(hub, "lab/model", "main", "internlm-setup fetch model --source two")


def test_an_answer() -> None:
    """The hub is asked once for the repository and revision, and who is asked is told."""
    hub, told = FakeHub([GOOD]), list[events.Event]()
    assert ask(question(hub), told.append, StillClock()) is GOOD
    assert hub.asked == [("lab/model", "main")]
    assert told == [events.Asking("Hub One", "one.test")]


def test_unreachable_is_not_asked_again() -> None:
    """A hub that cannot be reached is named at once with host, cause and the command to try."""
    hub, clock = FakeHub([unreachable("cdn.one.test", "refused", "port 1")]), StillClock()
    with pytest.raises(HubUnreachable) as caught:
        ask(question(hub), events.ignore, clock)
    assert (len(hub.asked), clock.waits) == (1, [])
    assert caught.value.message() == ("cannot reach Hub One at cdn.one.test: the connection was refused (port 1)")
    assert "`internlm-setup fetch model --source two`" in (caught.value.next_step("zh") or "")


def test_a_hub_that_hangs_up_is_asked_again() -> None:
    """A connection that breaks off may hold the next time; one that always breaks off is the end."""
    hung_up = unreachable("one.test", "closed")
    told = list[events.Event]()
    assert ask(question(FakeHub([hung_up, hung_up, GOOD])), told.append, StillClock()) is GOOD
    assert [e.reason for e in told if isinstance(e, events.Retrying)] == [hung_up.cause] * 2
    always = FakeHub([hung_up])
    with pytest.raises(HubUnreachable):
        ask(question(always), events.ignore, StillClock())
    assert len(always.asked) == MOST_TRIES


def test_unreachable_without_a_host() -> None:
    """Where the failure does not know its host, the hub's own is named."""
    with pytest.raises(HubUnreachable) as caught:
        ask(question(FakeHub([unreachable("", "dns")])), events.ignore, StillClock())
    assert caught.value.host == "one.test"


def test_busy_and_then_not() -> None:
    """A busy hub is asked again after a wait, which is told."""
    hub, clock, told = FakeHub([BUSY, BUSY, GOOD]), StillClock(), list[events.Event]()
    assert ask(question(hub), told.append, clock) is GOOD
    retries = [e for e in told if isinstance(e, events.Retrying)]
    assert [e.reason.en for e in retries] == ["the hub answered 503"] * 2
    assert clock.waits == [e.wait_s for e in retries]
    assert 0.25 <= clock.waits[0] <= 0.5
    assert 0.5 <= clock.waits[1] <= 1.0


def test_busy_for_ever() -> None:
    """A hub that stays busy is given up after three attempts, with its own error."""
    hub, clock = FakeHub([BUSY]), StillClock()
    with pytest.raises(HubBusy) as caught:
        ask(question(hub), events.ignore, clock)
    assert caught.value is BUSY
    assert (len(hub.asked), len(clock.waits)) == (MOST_TRIES, MOST_TRIES - 1)


def test_asked_to_wait() -> None:
    """How long a hub asks us to wait is how long we wait."""
    hub, clock = FakeHub([HubBusy("Hub One", "one.test", 429, 7.0), GOOD]), StillClock()
    assert ask(question(hub), events.ignore, clock) is GOOD
    assert clock.waits == [7.0]


def test_asked_to_wait_too_long() -> None:
    """A hub that asks for more than half a minute is not waited for."""
    hub, clock = FakeHub([HubBusy("Hub One", "one.test", 429, 31.0)]), StillClock()
    with pytest.raises(HubBusy):
        ask(question(hub), events.ignore, clock)
    assert (len(hub.asked), clock.waits) == (1, [])


def test_other_refusals_pass() -> None:
    """What the hub says otherwise is final."""
    hub = FakeHub([MISSING])
    with pytest.raises(RepositoryMissing):
        ask(question(hub), events.ignore, StillClock())
    assert len(hub.asked) == 1


def test_hostile_answer() -> None:
    """A listing is looked at before anybody sees it."""
    with pytest.raises(HostileListing) as caught:
        ask(question(FakeHub([HOSTILE])), events.ignore, StillClock())
    assert (caught.value.hub, caught.value.entry) == ("Hub One", "../a.bin")


def test_told_one_at_a_time() -> None:
    """While somebody is being told one thing, nobody tells another."""
    second = threading.Event()
    told: list[events.Event] = []
    overlaps: list[bool] = []

    def listen(event: events.Event) -> None:
        told.append(event)
        if len(told) > 1:
            second.set()
        else:
            overlaps.append(second.wait(0.1))

    ask_all([question(FakeHub([MISSING], name)) for name in ("one", "two")], listen, StillClock())
    assert (len(told), overlaps) == (2, [False])


def all_of(
    *found: FakeHub, doubted: str = "", needed: bool = True, patience_s: float = LONG_S
) -> list[Snapshot | BaseException | None]:
    """Return what came of asking each."""
    asked, clock = [question(h) for h in found], StillClock()
    answers = ask_all(asked, events.ignore, clock, {doubted}, needed=needed, patience_s=patience_s)
    assert [a.question.hub.id for a in answers] == [h.id for h in found]
    return [a.found for a in answers]


def test_all_are_waited_for() -> None:
    """Every hub's answer is had while patience lasts, listings and failures, in the hubs' order."""
    last = threading.Event()
    slow = FakeHub([GOOD], before=lambda: last.wait(LONG_S))
    assert all_of(slow, FakeHub([MISSING], "two"), FakeHub([OTHER], "three", before=last.set)) == [GOOD, MISSING, OTHER]


def test_a_silent_hub_costs_no_more_than_patience() -> None:
    """Who has not answered by then is None, when somebody else has a listing."""
    over = threading.Event()
    silent = FakeHub([GOOD], before=lambda: over.wait(LONG_S))
    assert all_of(silent, FakeHub([OTHER], "two"), patience_s=0.05) == [None, OTHER]
    over.set()


def test_a_failure_is_no_reason_to_stop_waiting() -> None:
    """While nobody has a listing, the only hub that may still have one is waited for."""
    late = threading.Event()
    threading.Timer(0.1, late.set).start()
    slow = FakeHub([OTHER], "two", before=lambda: late.wait(LONG_S))
    assert all_of(FakeHub([MISSING]), slow, patience_s=0.01) == [MISSING, OTHER]


def test_a_listing_that_is_not_needed_is_not_waited_for() -> None:
    """Patience ends although nobody has one, and a doubted hub has none of it."""
    over = threading.Event()
    silent = FakeHub([GOOD], before=lambda: over.wait(LONG_S))
    assert all_of(silent, FakeHub([MISSING], "two", endpoint="x"), needed=False, patience_s=0.05) == [None, MISSING]
    assert all_of(silent, needed=False, doubted=silent.endpoint) == [None]
    over.set()


def test_a_doubted_hub_is_asked_and_not_waited_for() -> None:
    """It has no more time than the others take; where nobody else has a listing, it is waited for like anybody."""
    over = threading.Event()
    cache = "http://cache.test"
    silent = FakeHub([GOOD], endpoint=cache, before=lambda: over.wait(LONG_S))
    assert all_of(silent, FakeHub([OTHER]), doubted=cache) == [None, OTHER]
    assert silent.asked
    over.set()
    assert all_of(FakeHub([GOOD], endpoint=cache), FakeHub([MISSING]), doubted=cache) == [GOOD, MISSING]


def test_our_own_mistakes_are_raised_from_among_answers() -> None:
    """An exception that is no answer to a person is raised as it is."""
    with pytest.raises(ZeroDivisionError):
        all_of(FakeHub([GOOD]), FakeHub([ZeroDivisionError()], "two"))
