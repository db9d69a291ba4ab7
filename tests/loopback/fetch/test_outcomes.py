"""Every row of `outcomes.py` at every hub: how the run ends, what is kept, and that it is never fetched again."""

from __future__ import annotations

import re
import ssl
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from internlm_setup.core.errors import SetupError, SeveralErrors
from internlm_setup.fetch.transfer.journal import boot_id, decode
from internlm_setup.fetch.transfer.spans import Spans
from internlm_setup.playground.door import MODEL_IDS
from internlm_setup.playground.hub import Fault, HubServer, Repository, Request, RequestLog
from outcomes import CASES, DRIP, HUBS, LARGE, UNVERIFIED, ByHub, Case, Outcome, at
from servers.machine import STATE, Machine, files_in
from servers.tls_proxy import write_certificate

pytestmark = [pytest.mark.loopback, pytest.mark.full]
MOST_TIMES_OVER = 20  # what a server sends in vain before we leave it, in sizes of the model


@dataclass(frozen=True)
class Scene:
    """How to start the servers, a machine that then reaches them, and what must arrive there."""

    serve: Callable[[], HubServer]
    machine: Machine
    source: str
    model: Mapping[str, bytes]

    @property
    def arrived(self) -> dict[str, bytes]:
        """Files under their final names."""
        return files_in(self.machine.cwd / "model")

    @property
    def kept(self) -> dict[str, Spans]:
        """What is here of each file, whole or in part; not of one whose size was a lie."""
        by_size = {len(data): path for path, data in self.model.items()}
        found = {path: Spans([(0, len(data))]) for path, data in self.arrived.items()}
        for journal in (self.machine.cwd / "model" / STATE / "partial").glob("*.pieces"):
            size = journal.with_suffix(".bytes").stat().st_size
            if size in by_size:
                found[by_size[size]] = decode(journal.read_bytes(), f"{journal.stem}:{size}", boot_id())
        return found

    def fetch(self) -> Outcome:
        """Fetch, and say how it ended."""
        try:
            result = self.machine.fetch(source=self.source, hasty=True, to=Path("model"))
        except SeveralErrors as error:
            return Outcome(int(error.shared_exit_code), frozenset(inner.code for inner in error.errors))
        except SetupError as error:
            return Outcome(int(error.exit_code), frozenset({error.code}))
        wrong = any(self.arrived[path] != self.model[path] for path in result.unverified)
        return Outcome(0, frozenset({"unverified"} if wrong else ()))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with one file of several pieces, one of a single piece, and one that is small."""
    folder = tmp_path_factory.mktemp("served")
    (folder / LARGE).write_bytes(Random(1).randbytes(12 << 20))
    (folder / "tokenizer.model").write_bytes(Random(2).randbytes(1 << 20))
    (folder / "config.json").write_bytes(b"{}\n")
    return folder


@pytest.fixture
def scene(served: Path, tmp_path: Path) -> Iterator[Callable[[Case, str], Scene]]:
    """Set the scene for a case at a hub."""
    with ExitStack() as open_servers:

        def make(case: Case, source: str) -> Scene:
            root = Path(tempfile.mkdtemp(dir=tmp_path))
            variables, tls = secured(root) if case.over_tls else ({}, None)
            machine = Machine(root, variables)

            def serve() -> HubServer:
                server = HubServer([Repository(MODEL_IDS, served)], page_size=2, tls=tls)
                machine.variables = {**variables, **open_servers.enter_context(server).environment()}
                return server

            return Scene(serve, machine, source, files_in(served))

        yield make


def secured(folder: Path) -> tuple[dict[str, str], ssl.SSLContext]:
    """Make a certificate for the servers, and the variable that has a machine trust it."""
    certificate, key = write_certificate(folder, ("127.0.0.1",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return {"SSL_CERT_FILE": str(certificate)}, context


def check(scene: Scene, fault: Fault, expected: Outcome) -> None:
    """Run into the fault, then, where that was no success, run again with servers that are well."""
    total = sum(map(len, scene.model.values()))
    ill = scene.serve()
    ill.faults.add(fault)
    assert scene.fetch() == expected
    assert ill.faults.struck(fault) > 0
    assert ill.log.sent_bytes < MOST_TIMES_OVER * total
    assert not [request for request in ill.log if is_empty(request)]
    if expected is UNVERIFIED:
        return
    assert scene.arrived.items() <= scene.model.items()
    kept = scene.kept
    kept_bytes = sum(spans.size_bytes for spans in kept.values())
    assert (expected.exit_code != 75) or kept_bytes > 0
    assert (expected.exit_code != 69) or kept_bytes == 0
    well = scene.serve()
    assert scene.fetch() == Outcome(0)
    assert scene.arrived == scene.model
    assert sent_again(well.log, kept) == 0


def is_empty(request: Request) -> bool:
    """Say whether a range without a byte was asked for, which servers understand as they like."""
    asked = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("range", ""))
    return asked is not None and int(asked[2]) < int(asked[1])


def sent_again(log: RequestLog, kept: Mapping[str, Spans]) -> int:
    """Return how many bytes of the kept ones a server sent; asking OpenXLab for a size does not count."""
    count = 0
    for request in log:
        path = request.query.get("FilePath") or request.path.rpartition("/")[2]
        asked = request.headers.get("range", "bytes=0-")
        if path in kept and request.status in {200, 206} and asked != "bytes=0-0":
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            missing = kept[path].holes(start, start + request.sent_bytes)
            count += request.sent_bytes - sum(b - a for a, b in missing)
    return count


def rows(ends: Callable[[Case], ByHub]) -> list[object]:
    """Return each case at each hub that can do this, with how it ends."""
    return [
        pytest.param(case, hub, outcome, id=f"{case.name}-{hub}")
        for case in CASES
        for hub in HUBS
        if case.fault is not DRIP and (outcome := at(ends(case), hub)) is not None
    ]


Make = Callable[[Case, str], Scene]


@pytest.mark.parametrize(("case", "hub_id", "outcome"), rows(lambda case: case.briefly))
def test_for_a_while(scene: Make, case: Case, hub_id: str, outcome: Outcome) -> None:
    """A fault that passes heals, where there is anything to wait for."""
    check(scene(case, hub_id), case.for_a_while(hub_id), outcome)


@pytest.mark.parametrize(("case", "hub_id", "outcome"), rows(lambda case: case.always))
def test_for_ever(scene: Make, case: Case, hub_id: str, outcome: Outcome) -> None:
    """A fault that never ends ends the run: 75 when something is kept, 69 when nothing came."""
    check(scene(case, hub_id), case.for_ever(hub_id), outcome)


@pytest.mark.parametrize(("case", "hub_id", "outcome"), rows(lambda case: case.later))
def test_for_ever_after_a_first_piece(scene: Make, case: Case, hub_id: str, outcome: Outcome) -> None:
    """What came before a fault that never ends is kept, and not fetched again."""
    check(scene(case, hub_id), case.for_ever_later(hub_id), outcome)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("shape", ["briefly", "always", "later"])
def test_a_drip(scene: Make, shape: str) -> None:
    """Each connection is watched for twenty real seconds, so the hubs are asked side by side."""
    (case,) = (case for case in CASES if case.fault is DRIP)
    ends = {"briefly": case.briefly, "always": case.always, "later": case.later}[shape]
    faults = {"briefly": case.for_a_while, "always": case.for_ever, "later": case.for_ever_later}[shape]
    scenes = {hub: scene(case, hub) for hub in HUBS}

    def run(hub: str) -> None:
        outcome = at(ends, hub)
        assert outcome is not None
        check(scenes[hub], faults(hub), outcome)

    with ThreadPoolExecutor(len(HUBS)) as threads:
        list(threads.map(run, HUBS))
