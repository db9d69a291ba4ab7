"""A tunnel to the real OpenSSH server is held: through a killed session, a frozen server, our own sleep."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from internlm_setup.tunnel import events as ev
from internlm_setup.tunnel.errors import CannotListenThere, PortBusy
from internlm_setup.tunnel.held import Wishes
from internlm_setup.tunnel.model import Endpoint, Forward
from internlm_setup.tunnel.records import chosen, held, stop
from servers.machine import Machine
from servers.openssh import SSHD, Sshd, make_key, sshd
from servers.rude import closed_port
from servers.ssh_person import public
from servers.streams import service
from servers.tunnels import everything_of, fetch, local_to, page, send, tunnel_to

pytestmark = [pytest.mark.loopback, pytest.mark.skipif(SSHD is None, reason="needs the OpenSSH server")]


@pytest.fixture
def web() -> Iterator[Endpoint]:
    """A web service."""
    with service(page) as place:
        yield place


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Sshd]:
    """A server that no other test shares."""
    with sshd(tmp_path / "own") as running:
        running.authorize(public(make_key(running.folder / "key")))
        yield running


def test_a_page_before_during_and_after_a_killed_session(own: Sshd, tmp_path: Path, web: Endpoint) -> None:
    """Not one request fails, and the port is the same."""
    with tunnel_to(own, tmp_path / "state", local_to(web)) as (tunnel, story):
        (port,) = tunnel.status().ports
        for _ in range(3):
            assert fetch(port) == "page"
            send(signal.SIGKILL, own.sessions())
            assert fetch(port) == "page"
        assert [fetch(port) for _ in range(3)] == ["page"] * 3
        assert tunnel.status().reconnects == 3
        assert tunnel.status().ports == (port,)
    assert story.states.count("up") == 4


def test_connections_take_no_threads(own: Sshd, tmp_path: Path, web: Endpoint) -> None:
    """Those that a session carries; they are counted all the same, and what they moved."""
    with tunnel_to(own, tmp_path / "state", local_to(web)) as (tunnel, story):
        (port,) = tunnel.status().ports
        with ExitStack() as stack:
            for _ in range(5):
                stack.enter_context(socket.create_connection(("127.0.0.1", port), 20))
            story.wait_for(lambda: tunnel.status().open_connections == 5)
            assert fetch(port) == "page"
            assert not any(thread.name == "tunnel-connection" for thread in threading.enumerate())
        story.wait_for(lambda: tunnel.status().open_connections == 0)
        assert tunnel.status().opened_connections == 6
        assert tunnel.status().received_bytes > len("page")


def test_requests_all_the_while(own: Sshd, tmp_path: Path, web: Endpoint) -> None:
    """New connections wait while there is no server at all, and are served when it is back."""
    with tunnel_to(own, tmp_path / "state", local_to(web)) as (tunnel, story):
        (port,) = tunnel.status().ports
        sessions = own.sessions()
        own.stop()
        send(signal.SIGKILL, sessions)
        story.wait_for(lambda: "reconnecting" in story.states)
        got = list[str]()
        waiting = [threading.Thread(target=lambda: got.append(fetch(port))) for _ in range(5)]
        for thread in waiting:
            thread.start()
        story.wait_for(lambda: sum(isinstance(event, ev.Retrying) for event in story.told) >= 2)
        assert got == []
        own.start()
        for thread in waiting:
            thread.join(20)
        assert got == ["page"] * 5


def test_a_frozen_server(own: Sshd, tmp_path: Path, web: Endpoint) -> None:
    """A second session is made beside the first; what is in the first lives on when it thaws."""
    with tunnel_to(own, tmp_path / "state", local_to(web), keepalive_s=0.3, dead_s=1.0) as (tunnel, story):
        (port,) = tunnel.status().ports
        with socket.create_connection(("127.0.0.1", port), 20) as stream:
            story.wait_for(lambda: tunnel.status().open_connections == 1)
            frozen = everything_of(own)
            send(signal.SIGSTOP, frozen)
            try:
                assert fetch(port) == "page"
                assert story.states.count("up") == 2
                assert "degraded" in story.states
            finally:
                send(signal.SIGCONT, frozen)
            stream.settimeout(20)
            stream.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert stream.recv(4) == b"HTTP"


def test_our_own_sleep(own: Sshd, tmp_path: Path, web: Endpoint) -> None:
    """The session ends while we are stopped; once awake, the next request is served all the same."""
    machine = Machine(tmp_path / "me")
    port = closed_port()
    known = machine.home / ".ssh"
    known.mkdir(mode=0o700)
    (known / "known_hosts").write_text(own.known_line)
    own.authorize(public(make_key(known / "id_ed25519")))
    line = ["--host", "127.0.0.1", "--user", own.user, "--port", str(own.port), "-L", f"{port}:127.0.0.1:{web.port}"]
    with machine.start("tunnel", "--json=stream", *line) as child:
        assert child.stdout is not None
        for said in child.stdout:
            if '"up"' in said:
                break
        assert fetch(port) == "page"
        child.send_signal(signal.SIGSTOP)
        send(signal.SIGKILL, own.sessions())
        time.sleep(3)  # longer than a pause that could have been meant
        child.send_signal(signal.SIGCONT)
        assert fetch(port) == "page"
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=20)
    assert child.returncode == 130
    assert list((machine.home / ".local/state/internlm-setup/tunnels").iterdir()) == []


def test_what_listens_is_told(own: Sshd, tmp_path: Path, web: Endpoint) -> None:
    """A missing service is not taken for a broken tunnel, and is seen when it comes."""
    missing = closed_port()
    to = Endpoint("127.0.0.1", missing)
    with tunnel_to(own, tmp_path / "state", local_to(to), local_to(web)) as (tunnel, story):
        story.wait_for(lambda: any(isinstance(event, ev.ServiceSeen) for event in story.told))
        assert tunnel.status().missing == (missing,)
        assert tunnel.status().listening == (web.port,)
        with socket.create_connection(("127.0.0.1", tunnel.status().ports[0]), 20) as sock:
            sock.settimeout(20)
            assert sock.recv(1) == b""
        story.wait_for(lambda: any(isinstance(event, ev.ConnectionRefused) for event in story.told))
        with socket.create_server(("127.0.0.1", missing)):
            story.wait_for(lambda: tunnel.status().missing == ())


@pytest.mark.parametrize("how", ["ForceCommand false", "MaxSessions 0"])
def test_a_server_that_runs_no_commands(tmp_path: Path, web: Endpoint, how: str) -> None:
    """Everything else works all the same, and that is said once."""
    with sshd(tmp_path / "own", how) as own:
        own.authorize(public(make_key(own.folder / "key")))
        with tunnel_to(own, tmp_path / "state", local_to(web)) as (tunnel, story):
            story.wait_for(lambda: any(isinstance(event, ev.Noted) for event in story.told))
            assert fetch(tunnel.status().ports[0]) == "page"
            assert not any(isinstance(event, ev.ServiceSeen) for event in story.told)


def test_a_look_that_came_to_nothing_once(tmp_path: Path, web: Endpoint) -> None:
    """A slow line, or our own sleep: it is looked again before anything is said of the server."""
    first = f"mkdir {tmp_path}/looked 2>/dev/null"
    how = f'ForceCommand case "$SSH_ORIGINAL_COMMAND" in grep*) {first} || eval "$SSH_ORIGINAL_COMMAND";; esac'
    with sshd(tmp_path / "own", how) as own:
        own.authorize(public(make_key(own.folder / "key")))
        with tunnel_to(own, tmp_path / "state", local_to(web)) as (tunnel, story):
            story.wait_for(lambda: tunnel.status().listening == (web.port,))
            assert (tmp_path / "looked").is_dir()
            assert not any(isinstance(event, ev.Noted) for event in story.told)


def test_auto_follows_what_listens(own: Sshd, tmp_path: Path, web: Endpoint) -> None:
    """A service that begins is to be had here, on another port where its own is taken; it goes with the service."""
    with tunnel_to(own, tmp_path / "state", local_to(web), wishes=Wishes(follow=True)) as (tunnel, story):
        story.wait_for(lambda: any(isinstance(event, ev.ServiceSeen) for event in story.told))
        number = next(n for n in itertools.count(20_000) if _is_free(n))
        with socket.create_server(("127.0.0.1", number)) as listening:
            story.wait_for(lambda: any(e.port == number for e in story.told if isinstance(e, ev.PortFollowed)))
            (here,) = (e.local_port for e in story.told if isinstance(e, ev.PortFollowed) and e.port == number)
            with socket.create_connection(("127.0.0.1", here), 20) as sock, listening.accept()[0] as far:
                sock.sendall(b"x")
                assert far.recv(1) == b"x"
        story.wait_for(lambda: any(e.port == number for e in story.told if isinstance(e, ev.PortLeft)))
        assert here not in tunnel.status().ports


def test_a_service_that_answers_is_announced(own: Sshd, tmp_path: Path) -> None:
    """Once, when it does."""
    number = closed_port()
    forward = local_to(Endpoint("127.0.0.1", number))
    with tunnel_to(own, tmp_path / "state", forward, wishes=Wishes(announce=True)) as (_, story):
        assert not any(isinstance(event, ev.ServiceAnswers) for event in story.told)
        with socket.create_server(("127.0.0.1", number)) as listening:

            def answer() -> None:
                sock, _ = listening.accept()
                with sock:
                    page(sock)

            thread = threading.Thread(target=answer)
            thread.start()
            story.wait_for(lambda: any(isinstance(event, ev.ServiceAnswers) for event in story.told))
            thread.join(20)


def test_a_port_there_that_leads_here(own: Sshd, tmp_path: Path, web: Endpoint) -> None:
    """It listens there again after a reconnect."""
    there = closed_port()
    with tunnel_to(own, tmp_path / "state", Forward("remote", Endpoint("", there), web)) as (_, story):

        def listening(times: int) -> bool:
            return sum(isinstance(e, ev.Noted) and str(there) in e.text.en for e in story.told) == times

        story.wait_for(lambda: listening(1))
        assert fetch(there) == "page"
        send(signal.SIGKILL, everything_of(own))
        story.wait_for(lambda: listening(2))
        assert fetch(there) == "page"


def test_a_port_there_that_leads_to_nothing_here(own: Sshd, tmp_path: Path) -> None:
    """It is told, with what to do, as it is when nothing listens there."""
    there, nothing = closed_port(), Endpoint("127.0.0.1", closed_port())
    with tunnel_to(own, tmp_path / "state", Forward("remote", Endpoint("", there), nothing)) as (_, story):
        story.wait_for(lambda: any(isinstance(event, ev.Noted) for event in story.told))
        with socket.create_connection(("127.0.0.1", there)) as sock:
            assert sock.recv(1) == b""
        story.wait_for(lambda: any(isinstance(event, ev.ConnectionRefused) for event in story.told))
    (refused,) = (event for event in story.told if isinstance(event, ev.ConnectionRefused))
    assert refused.destination == f"127.0.0.1:{nothing.port}"
    assert refused.reason.en.startswith("this machine cannot connect")
    assert refused.advice is not None


def test_a_port_there_that_is_taken(own: Sshd, tmp_path: Path, web: Endpoint) -> None:
    """The first session says so, and that is the end."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        forward = Forward("remote", Endpoint("127.0.0.1", taken.getsockname()[1]), web)
        with pytest.raises(CannotListenThere):
            _run_to_its_end(own, tmp_path, forward)


def test_a_port_here_that_is_taken(own: Sshd, tmp_path: Path, web: Endpoint) -> None:
    """Nothing is connected, and the ports that were free are free again."""
    free = closed_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        forwards = [Forward("local", Endpoint("127.0.0.1", n), web) for n in (free, taken.getsockname()[1])]
        with pytest.raises(PortBusy):
            _run_to_its_end(own, tmp_path, *forwards)
    assert _is_free(free)
    assert own.sessions() == []


def test_it_is_found_and_stopped_from_outside(own: Sshd, tmp_path: Path, web: Endpoint) -> None:
    """By its port; what a killed one left is swept away."""
    state = tmp_path / "state"
    with tunnel_to(own, state, local_to(web)) as (tunnel, story):
        (state / "tunnels" / "1.json").write_text(f'{{"pid": 1, "address": "{state}/gone.sock", "token": ""}}')
        (port,) = tunnel.status().ports
        assert [status.ports for _, status in held(state)] == [(port,)]
        record, status = chosen(state, port)
        assert (status.pid, status.state) == (os.getpid(), "up")
        assert record.path.stat().st_mode & 0o777 == 0o600
        assert record.path.with_suffix(".sock").stat().st_mode & 0o777 == 0o600
        stop(record)
        story.wait_for(lambda: story.states[-1] == "stopped")
    assert not list(held(state))


def _run_to_its_end(server: Sshd, folder: Path, *forwards: Forward) -> None:
    from internlm_setup.core.ssh.ask import NobodyToAsk
    from internlm_setup.tunnel.held import Tunnel
    from internlm_setup.tunnel.model import SessionSpec
    from servers.ssh_person import spec_of
    from servers.streams import ENGINES

    spec = SessionSpec(spec_of(server, server.folder / "key"), forwards)
    Tunnel(spec, Wishes(), ENGINES["threaded"], NobodyToAsk(), {}, folder / "state", lambda _: None).run()


def _is_free(number: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", number)).close()
    except OSError:
        return False
    return True
