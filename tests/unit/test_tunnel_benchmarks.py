"""What the benchmarks of tunnels make of what their clients did: ratios, goals, plots, and the long way."""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

if os.name == "nt":
    pytest.skip("the benchmarks are for Linux", allow_module_level=True)

import plots
import rounds
import tunnel_drops
import tunnel_ends
import tunnel_figures
import tunnel_relay
from plots import Dot, Group
from rounds import Spread
from tunnel_figures import Figure, Goal

RATE = Figure("rate", "MB/s")
PAUSE = Figure("pause", "s", "less")
RUNS = {
    "ssh -NL": [{"rate": 100.0, "pause": math.inf}, {"rate": 200.0, "pause": math.inf}],
    "internlm-setup": [{"rate": 150.0, "pause": 0.5}, {"rate": 200.0, "pause": 1.5}],
}


@pytest.mark.parametrize(("share", "expected"), [(50, 51), (99, 100), (100, 100)])
def test_a_percentile_is_a_number_that_was_measured(share: float, expected: float) -> None:
    """The last is the most there is."""
    assert rounds.percentile(range(100, 0, -1), share) == expected


def test_a_ratio_needs_a_peer_that_got_somewhere() -> None:
    """Nothing is divided by what never came."""
    assert tunnel_figures.of(RUNS, "internlm-setup", RATE, "ssh -NL") == Spread(1.25, 1.0, 1.5)
    assert tunnel_figures.of(RUNS, "internlm-setup", PAUSE, "ssh -NL") is None
    assert tunnel_figures.of(RUNS, "internlm-setup", RATE, "autossh") is None


@pytest.mark.parametrize(("limit", "met"), [(1.25, True), (1.26, False)])
def test_a_goal_is_met_by_the_median(limit: float, met: bool) -> None:
    """Whichever way is better, and in the figure's unit where no peer is asked for."""
    goals = [Goal(RATE, limit), Goal(PAUSE, 1, None), Goal(RATE, 1, "autossh")]
    ratio, pause = tunnel_figures.wishes(RUNS, goals)
    assert (ratio.wanted, ratio.found, ratio.met) == (f"≥ {limit}", "1.25 (1–1.5)", met)
    assert (pause.wanted, pause.found, pause.met) == ("≤ 1 s", "1 (0.5–1.5) s", True)


def test_runs_of_several_courses_become_one() -> None:
    """A client that was on one of them alone keeps what it found there."""
    merged = tunnel_figures.merged({"a": [{"x": 1.0}], "b": [{"x": 2.0}]}, {"a": [{"y": 3.0}]})
    assert merged == {"a": [{"x": 1.0, "y": 3.0}], "b": [{"x": 2.0}]}


def test_a_table_says_never() -> None:
    """An endless time is no number."""
    row = tunnel_figures.table(RUNS, [PAUSE]).splitlines()[-1]
    assert row == "| pause, s | never | 1 (0.5–1.5) |  |"


def test_a_plot_has_a_dot_for_each_figure() -> None:
    """What never came has none; names are written as they are."""
    dots = [Dot("a < b", Spread(2, 1, 3), "2", ours=True), Dot("c", Spread(math.inf, 1, math.inf), "never", ours=False)]
    drawn = ET.fromstring(plots.draw("title", "axis", [Group("rate", dots, 1.5, "goal")], base=1))
    assert [element.tag.rpartition("}")[2] for element in drawn].count("circle") == 1
    assert {"a < b", "never", "goal", "title", "axis"} <= {element.text for element in drawn}


def test_it_is_back_when_a_later_request_is_answered() -> None:
    """What was under way when it happened does not count, nor what failed since; that is counted."""
    lines = [(0.0, 1.1, True), (1.0, 1.2, False), (1.2, 1.5, True), (9.0, 9.5, False)]
    requests = tunnel_drops.Requests(iter(map(json.dumps, lines)))
    assert requests.back_after(1.0, 1.0, 5.0) == 0.5
    assert requests.failed_since(1.0) == 1
    assert requests.back_after(1.0, 1.0, 5.0) == math.inf


def test_noise_does_not_shrink_and_prose_does() -> None:
    """A benchmark of compression means what it says."""
    import zlib

    assert len(zlib.compress(tunnel_ends.noise() * 2)) > 2 * tunnel_ends.BLOCK_BYTES
    assert len(zlib.compress(tunnel_ends.prose())) < tunnel_ends.PROSE_BYTES / 2


def test_the_relay_is_late_and_slow() -> None:
    """Bytes come after the delay and at the rate; the end comes after them."""
    (source, far), (near, sink) = socket.socketpair(), socket.socketpair()
    tunnel_relay.Way(far, near, delay_s=0.2, bytes_per_s=1e6)

    def speak() -> None:
        with source:
            source.sendall(bytes(300_000))

    begun_s = time.monotonic()
    threading.Thread(target=speak).start()
    with sink, far, near:
        assert sink.recv(1) == b"\0"
        assert time.monotonic() - begun_s >= 0.2
        size = 1 + sum(map(len, iter(lambda: sink.recv(1 << 16), b"")))
        assert size == 300_000
        assert time.monotonic() - begun_s >= 0.45


def test_both_ends_without_a_tunnel() -> None:
    """The service and every role in front of it that ends by itself."""
    ends = [sys.executable, str(Path(tunnel_ends.__file__))]
    service = subprocess.Popen([*ends, "serve", "[]"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
    assert service.stdout is not None
    port = int(service.stdout.readline())

    def ask(name: str, *given: object) -> object:
        done = subprocess.run([*ends, name, json.dumps([port, *given])], capture_output=True, check=True)
        return json.loads(done.stdout)

    try:
        assert all(isinstance(ask("load", kind, 1_000_003, 2), float) for kind in "dtu")
        assert isinstance(ask("start", "sleep", "60"), float)
        found = [ask(role, 3) for role in ("pings", "connections", "pages")]
        assert [len(each) for each in found if isinstance(each, list)] == [3, 3, 3]
        loaded = ask("pings_under_load", 0.0, 0.1)
        assert isinstance(loaded, dict)
        assert loaded["bytes_per_s"] > 0
    finally:
        service.communicate(timeout=10)
