"""What the benchmarks compute from their runs, and what their link does to packets."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

if os.name == "nt":
    pytest.skip("the benchmarks are for Linux", allow_module_level=True)

import kills
import lying_hub
import models
import netlink
import plots
import rate_limited
import results
import rounds
import star
import trace_picture
import traces
from internlm_setup.playground.hub.repository import hash_file
from networks import Received
from nginx_conf import Where
from origin import Request
from rounds import Run, Spread
from star import Sample
from traces import Span

COSTLY = """
import time
taken = bytearray(90 << 20)
while time.process_time() < 0.2:
    pass
print("so")
raise SystemExit(7)
"""


def test_a_ratio_compares_runs_of_one_round() -> None:
    """A machine that was slow for one round does not spoil it."""
    assert rounds.ratio([1.0, 10.0, 3.0], [2.0, 20.0, 4.0]) == Spread(0.5, 0.5, 0.75)


def test_runs_of_unequal_number_cannot_be_compared() -> None:
    """A round that one of the two lacks is an error, not a shorter list."""
    with pytest.raises(ValueError, match="shorter"):
        rounds.ratio([1.0, 2.0], [1.0])


def test_every_round_begins_with_another() -> None:
    """All run once a round; whoever comes first changes."""
    order: list[str] = []

    def place(name: str) -> int:
        order.append(name)
        return len(order)

    found = rounds.take_turns(["a", "b", "c"], 2, place)
    assert order == ["a", "b", "c", "b", "c", "a"]
    assert found == {"a": [1, 6], "b": [2, 4], "c": [3, 5]}


def test_a_run_knows_its_cost(tmp_path: Path) -> None:
    """CPU time and memory are the child's, the exit code and the end of what it said too."""
    done = rounds.run([sys.executable, "-c", COSTLY], os.environ, tmp_path / "log")
    assert (done.exit_code, done.said) == (7, "so\n")
    assert done.cpu_s >= 0.2
    assert done.peak_bytes > 90 << 20


def test_a_process_can_be_killed_and_is_over(tmp_path: Path) -> None:
    """It is noticed as running, then as killed, and ending it again does no harm."""
    with rounds.running(["sleep", "60"], os.environ, tmp_path / "log") as started:
        assert not started.wait_at_most(0.05)
        started.kill()
        assert started.wait().exit_code == -9
        started.end()


@pytest.mark.parametrize(("found", "met"), [(0.75, True), (0.7501, False)])
def test_a_wish_is_met_up_to_its_limit(found: float, met: bool) -> None:
    """The limit itself is good enough, either way round."""
    assert results.at_most("x", 0.75, found).met is met
    assert results.at_least("x", -0.75, -found).met is met


def test_a_section_takes_the_place_of_its_last() -> None:
    """Other sections, and text around them, stay as they are."""
    page = results.with_section(results.with_section("# Page\n", "one", "first"), "two", "second")
    assert results.with_section(page, "one", "again \\1") == page.replace("first", "again \\1")


def test_kills_are_spread_over_the_transfer() -> None:
    """The gaps are those between sorted moments: none is negative, and they end before the file does."""
    waits = kills.moments(100 * kills.RATE_BYTES_PER_S, 20, seed=3)
    assert len(waits) == 20
    assert min(waits) >= 0
    assert 50 < sum(waits) < 100
    assert waits == kills.moments(100 * kills.RATE_BYTES_PER_S, 20, seed=3) != kills.moments(10**9, 20, seed=4)


def test_heads_of_packets_are_no_payload() -> None:
    """What counts is what came since, less a head for each packet."""
    assert Received(10_000, 20).payload_since(Received(4_000, 10), overhead_bytes=66) == 5_340


def test_sparse_files_hash_as_they_read(tmp_path: Path) -> None:
    """The sha256 that is listed without reading is the file's own; no two are equal."""
    model = models.sparse_files(tmp_path / "model", 2, 3 << 20)
    for entry in model.entries:
        file = tmp_path / "model" / entry.path
        assert hash_file(entry.path, file, lfs=True).sha256 == entry.sha256
    assert len({entry.sha256 for entry in model.entries}) == 2


class Pipe:
    """A direction of the link with a pipe for each TUN: what is admitted comes out at its time."""

    def __init__(self, shape: netlink.Shape) -> None:
        self._out, sink = os.pipe()
        self.direction = netlink.Direction(-1, sink, shape)
        self._ends = (self._out, sink)
        os.set_blocking(self._out, False)

    def came_by(self, now_s: float) -> bytes:
        self.direction._let_go(now_s)
        try:
            return os.read(self._out, 1 << 16)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        for end in self._ends:
            os.close(end)


def test_packets_are_late_by_the_delay() -> None:
    """Not a moment earlier, and in order."""
    pipe = Pipe(netlink.Shape(delay_s=0.1))
    pipe.direction._admit(b"a", 1.0)
    pipe.direction._admit(b"b", 1.05)
    assert [pipe.came_by(at_s) for at_s in (1.099, 1.1001, 1.1499, 1.1501)] == [b"", b"a", b"", b"b"]
    pipe.close()


def test_packets_leave_at_the_rate_and_a_full_queue_drops() -> None:
    """Two packets of 1000 bytes at 1000 bytes/s are one second apart; a fourth finds the queue full."""
    pipe = Pipe(netlink.Shape(delay_s=0, bytes_per_s=1000, queue_bytes=2000))
    for letter in (b"a", b"b", b"c", b"d"):
        pipe.direction._admit(letter * 1000, 0.0)
    came = [len(pipe.came_by(at_s)) for at_s in (0.99, 1.01, 2.01, 3.01, 9.0)]
    assert came == [0, 1000, 1000, 1000, 0]
    assert (pipe.direction.report.packets, pipe.direction.report.overflowed) == (4, 1)
    pipe.close()


def test_loss_strikes_as_often_as_asked() -> None:
    """Seeded: the same packets are lost each time."""
    lost = []
    for _ in range(2):
        direction = netlink.Direction(-1, -1, netlink.Shape(delay_s=0, loss=0.1, seed=5))
        for _ in range(10_000):
            direction._admit(b"x", 0.0)
        lost.append(direction.report.lost)
    assert lost[0] == lost[1]
    assert 900 < lost[0] < 1100


def test_free_ports_are_two() -> None:
    """The hub and its CDN are different origins."""
    where = Where.loopback()
    assert where.port != where.cdn_port


def brought(*rates: tuple[float, ...]) -> list[Sample]:
    """Return samples every 0.1 s: in each whole second, each hub brings so many bytes."""
    samples, came = [Sample(0.0, (0,) * len(rates[0]))], [0.0] * len(rates[0])
    for number in range(10 * len(rates)):
        came = [sum_bytes + rate / 10 for sum_bytes, rate in zip(came, rates[number // 10], strict=True)]
        samples.append(Sample((number + 1) / 10, tuple(int(one) for one in came)))
    return samples


def test_the_tail_is_the_wait_for_the_last_hub() -> None:
    """One hub has nothing more to do after a second, the other goes on for three; one that never began is left out."""
    slow_last = brought((1000, 100, 0), (0, 100, 0), (0, 100, 0), (0, 0, 0))
    assert star.tail_s(slow_last, [1000, 100, 500]) == pytest.approx(2.0, abs=0.15)
    assert star.tail_s(brought((1000, 100, 0)), [1000, 100, 500]) == pytest.approx(0.0, abs=0.15)
    assert star.tail_s(brought((0, 0, 0)), [1000, 100, 500]) == 0.0


def test_speeds_are_those_of_one_hub() -> None:
    """In megabytes a second, point by point."""
    points = star.speeds(brought((5e6, 1e6), (2e6, 1e6)), 0, every_s=0.5)
    assert [round(speed) for _, speed in points] == [0, 5, 5, 2, 2]


def answered(status: int, span: str = "-", at_s: float = 0.0, size_bytes: int = 0) -> Request:
    return Request(at_s, 0.0, "GET", status, size_bytes, 80, span, f"/bench/weights/{models.WEIGHTS}")


def test_a_lie_is_told_when_its_byte_is_sent() -> None:
    """A connection that is cut before it does not count; a redirect tells nothing."""
    flips = {models.WEIGHTS: [150, 1000]}
    assert lying_hub.told(answered(206, "bytes=100-199", size_bytes=100), flips) == 1
    assert lying_hub.told(answered(206, "bytes=100-199", size_bytes=50), flips) == 0
    assert lying_hub.told(answered(200, size_bytes=2000), flips) == 2
    assert lying_hub.told(answered(302, "bytes=100-199", size_bytes=100), flips) == 0


def test_a_byte_is_changed_in_each_hundred_pieces(tmp_path: Path) -> None:
    """Spread over the files, inside them, and the same in every run."""
    (one,) = lying_hub.flipped(models.weights(tmp_path / "one", 2500), piece_bytes=10).values()
    assert [at // 1000 for at in one] == [0, 1, 2]
    assert one[-1] < 2500
    two = lying_hub.flipped(models.weights(tmp_path / "two", 2500, 2), piece_bytes=10)
    first, second = two.values()
    assert [*first, *(1250 + at for at in second)] == list(one)
    assert all(name.endswith("-of-00002.safetensors") for name in two)


def test_a_storm_is_what_comes_while_told_to_wait() -> None:
    """What was under way when the hub said so is forgiven, and whoever waits the second is no storm."""
    polite = [answered(429, at_s=at_s) for at_s in (1.0, 1.05, 2.1)]
    stormy = [answered(status, at_s=at_s) for status, at_s in ((429, 1.0), (429, 1.5), (200, 1.7), (429, 2.0))]
    run = Run(1.0, 0.0, 0, 0)
    assert rate_limited.Story(run, tuple(polite), 1, "").impatient == 0
    assert rate_limited.Story(run, tuple(stormy), 1, "").impatient == 2


SPANS = [Span("w", 0, "a", 0.0, 1.0, 100), Span("w", 100, "b", 0.5, 3.0, 50), Span("w", 150, "a", 0.5, 2.0, 100)]


def test_a_trace_is_read_in_order(tmp_path: Path) -> None:
    """Lines may come in any order and say more; a trace that was not written is empty."""
    lines = [
        json.dumps({
            "path": s.path, "piece": s.at, "source": s.source, "start": s.start_s, "end": s.end_s,
            "bytes": s.size_bytes, "more": 1,
        })
        for s in reversed(SPANS)
    ]  # fmt: skip
    (tmp_path / "trace").write_text("\n".join(lines), encoding="utf-8")
    assert sorted(traces.read(tmp_path / "trace"), key=lambda span: span.at) == SPANS
    assert traces.read(tmp_path / "none") == []
    assert traces.tail_s(SPANS) == 1.0


def test_requests_at_the_same_time_have_lanes_of_their_own() -> None:
    """A lane is taken again when it is free."""
    later = Span("w", 250, "a", 1.5, 2.5, 10)
    assert [lane for lane, _ in trace_picture.lanes([SPANS[0], SPANS[2], later])] == [0, 1, 0]


def test_curves_are_svg() -> None:
    """Whatever they are called; and also when there is nothing to draw."""
    curves = plots.curves("a < b", ("s", "MB/s"), {"<x>": [(0.0, 0.0), (1.0, 2.0)], "y": []}, [(0.5, "dies")])
    for svg in (curves, plots.curves("none", ("", ""), {}), trace_picture.draw("a & b", SPANS)):
        assert ET.fromstring(svg).tag.endswith("svg")
    assert plots.steps(7.0) == [0.0, 2.0, 4.0, 6.0]
