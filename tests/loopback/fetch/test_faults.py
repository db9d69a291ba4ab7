"""Every row of the playground's table of misbehaviour: the run heals, or ends clearly with all good bytes kept."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import pytest

from internlm_setup.core.errors import SetupError, SeveralErrors
from internlm_setup.fetch import service
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.transfer.store import Store
from internlm_setup.playground.door import MODEL_IDS
from internlm_setup.playground.hub import KINDS, Fault, FaultKind, HubServer, Repository
from internlm_setup.playground.hub.message import Stage
from servers.machine import Machine, files_in

pytestmark = [pytest.mark.loopback, pytest.mark.full]
HUBS = ("modelscope", "huggingface", "openxlab")
BYTES: frozenset[Stage] = frozenset({"file", "content"})
FILE: frozenset[Stage] = frozenset({"file"})
LISTING: frozenset[Stage] = frozenset({"listing"})
LARGE = "weights.bin"
ELSEWHERE = {"link-elsewhere", "drip"}  # about listings; and watched for 20 s: both have tests of their own
# It publishes no hash that would tell, another tag means another file there, and it redirects nobody.
NO_HASH = {("flip", "openxlab"), ("etag", "openxlab"), ("elsewhere", "openxlab")}
BY_OWN_STAGES = {"elsewhere", "expired"}  # these strike only what they are about


@pytest.fixture
def model(hub: HubServer, tmp_path: Path) -> Mapping[str, bytes]:
    """A model with one file of several pieces, one that is small, and one of a single piece."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / LARGE).write_bytes(random.Random(1).randbytes(12 << 20))
    (folder / "tokenizer.model").write_bytes(random.Random(2).randbytes(1 << 20))
    (folder / "config.json").write_bytes(b"{}\n")
    hub.add(Repository(MODEL_IDS, folder))
    return files_in(folder)


def here(machine: Machine) -> dict[str, bytes]:
    return files_in(machine.cwd / "model")


def fetch(machine: Machine, source: str) -> int:
    """Fetch into `model` and return the bytes received."""
    return machine.fetch(source=source, hasty=True, to=Path("model")).received_bytes


def failure(machine: Machine, source: str) -> tuple[int, set[str]]:
    """Fetch in vain and return the exit code and the errors' codes."""
    with pytest.raises(SetupError) as caught:
        fetch(machine, source)
    error = caught.value
    if isinstance(error, SeveralErrors):
        return int(error.shared_exit_code), {inner.code for inner in error.errors}
    return int(error.exit_code), {error.code}


@pytest.mark.parametrize(("kind", "source"), sorted(set(product(KINDS.keys() - ELSEWHERE, HUBS)) - NO_HASH))
def test_one_fault_in_the_large_file_heals(
    machine: Machine, hub: HubServer, model: Mapping[str, bytes], kind: FaultKind, source: str
) -> None:
    skip = 1 if source == "openxlab" else 0  # the first request there asks for the size only
    where = None if kind in BY_OWN_STAGES else BYTES
    fault = hub.faults.add(Fault(kind, LARGE, hub=source, where=where, times=1, skip=skip))
    fetch(machine, source)
    assert hub.faults.struck(fault) == 1
    assert here(machine) == model


def test_another_tag_at_openxlab_is_another_file(machine: Machine, hub: HubServer, model: Mapping[str, bytes]) -> None:
    """Without a hash only the tag tells that a file was replaced; the next run fetches the new one."""
    hub.faults.add(Fault("etag", LARGE, hub="openxlab", where=BYTES, times=1, skip=1))
    assert failure(machine, "openxlab") == (76, {"fetch.file-changed"})
    assert LARGE not in here(machine)
    fetch(machine, "openxlab")
    assert here(machine) == model


HARMLESS = ("chunked", "elsewhere", "endless", "etag", "ignore-range", "range-200", "range-416")


@pytest.mark.parametrize("source", HUBS)
@pytest.mark.parametrize("kind", HARMLESS)
def test_a_server_that_is_always_like_that(
    machine: Machine, hub: HubServer, model: Mapping[str, bytes], kind: FaultKind, source: str
) -> None:
    hub.faults.add(Fault(kind, hub=source, where=None if kind in BY_OWN_STAGES else BYTES))
    fetch(machine, source)
    assert here(machine) == model
    assert hub.log.sent_bytes < 4 * sum(map(len, model.values()))


# What a fault that never ends comes to: the exit code, and the errors' codes.
HOPELESS: dict[FaultKind, tuple[int, set[str]]] = {
    "truncate": (75, {"fetch.stopped"}),
    "drop": (75, {"fetch.stopped"}),
    "flip": (65, {"fetch.hash-mismatch"}),
    "expired": (75, {"fetch.stopped"}),
    "rate-limit": (69, {"fetch.failed"}),
    "server-error": (69, {"fetch.failed"}),
    "silence": (69, {"fetch.failed"}),
    "garbage": (65, {"fetch.size-mismatch"}),
    "short-length": (75, {"fetch.stopped", "fetch.size-mismatch"}),
}


@pytest.mark.parametrize("kind", HOPELESS)
def test_a_fault_that_never_ends_ends_the_run(
    machine: Machine, hub: HubServer, model: Mapping[str, bytes], kind: FaultKind
) -> None:
    """Nothing wrong gets a final name, and the run after the repair fetches only what is missing."""
    where = FILE if kind == "rate-limit" else None if kind in BY_OWN_STAGES else BYTES
    hub.faults.add(Fault(kind, where=where, hub="huggingface"))
    assert failure(machine, "huggingface") == HOPELESS[kind]
    arrived = here(machine)
    assert arrived.items() <= model.items()
    hub.faults.clear()
    kept = sum(kept_bytes(machine))
    assert fetch(machine, "huggingface") <= sum(map(len, model.values())) - sum(map(len, arrived.values())) - kept
    assert here(machine) == model


def kept_bytes(machine: Machine) -> list[int]:
    """Bytes that each partial file's journal vouches for."""
    store = Store(machine.cwd / "model")
    partials = (machine.cwd / "model" / ".internlm-setup" / "partial").glob("*.bytes")
    return [store.present_bytes(p.stem, p.stat().st_size) for p in partials]


def test_a_stalled_connection_is_left(machine: Machine, hub: HubServer, model: Mapping[str, bytes]) -> None:
    stall = hub.faults.add(Fault("stall", LARGE, where=BYTES, times=4))
    fetch(machine, "modelscope")
    assert (here(machine), hub.faults.struck(stall)) == (model, 4)


def test_small_files_from_a_server_that_always_cuts_them_do_not_loop(machine: Machine, hub: HubServer) -> None:
    """Half of a small file is no progress: it is not kept."""
    cut = hub.faults.add(Fault("truncate", "config.json", where=BYTES))
    machine_failure = failure(machine, "modelscope")
    assert machine_failure == (75, {"fetch.stopped"})
    assert hub.faults.struck(cut) == 5


def test_retry_after_is_honoured(machine: Machine, hub: HubServer, model: Mapping[str, bytes]) -> None:
    hub.faults.add(Fault("rate-limit", "config.json", times=1, seconds=20))
    started_s = time.monotonic()
    fetch(machine, "modelscope")
    assert [e.wait_s for e in machine.told(events.Retrying)] == [20.0]
    assert time.monotonic() - started_s >= 1  # the machine's clock runs twenty times as fast
    assert here(machine) == model


def test_a_wait_of_minutes_ends_the_run_instead(machine: Machine, hub: HubServer, model: Mapping[str, bytes]) -> None:
    busy = hub.faults.add(Fault("rate-limit", "config.json", seconds=3600))
    assert failure(machine, "modelscope")[0] == 75
    assert hub.faults.struck(busy) == 1


def test_hugging_faces_own_rate_limit_header_is_read(
    machine: Machine, hub: HubServer, model: Mapping[str, bytes]
) -> None:
    hub.faults.add(Fault("rate-limit", "config.json", times=1, seconds=10, asking="ratelimit"))
    fetch(machine, "huggingface")
    assert [e.wait_s for e in machine.told(events.Retrying)] == [10.0]


@pytest.mark.parametrize("source", HUBS)
def test_a_link_that_expires_half_way_is_signed_anew(
    machine: Machine, hub: HubServer, model: Mapping[str, bytes], source: str
) -> None:
    """One connection, so that the links are taken back between two pieces."""
    world = machine.world(hasty=True)
    expired: list[events.Event] = []

    def tell(event: events.Event) -> None:
        if isinstance(event, events.Advanced) and event.path == LARGE and not expired:
            expired.append(event)
            hub.expire_links()

    request = service.Request(model="internlm-chat-7b", sources=(source,), to=Path("model"), jobs=1)
    service.fetch(request, world, tell)
    assert here(machine) == model
    assert 403 in {r.status for r in hub.log if r.origin == "cdn"}


def test_a_hole_never_passes_for_a_file_without_a_hash(
    machine: Machine, hub: HubServer, model: Mapping[str, bytes]
) -> None:
    """Ranges stop working while other pieces are on their way; no witness could tell."""
    for other in ("modelscope", "huggingface"):
        hub.faults.add(Fault("server-error", hub=other, status=500))
    hub.faults.throttle(connection_bytes_per_s=8 << 20)
    hub.faults.add(Fault("ignore-range", LARGE, hub="openxlab", times=1, skip=2))
    fetch(machine, "openxlab")
    assert here(machine) == model


@pytest.mark.timeout(120)
def test_a_dripping_connection_is_left_after_twenty_seconds(
    machine: Machine, hub: HubServer, model: Mapping[str, bytes]
) -> None:
    hub.faults.add(Fault("drip", LARGE, where=BYTES, times=1, bytes_per_s=500))
    fetch(machine, "modelscope")
    assert here(machine) == model
    assert [e.reason.en for e in machine.told(events.Retrying)] == ["the server sends next to nothing"]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("source", ["modelscope", "huggingface"])
def test_a_silent_listing_is_a_time_out(machine: Machine, hub: HubServer, source: str) -> None:
    hub.faults.add(Fault("silence", where=LISTING))
    started_s = time.monotonic()
    assert failure(machine, source) == (69, {"fetch.hub-unreachable"})
    assert time.monotonic() - started_s < 25
