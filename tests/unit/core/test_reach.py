"""Connecting with patience, and naming what went wrong, whichever library it went wrong in."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3
from huggingface_hub.utils import get_session

from internlm_setup.core.errors import ExitCode
from internlm_setup.core.reach import (
    CAUSES,
    Address,
    Unreachable,
    connect_any,
    diagnose,
    resolve,
    unreachable,
)
from servers.rude import black_hole, closed_port, listening, own_certificate

NO_SUCH_NAME = ".".join(["a" * 60] * 5)  # longer than a name can be: refused without asking any DNS server
Ask = Callable[[str, float, str | None], object]


def with_urllib3(url: str, timeout_s: float, proxy: str | None) -> object:
    """Ask as our own transfer does, retries included in the exception."""
    pool = urllib3.ProxyManager(proxy) if proxy else urllib3.PoolManager()
    return pool.request("GET", url, timeout=timeout_s, retries=urllib3.Retry(0))


def with_urllib3_bare(url: str, timeout_s: float, proxy: str | None) -> object:
    """Ask without the wrapping that retries bring."""
    pool = urllib3.ProxyManager(proxy) if proxy else urllib3.PoolManager()
    return pool.request("GET", url, timeout=timeout_s, retries=False)


def with_requests(url: str, timeout_s: float, proxy: str | None) -> object:
    """Ask as ModelScope's SDK does."""
    return requests.get(url, timeout=timeout_s, proxies={"http": proxy, "https": proxy} if proxy else None)


def with_hugging_face(url: str, timeout_s: float, proxy: str | None) -> object:
    """Ask with the client that Hugging Face's SDK uses, whatever its library is called this year."""
    client: Any = type(get_session())
    return client(proxy=proxy, timeout=timeout_s).get(url)


everyone = pytest.mark.parametrize("ask", [with_urllib3, with_urllib3_bare, with_requests, with_hugging_face])


def failure(ask: Ask, url: str, timeout_s: float = 5.0, proxy: str | None = None) -> BaseException:
    """Return the exception of a real attempt."""
    with pytest.raises(Exception) as caught:  # four libraries, four families
        ask(url, timeout_s, proxy)
    return caught.value


@everyone
def test_refused(ask: Ask) -> None:
    """A port that nobody listens on is a refused connection."""
    assert diagnose(failure(ask, f"http://127.0.0.1:{closed_port()}/")) == ("refused", "")


@everyone
def test_no_such_name(ask: Ask) -> None:
    """A name that cannot be resolved is a DNS failure."""
    assert diagnose(failure(ask, f"http://{NO_SUCH_NAME}/")) == ("dns", "")


@everyone
def test_silence(ask: Ask) -> None:
    """A server that accepts and says nothing is a time-out."""
    with listening(answer=None) as server:
        assert diagnose(failure(ask, server.url, timeout_s=0.1)) == ("time-out", "")


@everyone
def test_nobody_picks_up(ask: Ask) -> None:
    """Packets that vanish are a time-out too."""
    with black_hole() as port:
        assert diagnose(failure(ask, f"http://127.0.0.1:{port}/", timeout_s=0.1)) == ("time-out", "")


@everyone
def test_hung_up(ask: Ask) -> None:
    """A server that closes before it answers has closed the connection."""
    with listening(answer=b"") as server:
        assert diagnose(failure(ask, server.url)) == ("closed", "")


@everyone
def test_body_cut_short(ask: Ask) -> None:
    """So has one that closes in the middle of its answer."""
    with listening(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort") as server:
        assert diagnose(failure(ask, server.url)) == ("closed", "")


@everyone
def test_dead_proxy(ask: Ask) -> None:
    """A proxy that is not there is named as the proxy's failure where the library says so, else as refused."""
    found = diagnose(failure(ask, "http://127.0.0.1:1/", proxy=f"http://127.0.0.1:{closed_port()}"))
    assert found is not None
    assert found[0] in {"proxy", "refused"}


@everyone
def test_proxy_that_refuses_a_tunnel(ask: Ask) -> None:
    """A proxy that answers CONNECT with an error is the proxy's failure."""
    refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with listening(refusal) as proxy:
        assert diagnose(failure(ask, "https://127.0.0.1:1/", proxy=proxy.url)) == ("proxy", "")


@everyone
def test_certificate_nobody_signed(ask: Ask, tmp_path: Path) -> None:
    """A certificate that is not trusted is a TLS failure, with OpenSSL's reason."""
    context, _ = own_certificate(tmp_path)
    with listening(tls=context) as server:
        found = diagnose(failure(ask, server.https))
    assert found == ("tls", "self-signed certificate")


@everyone
def test_no_tls_there(ask: Ask) -> None:
    """A server that speaks plain HTTP where TLS was expected is a TLS failure."""
    with listening() as server:
        found = diagnose(failure(ask, server.https))
    assert found is not None
    assert found[0] == "tls-failed"


@everyone
def test_hung_up_during_the_handshake(ask: Ask) -> None:
    """A connection closed in the middle of a TLS handshake says nothing about certificates: it was closed."""
    with listening(answer=b"") as server:
        assert diagnose(failure(ask, server.https)) == ("closed", "")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENETUNREACH, "x"), ("no-route", "")),
        (OSError(errno.EHOSTUNREACH, "x"), ("no-route", "")),
        (OSError(errno.EADDRNOTAVAIL, "IPv6 is off"), ("no-route", "")),
        (OSError(errno.EAFNOSUPPORT, "IPv6 is not built in"), ("no-route", "")),
        (ConnectionResetError(), ("closed", "")),
        (ssl.SSLZeroReturnError(), ("closed", "")),
        (TimeoutError(), ("time-out", "")),
        (OSError(errno.ENOSPC, "disk full"), None),
        (ValueError("no network in it"), None),
    ],
)
def test_plain_errors(error: BaseException, expected: tuple[str, str] | None) -> None:
    """The system's own errors are named; what is not a network failure is not."""
    assert diagnose(error) == expected


def test_the_plain_cause_wins() -> None:
    """However vague the wrapping, what is inside is named: as cause, as context, as reason, as argument."""
    refused = ConnectionRefusedError()
    told = RuntimeError("gave up", TimeoutError("late", refused))
    caused = RuntimeError("gave up")
    caused.__cause__ = TimeoutError("late")
    caused.__cause__.__context__ = refused
    reasoned = urllib3.exceptions.MaxRetryError(urllib3.HTTPConnectionPool("x"), "/", refused)
    assert [diagnose(e) for e in (told, caused, reasoned)] == [("refused", "")] * 3


def test_circles_end() -> None:
    """Exceptions that name each other do not hold anybody up."""
    one, other = RuntimeError(), TimeoutError()
    one.__context__, other.__context__ = other, one
    assert diagnose(one) == ("time-out", "")


def at(port: int, family: int = socket.AF_INET) -> Address:
    """Return an address as the resolver gives it."""
    return family, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)


def connected(*addresses: Address) -> int:
    """Connect, and return the port that answered, after a word has gone each way."""
    with connect_any(list(addresses), "host.test") as sock:
        sock.sendall(b"hello")
        assert sock.recv(1000)
        return int(sock.getpeername()[1])


def test_one_that_answers() -> None:
    """One address that answers is enough, wherever it stands in the list."""
    with listening() as server:
        assert connected(at(server.port)) == server.port
        assert connected(at(closed_port()), at(1, family=9999), at(server.port)) == server.port


def test_the_connection_itself() -> None:
    """The connection that won is handed over, ready to wait as long as it takes."""
    with listening(b"hello") as server, connect_any([at(closed_port()), at(server.port)], "host.test") as sock:
        sock.sendall(b"?")
        assert (sock.gettimeout(), sock.recv(9)) == (None, b"hello")


def test_a_silent_address_is_not_waited_for() -> None:
    """While the first address is silent the second is tried."""
    with black_hole() as silent, listening() as server:
        assert connected(at(silent), at(server.port)) == server.port


def test_all_refuse() -> None:
    """When every address refuses, that is the cause, with the host's name and exit code 69."""
    with pytest.raises(Unreachable) as caught:
        connect_any([at(closed_port()), at(closed_port())], "host.test")
    assert (caught.value.host, caught.value.cause_id) == ("host.test", "refused")
    assert caught.value.exit_code is ExitCode.UNAVAILABLE


def test_a_kind_of_address_this_machine_lacks() -> None:
    """Without IPv6, say, there is no route."""
    with pytest.raises(Unreachable) as caught:
        connect_any([at(1, family=9999)], "host.test")
    assert caught.value.cause_id == "no-route"


def test_silence_is_the_reason() -> None:
    """When one address stays silent, no other address's quick failure is called the cause, whichever came first."""
    other = at(1, family=9999)
    with black_hole() as silent:
        for addresses in ([at(silent)], [other, at(silent)], [at(silent), other]):
            with pytest.raises(Unreachable) as caught:
                connect_any(addresses, "host.test", patience_s=0.05)
            assert caught.value.cause_id == "time-out"


def test_resolve() -> None:
    """A literal address needs no DNS; a name that cannot be is a DNS failure naming it."""
    assert [a[4] for a in resolve("127.0.0.1", 80)] == [("127.0.0.1", 80)]
    for name in (NO_SUCH_NAME, "b" * 64 + ".test"):
        with pytest.raises(Unreachable) as caught:
            resolve(name, 80)
        assert (caught.value.host, caught.value.cause_id) == (name, "dns")


@pytest.mark.parametrize("cause_id", CAUSES)
def test_every_cause_reads_well(cause_id: str) -> None:
    """Each cause makes a sentence in both languages, its detail in brackets only where there is one."""
    assert unreachable("h.test", cause_id).message() == f"cannot reach h.test: {CAUSES[cause_id].en}"
    assert unreachable("h.test", cause_id, "why").message("zh") == f"无法连接 h.test：{CAUSES[cause_id].zh} (why)"
