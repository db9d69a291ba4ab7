"""When a session compresses, on lines that are simulated."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass, field

import pytest

from internlm_setup.core.ssh.compression import Compressor, Decompressor, Saved
from internlm_setup.tunnel.compression import SELDOM_S, SOON_S, Compression, ratio_of
from internlm_setup.tunnel.model import Traffic

MB = 1e6
ZLIB_BYTES_PER_S = 19 * MB  # what one core of a server compresses
TEXT = 0.26


@dataclass
class Line:
    """A line of a rate, with somebody who fills it.

    Attributes:
        rate: Bytes per second that it carries.
        ratio: How small the data becomes.
        wanted: Bytes per second that a program wants; for ever more unless said.
        grows: By how much more of the rate is reached each look, as TCP finds its way up.
    guess: Whether it is on from the beginning.
    """

    rate: float
    ratio: float = TEXT
    wanted: float = 1e12
    grows: float = 1e9
    guess: bool = False
    traffic: Traffic = field(default_factory=Traffic)
    now_s: float = 0.0
    tries: int = 0
    history: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.decision = Compression(self.now_s, self.traffic, on=self.guess)
        self._reached = min(self.rate, 1e5) if self.grows < 1e9 else self.rate

    def run(self, seconds: float) -> None:
        """Let time go by; decisions are carried out at once."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s += SOON_S
            self._reached = min(self.rate, self._reached * self.grows)
            self._move(SOON_S)
            on = self.decision.look(self.now_s, self.traffic, self._try)
            if on != self.decision.on:
                self.history.append(on)
                self.decision.switched(self.now_s, self.traffic, on=on)

    def _move(self, seconds: float) -> None:
        plain = min(self._reached, self.wanted)
        wire = plain
        if self.decision.on:
            plain = min(self._reached / self.ratio, ZLIB_BYTES_PER_S, self.wanted)
            wire = plain * self.ratio
        before = self.traffic
        self.traffic = Traffic(
            before.received_bytes + int(wire * seconds), 0, before.saved_bytes + int((plain - wire) * seconds)
        )

    def _try(self) -> float:
        self.tries += 1
        return self.ratio


@pytest.mark.parametrize("rate", [0.1 * MB, 2 * MB, 7 * MB])
def test_text_on_a_slow_line(rate: float) -> None:
    """It is on within a second, and stays on but for the odd trial of what the line carries without."""
    line = Line(rate)
    line.run(1.0)
    assert line.decision.on
    line.run(600)
    assert line.decision.on
    assert len(line.history) < 12


@pytest.mark.parametrize("rate", [9 * MB, 50 * MB, 2000 * MB])
def test_a_fast_line(rate: float) -> None:
    """It is never on, and recent data is not even tried."""
    line = Line(rate)
    line.run(600)
    assert line.history == []
    assert line.tries == 0


def test_a_fast_line_that_begins_slowly() -> None:
    """While the rate still doubles nothing is decided."""
    line = Line(50 * MB, grows=1.5)
    line.run(60)
    assert line.history == []


@pytest.mark.parametrize("ratio", [0.81, 1.0])
def test_data_that_does_not_shrink(ratio: float) -> None:
    """It is never on."""
    line = Line(2 * MB, ratio)
    line.run(60)
    assert line.history == []
    assert line.tries


def test_data_that_shrinks_no_longer() -> None:
    """It goes off within a few seconds, and what looks like text but is none is tried ever more rarely."""
    line = Line(2 * MB)
    line.run(5)
    line.ratio = 1.0
    line.run(5)
    assert not line.decision.on
    assert line.history == [True, False]

    class Liar(Line):
        def _try(self) -> float:
            return 0.1

    liar = Liar(2 * MB, ratio=1.0)
    liar.run(3600)
    assert len(liar.history) <= 14


def test_a_program_that_was_slow_on_a_fast_line() -> None:
    """It may be on for what trickles; as soon as somebody wants more than compressing gives, the line is tried."""
    line = Line(500 * MB, wanted=1 * MB)
    line.run(5)
    assert line.history == [True]
    line.wanted = 1e12
    line.run(4)
    line.wanted = 1 * MB
    line.run(300)
    assert line.history == [True, False]


def test_a_guess_that_was_right() -> None:
    """A far server whose line is slow: it is on, and stays."""
    line = Line(2 * MB, guess=True)
    line.run(3)
    assert not line.decision.guessed
    line.run(600)
    assert line.history == []


@pytest.mark.parametrize(("rate", "ratio"), [(50 * MB, 1.0), (2 * MB, 1.0)])
def test_a_guess_that_was_wrong(rate: float, ratio: float) -> None:
    """It is off at the first look that finds something going through that does not shrink."""
    line = Line(rate, ratio, guess=True, wanted=1000)
    line.run(30)
    assert line.decision.guessed
    line.wanted = 1e12
    line.run(2 * SOON_S)
    assert line.history == [False]
    line.run(20)
    assert line.history == [False]


def test_a_far_line_that_is_fast() -> None:
    """Text shows that only after a while, since it comes in bursts; then it is off."""
    line = Line(50 * MB, guess=True)
    line.run(1)
    assert line.history == []
    line.run(2)
    assert line.history == [False]


def test_the_first_bytes_of_a_packet() -> None:
    """They are not known to shrink before the rest is here, and say nothing about a guess."""
    decision = Compression(0.0, Traffic(), on=True)
    assert decision.look(0.1, Traffic(received_bytes=30_000), lambda: 0.1)
    assert decision.look(0.2, Traffic(received_bytes=400_000, saved_bytes=900_000), lambda: 0.1)
    assert not Compression(0.0, Traffic(), on=True).look(0.1, Traffic(received_bytes=600_000), lambda: 0.1)


def test_an_idle_line_is_looked_at_rarely() -> None:
    """Small talk, such as signs of life, says nothing about a line; only in the beginning it is looked at often."""
    line = Line(1000 * MB, wanted=10_000)
    assert line.decision.pause_s == SOON_S
    line.run(30)
    assert line.decision.pause_s == SOON_S
    line.run(60)
    assert line.history == []
    assert line.decision.pause_s == SELDOM_S
    line.wanted = 1 * MB
    line.run(1)
    assert line.decision.pause_s == SOON_S


def test_looks_that_come_close_together() -> None:
    """Too short a time says nothing: bytes come in bursts."""
    decision = Compression(0.0, Traffic(), on=False)
    for n in range(1, 100):
        decision.look(n / 1000, Traffic(received_bytes=n * 200_000), lambda: 0.1)
    assert not decision.on
    assert not decision.look(0.5, Traffic(received_bytes=500_000), lambda: 0.1)


def test_the_ratio_of_recent_data() -> None:
    """Text shrinks, noise does not, and of a few bytes nothing is said."""
    assert ratio_of(b"the quick brown fox " * 1000) < 0.1
    assert ratio_of(os.urandom(30_000)) > 0.99
    assert ratio_of(b"aaaa") == 1.0


def test_packets_become_small_and_large_again() -> None:
    """Each packet can be read as soon as it is there, and what it saved is counted on both sides."""
    sent, received = Saved(), Saved()
    compressor, decompressor = Compressor(sent), Decompressor(received)
    for packet in (b"a", b"hello " * 100, os.urandom(1000), b"hello " * 100):
        assert decompressor(compressor(packet)) == packet
    assert sent == received
    assert sent.size_bytes > 900


def test_a_packet_that_would_be_enormous() -> None:
    """It is refused before it fills the memory."""
    with pytest.raises(zlib.error):
        Decompressor(Saved())(Compressor(Saved())(bytes(1 << 26)))
