"""A server that asks questions (keyboard-interactive); OpenSSH here has none without PAM, so paramiko's is asked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import paramiko
import pytest

from internlm_setup.core.ssh.ask import NobodyToAsk, Remembering
from internlm_setup.core.ssh.connect import Manner, connect
from internlm_setup.core.ssh.login_errors import NoWayIn, PasswordRefused
from internlm_setup.core.ssh.model import HostSpec
from servers.ssh_person import Person

pytestmark = pytest.mark.loopback


@dataclass
class Questioning(paramiko.ServerInterface):  # type: ignore[misc]
    """Asks for a password and a code; then again, with no question at all, as some servers do."""

    code: str = "1"

    def get_allowed_auths(self, username: str) -> str:
        del username
        return "keyboard-interactive"

    def check_auth_interactive(self, username: str, submethods: str) -> object:
        del username, submethods
        return paramiko.InteractiveQuery("Hello", "", ("Password:", False), ("Code:", True))

    def check_auth_interactive_response(self, responses: list[str]) -> object:
        if not responses:
            return paramiko.AUTH_SUCCESSFUL
        if responses != ["secret", self.code]:
            return paramiko.AUTH_FAILED
        return paramiko.InteractiveQuery("", "")


@pytest.fixture
def questions() -> Iterator[tuple[Questioning, HostSpec]]:
    asking = Questioning()
    key = paramiko.ECDSAKey.generate()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                transport = paramiko.Transport(sock)
                transport.add_server_key(key)
                transport.start_server(event=threading.Event(), server=asking)

        threading.Thread(target=serve, daemon=True).start()
        yield asking, HostSpec("127.0.0.1", listener.getsockname()[1], "me")
        listener.shutdown(socket.SHUT_RDWR)


def test_answered_once_and_anew(questions: tuple[Questioning, HostSpec]) -> None:
    """Answers are asked for once and kept; a code that is used up is asked for anew."""
    asking, spec = questions
    person = Person(replies=[["secret", "1"], ["secret", "2"]])
    manner = Manner(Remembering(person), {}, accept_new=True)
    for _ in range(2):
        with closing(connect(spec, manner)) as transport:
            assert transport.is_authenticated()
    assert person.asked == ["Password:", "Code:"]
    asking.code = "2"
    connect(spec, manner).close()
    assert len(person.asked) == 4


def test_wrong_answers(questions: tuple[Questioning, HostSpec]) -> None:
    """Wrong answers are a refused password."""
    with pytest.raises(PasswordRefused):
        connect(questions[1], Manner(Person(replies=[["secret", "3"]]), {}, accept_new=True))


def test_nobody_answers(questions: tuple[Questioning, HostSpec]) -> None:
    """Without anybody to ask there is nothing to log in with."""
    with pytest.raises(NoWayIn) as caught:
        connect(questions[1], Manner(NobodyToAsk(), {}, accept_new=True))
    assert caught.value.methods == "keyboard-interactive"


def test_interrupted(questions: tuple[Questioning, HostSpec]) -> None:
    """Ctrl-C at a question ends the connection and leaves no thread behind."""

    class Leaving(Person):
        def answers(self, *_: object) -> list[str] | None:
            raise KeyboardInterrupt

    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt):
        connect(questions[1], Manner(Leaving(), {}, accept_new=True))
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()
