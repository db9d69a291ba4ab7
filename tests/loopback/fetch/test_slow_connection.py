"""One connection of several is far slower than the rest: the others take over what it would have brought."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest

from internlm_setup.playground.door import MODEL_IDS
from internlm_setup.playground.hub import Fault, HubServer, Repository, Request
from internlm_setup.playground.hub.message import Stage
from servers.machine import MODEL, Machine, files_in

pytestmark = [pytest.mark.loopback, pytest.mark.full]
BYTES: frozenset[Stage] = frozenset({"file", "content"})
SIZE_BYTES = 32 << 20
SLOW_BYTES_PER_S = 20 << 10  # above the floor, so the watchdog has nothing to say
PATIENCE_S = 45.0  # the slow connection alone would need 200 s for the smallest piece there is


@pytest.fixture
def large(hub: HubServer, tmp_path: Path) -> Mapping[str, bytes]:
    """A model of one large file."""
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(Random(3).randbytes(SIZE_BYTES))
    hub.add(Repository(MODEL_IDS, folder))
    return files_in(folder)


def span_of(request: Request) -> range:
    """The bytes of the file that a request asked for."""
    first, _, last = request.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")
    return range(int(first), int(last or SIZE_BYTES - 1) + 1)


@pytest.mark.timeout(90)
@pytest.mark.parametrize("source", ["modelscope", "huggingface", "openxlab"])
def test_the_fast_ones_take_over(machine: Machine, hub: HubServer, large: Mapping[str, bytes], source: str) -> None:
    """The run ends while the slow connection still has most of its piece to send, and no byte comes twice but its own.

    Told by the servers' log: the slow answer is broken off, and what it did not send was asked for elsewhere.
    """
    skip = 1 if source == "openxlab" else 0  # its size is asked for first
    fault = Fault("drip", "weights.bin", hub=source, where=BYTES, times=1, skip=skip, bytes_per_s=SLOW_BYTES_PER_S)
    hub.faults.add(fault)
    done = machine.run("fetch", MODEL, "--source", source, "--jobs", "4", "--to", MODEL, timeout_s=PATIENCE_S)
    assert (done.code, machine.files()) == (0, large), done.err

    def carried(request: Request) -> bool:
        is_of_it = request.status in {200, 206} and request.path.endswith(("bin", "/repo"))
        return is_of_it and request.sent_bytes > 1

    slow = hub.log.wait_for(lambda r: carried(r) and r.sent_bytes < len(span_of(r)))  # noticed at its next drop
    asked = [r for r in hub.log if carried(r)]
    rest = span_of(slow)[slow.sent_bytes :]
    assert any(span_of(r).start < rest.stop and rest.start < span_of(r).stop for r in asked if r is not slow)
    assert sum(r.sent_bytes for r in asked) <= SIZE_BYTES + 2 * len(span_of(slow))
