"""Killed, interrupted, continued elsewhere: what came is never fetched twice."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from internlm_setup.fetch import service
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.transfer.store import Store
from internlm_setup.playground.hub import HubServer
from servers.machine import MODEL, Machine

pytestmark = [
    pytest.mark.loopback,
    pytest.mark.skipif(os.name == "nt", reason="the signals are those of POSIX"),
]
KILLS = 5
SLACK_PER_STOP = 3 << 20  # what 8 connections have under way, at most 256 KiB each and a socket buffer
RATE = 6 << 20


@pytest.fixture
def slow(hub: HubServer) -> Iterator[HubServer]:
    """The hub at 6 MiB/s in all."""
    hub.faults.throttle(total_bytes_per_s=RATE)
    yield hub
    hub.faults.throttle()


def journaled_bytes(folder: Path) -> int:
    """Bytes that the journals of the partial files vouch for."""
    store = Store(folder)
    partials = (store.state / "partial").glob("*.bytes")
    return sum(store.present_bytes(p.stem, p.stat().st_size) for p in partials)


def stop_after(machine: Machine, hub: HubServer, sent_bytes: int, number: int) -> tuple[int, str, str]:
    """Start the command, stop it when so many bytes have left the hub, and return how it ended."""
    child = machine.start("fetch", MODEL, "--source", "huggingface")
    try:
        hub.log.wait_for_bytes(sent_bytes)
        child.send_signal(number)
        out, err = child.communicate(timeout=20)
    except BaseException:
        child.kill()
        child.communicate()
        raise
    return child.returncode, out, err


def test_killed_five_times(machine: Machine, slow: HubServer, model: Mapping[str, bytes]) -> None:
    total = sum(map(len, model.values()))
    folder = machine.cwd / MODEL
    kept = 0
    for kill in range(1, KILLS + 1):
        sent_before = slow.log.sent_bytes
        code, _, _ = stop_after(machine, slow, sent_before + total // (KILLS + 3), signal.SIGKILL)
        assert code == -signal.SIGKILL
        now_kept = journaled_bytes(folder) + sum(map(len, machine.files().values()))
        assert now_kept >= kept + total // (KILLS + 3) - SLACK_PER_STOP, f"kill {kill} lost bytes"
        assert machine.files().items() <= model.items()
        kept = now_kept
    slow.faults.throttle()
    done = machine.run("fetch", MODEL, "--source", "huggingface")
    assert (done.code, machine.files()) == (0, model), done.err
    assert slow.log.sent_bytes <= total + KILLS * SLACK_PER_STOP
    assert machine.run("verify", MODEL).code == 0


@pytest.mark.parametrize(
    ("number", "code", "name"),
    [
        (signal.SIGINT, 130, "Ctrl-C"),
        pytest.param(signal.SIGTERM, 143, "SIGTERM", marks=pytest.mark.full),
        pytest.param(signal.SIGHUP, 129, "SIGHUP", marks=pytest.mark.full),
    ],
)
def test_a_signal_keeps_what_came_and_names_the_command(
    machine: Machine, slow: HubServer, model: Mapping[str, bytes], number: int, code: int, name: str
) -> None:
    total = sum(map(len, model.values()))
    stopped, out, err = stop_after(machine, slow, total // 2, number)
    assert (stopped, out) == (code, "")
    assert err.endswith(
        f"error: stopped by {name}\n\nthe same command goes on: `internlm-setup fetch {MODEL} --source huggingface`\n"
    )
    slow.faults.throttle()
    result = machine.fetch(source="huggingface")
    assert machine.files() == model
    assert 0 < result.received_bytes <= total - total // 2 + SLACK_PER_STOP


def test_begun_at_one_hub_continued_at_another(machine: Machine, slow: HubServer, model: Mapping[str, bytes]) -> None:
    """The weights' partial files are named by their sha256, which both hubs publish."""
    total = sum(map(len, model.values()))
    stop_after(machine, slow, total // 2, signal.SIGKILL)
    slow.faults.throttle()
    kept = journaled_bytes(machine.cwd / MODEL)
    assert kept > 0
    result = machine.fetch(source="modelscope", to=Path(MODEL), jobs=1)
    assert {p: b for p, b in machine.files().items() if p in model} == model
    (planned,) = machine.told(events.Planned)
    assert planned.present_bytes >= kept
    assert result.received_bytes <= total - kept


def test_two_runs_at_once(machine: Machine, slow: HubServer, model: Mapping[str, bytes]) -> None:
    """The second is refused and says so; the first is not disturbed."""
    slow.faults.throttle(total_bytes_per_s=RATE // 12)  # the first must outlast the second's start
    first = machine.start("fetch", MODEL, "--source", "huggingface")
    slow.log.wait_for_bytes(RATE // 24)
    second = machine.run("fetch", MODEL, "--source", "huggingface")
    slow.faults.throttle()
    first.communicate(timeout=30)
    assert (second.code, second.out) == (73, "")
    assert f"error: another `internlm-setup` is writing to `{machine.cwd / MODEL}`" in second.err
    assert (first.returncode, machine.files()) == (0, model)


def test_a_kill_between_two_files_hashes_no_finished_one_again(machine: Machine, hub: HubServer) -> None:
    """The record of a finished file is written with it, not at the end of the run."""
    world = machine.world()
    request = service.Request(model=MODEL, sources=("modelscope",), jobs=1)

    def die(event: events.Event) -> None:
        if isinstance(event, events.FileFinished) and event.path.endswith("00004-of-00008.bin"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        service.fetch(request, world, die)
    result = machine.fetch(source="modelscope")
    assert machine.told(events.Noted) == []
    assert result.reused_files >= 4


def test_limit_rate(machine: Machine, model: Mapping[str, bytes]) -> None:
    """8 MiB at 8 MiB/s take a second, less a tenth of burst."""
    done = machine.run("fetch", MODEL, "--source", "huggingface", "--limit-rate", "8M")
    total = sum(map(len, model.values()))
    assert (done.code, machine.files()) == (0, model)
    assert done.wall_s >= total / (8 << 20) - 0.2
