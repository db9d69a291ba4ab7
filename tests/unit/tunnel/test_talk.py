"""What a tunnel says of itself."""

from __future__ import annotations

import io
import re
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest
from rich.console import Console

from internlm_setup.cli.output import Output
from internlm_setup.cli.tunnel_table import COLUMNS, Rates, row_of
from internlm_setup.cli.tunnel_talk import lines_of
from internlm_setup.cli.tunnel_view import TunnelView, _Figures
from internlm_setup.core.text import Text
from internlm_setup.tunnel import events as ev
from internlm_setup.tunnel.model import State
from internlm_setup.tunnel.status import STATES, Status, service_words

REASON = Text(en="refused", zh="拒绝")


@pytest.mark.parametrize(
    ("seen", "english"),
    [
        (((), (6006,), (7860,)), "nothing listens on 6006 there; 7860 does"),
        (((), (6006,), (7860, 8080)), "nothing listens on 6006 there; 7860, 8080 do"),
        (((7860,), (6006,), ()), "nothing listens on 6006 there; 7860 does"),
        (((), (6006,), ()), "nothing listens on 6006 there"),
        (((6006,), (), (7860,)), "something listens on 6006 there"),
        (((), (6006,), tuple(range(1, 9))), "nothing listens on 6006 there; 1, 2, 3, 4, 5, 6, … do"),
    ],
)
def test_services_in_words(seen: tuple[tuple[int, ...], ...], english: str) -> None:
    """SSH is told apart from the service."""
    words = service_words(*seen)
    assert words is not None
    assert words.en == english
    assert service_words((), (), (1,)) is None


def test_every_state_has_words() -> None:
    assert set(STATES) == set(get_args(State))


def test_a_first_connection_and_a_later_one_differ() -> None:
    assert [t.en for t in lines_of(ev.StateChanged("up", 0))] == ["connected"]
    assert [t.en for t in lines_of(ev.StateChanged("up", 1))] == ["connected again"]
    assert [t.en for t in lines_of(ev.StateChanged("up", 0), "degraded")] == ["connected again"]
    assert lines_of(ev.StateChanged("auth", 0)) == []


def test_the_same_trouble_is_told_once_in_a_while() -> None:
    """Every browser tab fails alike."""
    err, times = io.StringIO(), iter([0.0, 1.0, 2.0, 40.0])
    view = TunnelView(Output(language="en", env={}, stderr=err), lambda: next(times))
    for reason in (REASON, REASON, Text(en="other", zh="其他"), REASON):
        view.hear(ev.ConnectionRefused("127.0.0.1:6006", reason, None))
    assert [line.split(": ")[-1] for line in err.getvalue().splitlines()] == ["refused", "other", "refused"]


def test_what_to_do_is_said_too() -> None:
    """A connection that came to nothing is told with the next step."""
    refused = ev.ConnectionRefused("127.0.0.1:6006", REASON, Text(en="start it", zh="请启动它"))
    (line,) = lines_of(refused)
    assert (line.en, line.zh) == (
        "a connection came to nothing: refused; start it",
        "一个连接未能建立：拒绝；请启动它",
    )


def test_the_same_services_are_told_once() -> None:
    """Others that come and go beside one that is there are no news; beside one that is missing they are."""
    err = io.StringIO()
    view = TunnelView(Output(language="en", env={}, stderr=err), lambda: 0.0)
    for seen in (((6006,), (), ()), ((6006,), (), (7860,)), ((), (6006,), (7860,)), ((), (6006,), (7861,))):
        view.hear(ev.ServiceSeen(*seen))
    assert err.getvalue().splitlines() == [
        "something listens on 6006 there",
        "nothing listens on 6006 there; 7860 does",
        "nothing listens on 6006 there; 7861 does",
    ]


def test_the_stream_has_every_event() -> None:
    out = io.StringIO()
    view = TunnelView(Output(language="en", form="stream", quiet=True, env={}, stdout=out), lambda: 0.0)
    for _ in range(2):
        view.hear(ev.Retrying(REASON, 1.5))
    assert out.getvalue() == '{"event": "retrying", "reason": "refused", "wait_s": 1.5}\n' * 2


@pytest.mark.parametrize(
    ("ports", "forwards", "listening", "browsed"),
    [
        ((8080,), ("-L 8080:127.0.0.1:6006",), (6006,), "http://127.0.0.1:8080"),
        ((8080,), ("-L 8080:127.0.0.1:6006",), (), ""),
        ((1080,), ("-D 1080",), (6006,), ""),
        ((), (), (6006,), ""),
    ],
    ids=["a page", "nothing listens", "no page", "at the end"],
)
def test_the_address_for_a_browser(
    ports: tuple[int, ...], forwards: tuple[str, ...], listening: tuple[int, ...], browsed: str
) -> None:
    """It is shown where there is something to see."""
    status = Status(1, 0.0, "root@box", "up", ports=ports, forwards=forwards, listening=listening)
    out = io.StringIO()
    Console(file=out, width=80).print(_Figures(lambda: status, Output(language="en", env={}))())
    shown = [line for line in out.getvalue().splitlines() if "http:" in line]
    assert "".join(shown).removeprefix("IN A BROWSER").strip() == browsed


def test_every_event_is_described() -> None:
    """The JSON page has a row for each, with its fields."""
    page = (Path(__file__).parents[3] / "docs" / "reference" / "json.md").read_text("utf-8")
    for kind in get_args(ev.Event):
        name = re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()
        assert f"| `{name}` | {', '.join(f'`{each.name}`' for each in fields(kind))} |" in page


def test_a_row_of_the_table() -> None:
    status = Status(7, 0.0, "root@box port 33090", "up", (6006,), (), 0.0123, 2048, 10, 1, 5, 2, (6006,))
    row = row_of(status, Rates(), "en")
    assert len(row) == len(COLUMNS)
    assert row[:5] == ("6006", "root@box port 33090", "connected", "12 ms", "2.0 KiB")
    assert row[6:] == ("1 / 5", "2", "something listens on 6006 there")


def test_a_status_of_another_version() -> None:
    """Fields that are not known are passed over; those that came later have what they have without."""
    said = {"pid": 1, "since_s": 2.0, "server": "box", "state": "up", "ports": [6006], "mood": "fine"}
    assert Status.of(said) == Status(1, 2.0, "box", "up", (6006,))
