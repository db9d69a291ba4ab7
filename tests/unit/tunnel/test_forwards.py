"""Forwards in OpenSSH's words."""

from __future__ import annotations

import ipaddress
import re
import shutil
import subprocess
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from internlm_setup.core.errors import ExitCode
from internlm_setup.tunnel import forwards
from internlm_setup.tunnel.errors import BadForward
from internlm_setup.tunnel.forwards import parse, written
from internlm_setup.tunnel.model import Endpoint, Forward, Kind

THERE = Endpoint("127.0.0.1", 6006)
PORTS = st.integers(1, 65535)
HOSTS = st.one_of(
    st.from_regex(r"[a-z0-9_]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
)
BINDS = st.one_of(st.sampled_from(["", "*", "localhost"]), HOSTS)
FORWARDS = st.one_of(
    st.builds(Forward, st.just("local"), st.builds(Endpoint, BINDS, PORTS), st.builds(Endpoint, HOSTS, PORTS)),
    st.builds(
        Forward,
        st.just("remote"),
        st.builds(Endpoint, BINDS, st.integers(0, 65535)),
        st.builds(Endpoint, HOSTS, PORTS),
    ),
    st.builds(Forward, st.just("dynamic"), st.builds(Endpoint, BINDS, PORTS), st.none()),
)


@pytest.mark.parametrize(
    ("kind", "words", "bind", "destination"),
    [
        ("local", "6006", Endpoint("", 6006), THERE),
        ("local", "16006:127.0.0.1:6006", Endpoint("", 16006), THERE),
        ("local", "0.0.0.0:16006:127.0.0.1:6006", Endpoint("0.0.0.0", 16006), THERE),
        ("local", "*:16006:127.0.0.1:6006", Endpoint("*", 16006), THERE),
        ("local", ":16006:127.0.0.1:6006", Endpoint("*", 16006), THERE),
        ("local", "[::1]:16006:[fe80::1%eth0]:80", Endpoint("::1", 16006), Endpoint("fe80::1%eth0", 80)),
        ("local", "8080:web.example.org:80", Endpoint("", 8080), Endpoint("web.example.org", 80)),
        ("remote", "0:127.0.0.1:6006", Endpoint("", 0), THERE),
        ("remote", "*:80:127.0.0.1:6006", Endpoint("*", 80), THERE),
        ("dynamic", "1080", Endpoint("", 1080), None),
        ("dynamic", "[::1]:1080", Endpoint("::1", 1080), None),
    ],
)
def test_what_openssh_takes_and_a_port_alone(
    kind: Kind, words: str, bind: Endpoint, destination: Endpoint | None
) -> None:
    """Everything that is right means what it means to `ssh`."""
    assert parse(kind, words) == Forward(kind, bind, destination)


@given(FORWARDS)
def test_what_is_written_is_read_again(forward: Forward) -> None:
    """Reading is the inverse of writing."""
    assert parse(forward.kind, written(forward)) == forward


@pytest.mark.skipif(shutil.which("ssh") is None, reason="ssh is not installed")
@given(FORWARDS)
def test_ssh_reads_it_the_same_way(forward: Forward) -> None:
    """`ssh -G` takes what we write, and takes it for the same."""
    words = ["ssh", "-F", "none", "-G", forwards.OPTIONS[forward.kind], written(forward), "host"]
    said = subprocess.run(words, check=True, capture_output=True, encoding="utf-8", timeout=20).stdout
    (line,) = re.findall(rf"^{forward.kind}forward (.*)$", said, re.MULTILINE)
    listen, _, leads_to = line.partition(" ")
    assert _plain(listen) == _plain(written(Forward("dynamic", forward.bind, None)))
    if forward.destination is not None:
        assert _plain(leads_to) == _plain(written(Forward("dynamic", forward.destination, None)))


def _plain(place: str) -> tuple[str, str]:
    host, _, port = place.rpartition(":")
    host = host.strip("[]")
    return (str(ipaddress.ip_address(host)) if ":" in host else host), port


@pytest.mark.parametrize(
    ("kind", "words", "complaint"),
    [
        ("local", "", "`` is no port"),
        ("local", "6006x", "`6006x` is no port"),
        ("local", "0", "`0` is no port"),
        ("local", "65536", "`65536` is no port"),
        ("local", "６００６", "`６００６` is no port"),
        ("local", "6006:127.0.0.1", "three parts are port, host and port"),
        ("local", "6006::6006", "the host it leads to is missing"),
        ("local", "6006:127.0.0.1:", "`` is no port"),
        ("local", "6006:::1:6006", "more than four parts"),
        ("local", "[::1:6006:localhost:80", "an IPv6 address stands in brackets"),
        ("local", "[::1]6006:localhost:80", "an IPv6 address stands in brackets"),
        ("local", "6006:/run/x.sock", "a Unix socket cannot be forwarded"),
        ("local", "6006:root@box:80", "`root@box` is no host"),
        ("remote", "6006", "a SOCKS proxy on the server's side is not offered"),
        ("dynamic", "1080:127.0.0.1:80", "a SOCKS proxy has a port"),
    ],
)
def test_what_is_wrong_is_said(kind: Kind, words: str, complaint: str) -> None:
    """The message names the part that is wrong, and the hint has one that is right."""
    with pytest.raises(BadForward) as caught:
        parse(kind, words)
    assert complaint in caught.value.message()
    assert caught.value.exit_code is ExitCode.USAGE
    option, example = (caught.value.next_step() or "").split("`")[1].split()
    assert option == forwards.OPTIONS[kind]
    assert written(parse(kind, example)) == example


@given(st.sampled_from(list(forwards.OPTIONS)), st.text(alphabet="0168:[]*./@a é", max_size=20))
def test_nothing_else_comes_out_of_rubbish(kind: Kind, words: str) -> None:
    """Whatever is typed is a forward or a complaint."""
    with suppress(BadForward):
        found = parse(kind, words)
        assert parse(kind, written(found)) == found
