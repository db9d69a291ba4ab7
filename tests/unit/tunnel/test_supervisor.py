"""A session is kept: what is tried again, what is not, and whom a new connection waits for."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from internlm_setup.core.clock import SystemClock
from internlm_setup.core.reach import CAUSES
from internlm_setup.core.ssh.ask import Asker, Login
from internlm_setup.core.ssh.connect_errors import HostKeyChanged, HostUnknown, HostUnreachable, NotSsh
from internlm_setup.core.ssh.login_errors import PasswordRefused
from internlm_setup.tunnel import events as ev
from internlm_setup.tunnel import supervisor as supervisor_
from internlm_setup.tunnel.errors import NothingListens
from internlm_setup.tunnel.model import Endpoint
from servers.ssh_person import Person
from servers.tunnels import SPEC, FakeEngine, FakeSession, held, up

HERE, THERE = Endpoint("127.0.0.1", 50000), Endpoint("127.0.0.1", 6006)
REFUSED = HostUnreachable("box", 33090, "refused", CAUSES["refused"])
LATE = HostUnreachable("box", 33090, "time-out", CAUSES["time-out"])
CHANGED = HostKeyChanged("box", 33090, "ssh-ed25519", "SHA256:x", "known_hosts", 1, "ssh-keygen -R box")


@pytest.mark.parametrize("error", [HostUnknown("box", CAUSES["dns"]), REFUSED, LATE, CHANGED, NotSsh("box", 1, "HTTP")])
def test_before_the_first_session_a_failure_is_the_end(error: Exception) -> None:
    with held(FakeEngine([error])) as (_, story, errors):
        story.wait_for(lambda: errors)
    assert errors == [error]
    assert story.states == ["connecting", "failed"]


def test_waiting_tries_again_until_the_time_is_over() -> None:
    engine = FakeEngine([REFUSED, REFUSED, REFUSED, up])
    with held(engine, wait_s=60) as (_, story, errors):
        story.wait_for(lambda: "up" in story.states)
    assert (engine.tries, errors) == (4, [])
    assert story.states == ["connecting", "auth", "up", "stopped"]
    impatient = FakeEngine([REFUSED])
    with held(impatient, wait_s=0.3) as (_, story, errors):
        story.wait_for(lambda: errors)
    assert errors == [REFUSED]
    assert impatient.tries > 1


def test_waiting_does_not_mend_a_host_key() -> None:
    with held(FakeEngine([CHANGED]), wait_s=60) as (_, story, errors):
        story.wait_for(lambda: errors)
    assert errors == [CHANGED]


def test_a_session_that_ends_is_replaced() -> None:
    engine = FakeEngine([up, REFUSED, NotSsh("box", 1, "a log-in page"), OSError("odd"), up])
    with held(engine) as (supervisor, story, errors):
        story.wait_for(lambda: "up" in story.states)
        engine.opened[0].end()
        story.wait_for(lambda: story.states.count("up") == 2)
        assert supervisor.reconnects == 1
    assert story.states == ["connecting", "auth", "up", "reconnecting", "up", "stopped"]
    assert sum(isinstance(event, ev.Retrying) for event in story.told) == 3
    assert errors == []
    assert not any(session.alive for session in engine.opened)


def test_the_first_try_is_at_once_and_those_after_it_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """However short the session was that ended."""
    waits = list[int]()

    def wait_s(attempt: int, **_: float) -> float:
        waits.append(attempt)
        return 0.0

    def is_up(times: int) -> None:
        story.wait_for(lambda: story.states.count("up") == times)

    monkeypatch.setattr(supervisor_, "backoff_s", wait_s)
    engine = FakeEngine([up])
    with held(engine) as (_, story, _errors):
        for times, expected in enumerate([[], [1], [1, 2]], 1):
            is_up(times)
            engine.opened[-1].end()
            is_up(times + 1)
            assert waits == expected


@pytest.mark.parametrize("error", [CHANGED, PasswordRefused("root", "box")])
def test_what_no_try_mends_ends_it_later_too(error: Exception) -> None:
    engine = FakeEngine([up, error])
    with held(engine) as (_, story, errors):
        story.wait_for(lambda: "up" in story.states)
        engine.opened[0].end()
        story.wait_for(lambda: errors)
    assert errors == [error]
    assert story.states[-1] == "failed"


def test_a_new_connection_waits_through_a_reconnect() -> None:
    gate = threading.Event()

    def later(_: Asker) -> FakeSession:
        gate.wait(10)
        return FakeSession()

    engine = FakeEngine([up, later])
    with held(engine) as (supervisor, story, _):
        story.wait_for(lambda: "up" in story.states)
        engine.opened[0].end()
        channels = list[object]()
        waiting = threading.Thread(target=lambda: channels.append(supervisor.parking.open_channel(THERE, HERE)))
        waiting.start()
        story.wait_for(lambda: engine.tries == 2)
        assert channels == []
        gate.set()
        waiting.join(10)
        assert len(channels) == 1
        assert engine.opened[1].streams == 1


def test_a_new_connection_waits_no_longer_than_it_is_held() -> None:
    engine = FakeEngine([up, REFUSED])
    with held(engine, replace(SPEC, hold_s=0.2)) as (supervisor, story, _):
        story.wait_for(lambda: "up" in story.states)
        engine.opened[0].end()
        story.wait_for(lambda: "reconnecting" in story.states)
        with pytest.raises(TimeoutError):
            supervisor.parking.open_channel(THERE, HERE)


def test_whoever_waits_is_woken_at_the_end() -> None:
    errors = list[OSError]()

    def ask() -> None:
        try:
            supervisor.parking.open_channel(THERE, HERE)
        except OSError as error:
            errors.append(error)

    with held(FakeEngine([REFUSED]), wait_s=60) as (supervisor, _, _):
        waiting = threading.Thread(target=ask)
        waiting.start()
    waiting.join(10)
    assert isinstance(errors[0], ConnectionAbortedError)


def test_a_refusal_is_told_and_not_tried_again() -> None:
    refusal = NothingListens("127.0.0.1", 6006, "Connection refused")
    engine = FakeEngine([lambda _: FakeSession(refusing=refusal)])
    with held(engine) as (supervisor, story, _):
        story.wait_for(lambda: "up" in story.states)
        with pytest.raises(NothingListens):
            supervisor.parking.open_channel(THERE, HERE)
    assert any(isinstance(event, ev.ConnectionRefused) for event in story.told)


def test_silence_brings_a_second_session_beside_the_first() -> None:
    """Streams of the first go on; new ones take the second; the first goes when its streams are done."""
    engine = FakeEngine([up])
    with held(engine) as (supervisor, story, _):
        story.wait_for(lambda: "up" in story.states)
        stream = supervisor.parking.open_channel(THERE, HERE)
        first = engine.opened[0]
        first.fall_silent()
        story.wait_for(lambda: story.states.count("up") == 2)
        assert "degraded" in story.states
        assert first.alive
        supervisor.parking.open_channel(THERE, HERE)
        assert engine.opened[1].streams == 1
        first.speak()
        stream.close()
        story.wait_for(lambda: not first.alive)
        assert engine.opened[1].alive


def test_a_session_that_answers_again_in_time_stays() -> None:
    never = threading.Event()

    def late(_: Asker) -> FakeSession:
        never.wait(10)
        return FakeSession()

    engine = FakeEngine([up, late])
    with held(engine) as (_, story, _):
        story.wait_for(lambda: "up" in story.states)
        engine.opened[0].fall_silent()
        story.wait_for(lambda: "degraded" in story.states and engine.tries == 2)
        engine.opened[0].speak()
        story.wait_for(lambda: story.states[-1] == "up")
        never.set()
        story.wait_for(lambda: len(engine.opened) == 2 and not engine.opened[1].alive)
        assert engine.opened[0].alive


def test_silence_is_asked_about() -> None:
    engine = FakeEngine([up])
    with held(engine) as (supervisor, story, _):
        story.wait_for(lambda: engine.opened and engine.opened[0].probes > 2)
        assert supervisor.link is not None
        assert supervisor.link.rtt_s is not None
    assert story.states == ["connecting", "auth", "up", "stopped"]


def test_many_attempts_when_nobody_answers() -> None:
    """While packets vanish a try begins every second, and the first that gets through wins."""
    over = threading.Event()

    def lost(_: Asker) -> FakeSession:
        over.wait(10)
        raise LATE

    engine = FakeEngine([up, lost, lost, up], unproved=(1, 2))
    with held(engine) as (_, story, errors):
        story.wait_for(lambda: "up" in story.states)
        engine.opened[0].end()
        story.wait_for(lambda: story.states.count("up") == 2)
        over.set()
    assert (engine.tries, errors) == (4, [])


def test_questions_are_asked_in_the_thread_that_runs() -> None:
    asked_in = list[str]()

    class Somebody(Person):
        def password(self, login: Login) -> str | None:
            asked_in.append(threading.current_thread().name)
            return "secret"

    def ask(asker: Asker) -> FakeSession:
        assert asker.password(Login("root", "box", 1)) == "secret"
        assert asker.passphrase(Path("key")) is None
        return FakeSession()

    engine = FakeEngine([ask])
    with held(engine, asker=Somebody()) as (_, story, _):
        story.wait_for(lambda: "up" in story.states)
        engine.opened[0].end()
        story.wait_for(lambda: story.states.count("up") == 2)
    assert len(asked_in) == 1
    assert not asked_in[0].startswith("tunnel-connect")


class JumpingClock(SystemClock):
    """The wall clock goes ahead when a test says so, as after a sleep."""

    ahead_s = 0.0

    def now(self) -> float:
        return super().now() + self.ahead_s


def test_a_clock_that_jumped_means_that_we_slept() -> None:
    """A sign of life is asked for at once; nobody waits for the silence to last."""
    clock, patient = JumpingClock(), replace(SPEC, keepalive_s=600.0, dead_s=1200.0)
    engine = FakeEngine([up])
    with held(engine, patient, clock=clock) as (supervisor, story, _):
        story.wait_for(lambda: "up" in story.states)
        assert engine.opened[0].probes == 0
        clock.ahead_s = 3600.0
        story.wait_for(lambda: engine.opened[0].probes == 1)
        supervisor.parking.open_channel(THERE, HERE)
    assert any(isinstance(event, ev.Noted) and "3600 s" in event.text.en for event in story.told)


def test_a_session_that_does_not_answer_after_a_sleep_is_replaced_soon() -> None:
    """A second of grace, not the usual silence."""
    clock, patient = JumpingClock(), replace(SPEC, keepalive_s=600.0, dead_s=1200.0)
    engine = FakeEngine([up])
    with held(engine, patient, clock=clock) as (supervisor, story, _):
        story.wait_for(lambda: "up" in story.states)
        engine.opened[0].fall_silent()
        clock.ahead_s = 3600.0
        story.wait_for(lambda: len(engine.opened) == 2)
        supervisor.parking.open_channel(THERE, HERE)
        assert engine.opened[1].streams == 1


def test_a_session_that_comes_after_the_end_is_closed() -> None:
    gate, given = threading.Event(), FakeSession()

    def late(_: Asker) -> FakeSession:
        gate.wait(10)
        return given

    engine = FakeEngine([late])
    with held(engine) as (_, story, _):
        story.wait_for(lambda: engine.tries == 1)
    gate.set()
    story.wait_for(lambda: not given.alive)
