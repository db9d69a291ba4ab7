"""Runs in turn, and what they come to: medians, spreads and ratios.

These machines move by a fifth from one minute to the next. So the tools take turns, every round begins with another
one, and a ratio compares two runs of the same round.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

V = TypeVar("V")
LOOK_EVERY_S = 0.01


@dataclass(frozen=True, slots=True)
class Run:
    """What one run cost.

    `cpu_s` and `peak_bytes` are the process's own and its finished children's, as the kernel counts them; the peak is
    the largest process's, and never below that of this program, from which the process was made.
    """

    wall_s: float
    cpu_s: float
    peak_bytes: int
    exit_code: int
    said: str = ""
    failure: str = ""
    requests: int = 0
    sent_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle of some numbers, with the least and the greatest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Spread:
        """Summarise at least one number."""
        return cls(statistics.median(numbers), min(numbers), max(numbers))

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}–{self.high:.2f})"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Compare two tools round by round: ours divided by theirs."""
    return Spread.of([mine / other for mine, other in zip(ours, theirs, strict=True)])


def percentile(numbers: Sequence[float], share: float) -> float:
    """Return the number that so many percent of some numbers do not exceed."""
    return sorted(numbers)[min(len(numbers) - 1, int(len(numbers) * share / 100))]


def take_turns(names: Sequence[str], rounds: int, run: Callable[[str], V]) -> dict[str, list[V]]:
    """Run each once a round, every round beginning with the next one; return the results by name, in round order."""
    results: dict[str, list[V]] = {name: [] for name in names}
    for number in range(rounds):
        start = number % len(names)
        for name in [*names[start:], *names[:start]]:
            results[name].append(run(name))
    return results


Runner = Callable[[str], Run]


class Started:
    """A process whose cost is known when it is over; its output goes to a file."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self._log = log
        self._begun_s = time.monotonic()
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                list(command), env=dict(env), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        self.pid = self._process.pid
        self._over = False

    def is_over(self) -> bool:
        """Tell whether it has ended, without taking note of it."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def kill(self) -> None:
        """End it and its children at once, as `kill -9` does; nothing to do after `wait`."""
        if not self._over:
            os.killpg(self.pid, signal.SIGKILL)

    def wait_at_most(self, seconds: float) -> bool:
        """Wait until it has ended or time is over; return whether it has ended."""
        give_up_s = time.monotonic() + seconds
        while not (over := self.is_over()) and time.monotonic() < give_up_s:
            time.sleep(LOOK_EVERY_S)
        return over

    def end(self) -> None:
        """Make sure that it is gone."""
        if not self._over:
            self.kill()
            self.wait()

    def wait(self) -> Run:
        """Wait for the end and return what it cost."""
        _, status, usage = os.wait4(self.pid, 0)
        wall_s = time.monotonic() - self._begun_s
        self._over = True
        self._process.returncode = os.waitstatus_to_exitcode(status)
        said = self._log.read_bytes()[-2000:].decode("utf-8", "replace")
        return Run(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10, self._process.returncode, said)


@contextmanager
def running(command: Sequence[str], env: Mapping[str, str], log: Path) -> Iterator[Started]:
    """Start a command for the block to wait for; on Ctrl-C it goes too."""
    started = Started(command, env, log)
    try:
        yield started
    except BaseException:
        started.end()
        raise


def run(command: Sequence[str], env: Mapping[str, str], log: Path) -> Run:
    """Run a command to its end."""
    with running(command, env, log) as started:
        return started.wait()
