"""Servers that break the rules, or do what OpenSSH seldom does: nothing grows, nothing hangs, nothing gets in."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from internlm_setup.tunnel.errors import DestinationSilent
from internlm_setup.tunnel.model import Endpoint, Engine, Session
from servers.rude_ssh import rude_session

pytestmark = pytest.mark.loopback
HERE = Endpoint("127.0.0.1", 0)
GLOBAL_REQUEST, REQUEST_SUCCESS, REQUEST_FAILURE, OPEN, OPEN_SUCCESS, OPEN_FAILURE, DATA = 80, 81, 82, 90, 91, 92, 94


def streams_settle(session: Session, count: int) -> bool:
    for _ in range(400):
        if session.traffic.open_channels == count:
            return True
        time.sleep(0.05)
    return False


def test_more_than_the_window_allows(tmp_path: Path, own_engine: Engine) -> None:
    """The session ends before memory does."""
    with rude_session(tmp_path, own_engine) as (session, server):
        server.answers.set()
        session.open_channel(HERE, HERE, 10)
        ours = session.traffic.opened_channels - 1
        while session.alive:
            server.say(DATA, ours, bytes(32768))
        assert session.accept() is None


def test_an_answer_that_comes_after_we_gave_up(tmp_path: Path, own_engine: Engine) -> None:
    """The stream is closed unseen, and nothing is left of it."""
    with rude_session(tmp_path, own_engine) as (session, server):
        with pytest.raises(DestinationSilent):
            session.open_channel(HERE, HERE, 0.2)
        server.answers.set()
        assert streams_settle(session, 0)


def test_a_stream_that_nobody_asked_for(tmp_path: Path, own_engine: Engine) -> None:
    """What we did not ask the server to listen for is turned away, of every kind."""
    with rude_session(tmp_path, own_engine) as (session, server):
        for kind in ("forwarded-tcpip", "session", "auth-agent@openssh.com"):
            refused = server.hears(OPEN_FAILURE)
            server.say(OPEN, kind, 7, 1 << 20, 1 << 15, "localhost", 22, "127.0.0.1", 1)
            assert refused.wait(20)
        assert session.alive


def test_the_server_asks_for_a_sign_of_life(tmp_path: Path, own_engine: Engine) -> None:
    """It gets one."""
    with rude_session(tmp_path, own_engine) as (_, server):
        answered = server.hears(REQUEST_SUCCESS, REQUEST_FAILURE)
        server.say(GLOBAL_REQUEST, "keepalive@openssh.com", True)
        assert answered.wait(20)


def test_messages_that_mean_nothing(tmp_path: Path, own_engine: Engine) -> None:
    """Answers to nothing and data for no stream are passed over."""
    with rude_session(tmp_path, own_engine) as (session, server):
        server.say(REQUEST_SUCCESS)
        server.say(REQUEST_FAILURE)
        server.say(DATA, 12345, b"?")
        assert session.probe(20) is not None


def test_streams_that_take_no_bytes_at_a_time(tmp_path: Path, own_engine: Engine) -> None:
    """A packet of nothing at most would be sent for ever."""
    with rude_session(tmp_path, own_engine) as (session, server):
        server.answers.set()
        server.rewrites[OPEN_SUCCESS] = lambda said: said[:-4] + bytes(4)
        channel = session.open_channel(HERE, HERE, 10)
        heard = server.hears(DATA)
        channel.send_all(b"x")
        channel.end_writing()
        assert heard.wait(20)
        assert session.traffic.sent_bytes < 1 << 16


def test_questions_whose_answers_nobody_reads(tmp_path: Path, own_engine: Engine) -> None:
    """The session ends before memory does."""
    with rude_session(tmp_path, own_engine) as (session, server):
        server.deaf = True
        for _ in range(200_000):
            if not session.alive:
                break
            server.say(GLOBAL_REQUEST, "x", True)
        assert not session.alive
        assert session.accept() is None
