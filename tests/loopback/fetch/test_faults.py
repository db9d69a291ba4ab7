"""What `test_outcomes.py` cannot put into a row: waits, counts, and links that expire under way."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from internlm_setup.core.errors import SetupError, SeveralErrors
from internlm_setup.fetch import service
from internlm_setup.fetch.transfer import events
from internlm_setup.playground.door import MODEL_IDS
from internlm_setup.playground.hub import Asking, Fault, HubServer, Repository
from internlm_setup.playground.hub.message import Stage
from servers.machine import Machine, files_in

pytestmark = [pytest.mark.loopback, pytest.mark.full]
HUBS = ("modelscope", "huggingface", "openxlab")
BYTES: frozenset[Stage] = frozenset({"file", "content"})
LISTING: frozenset[Stage] = frozenset({"listing"})
LARGE = "weights.bin"


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


def test_a_byte_a_connection_is_no_progress(machine: Machine, hub: HubServer, model: Mapping[str, bytes]) -> None:
    """A new byte each time would keep a run alive for years; a few connections like that end it, the bytes kept."""
    stingy = hub.faults.add(Fault("truncate", LARGE, where=BYTES, at_byte=1))
    assert failure(machine, "modelscope") == (75, {"fetch.stopped"})
    assert hub.faults.struck(stingy) <= 5 * 8  # five failures, each of up to eight connections


@pytest.mark.parametrize("source", HUBS)
@pytest.mark.parametrize("asking", ["seconds", "date", "ratelimit"])
def test_a_listings_wait_is_honoured(
    machine: Machine, hub: HubServer, model: Mapping[str, bytes], asking: Asking, source: str
) -> None:
    """However a hub says it; a date loses up to a second."""
    hub.faults.add(Fault("rate-limit", hub=source, where=LISTING, times=1, seconds=10, asking=asking))
    fetch(machine, source)
    (told,) = machine.told(events.Retrying)
    assert 8.5 < told.wait_s <= 10.0
    assert here(machine) == model


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
