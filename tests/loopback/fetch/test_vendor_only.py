"""Files that a hub hands out to its own downloader alone, as Hugging Face does above 50 GB."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest

from internlm_setup.fetch import service
from internlm_setup.fetch.engine_errors import NoRateLimit
from internlm_setup.fetch.hubs.huggingface import HuggingFace
from internlm_setup.fetch.model import Hub, Snapshot
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.world import World
from internlm_setup.playground.hub import HubServer
from servers.machine import MODEL, Machine

pytestmark = pytest.mark.loopback
SHARD = "pytorch_model-00002-of-00008.bin"


class Jealous(HuggingFace):
    """Hugging Face, where one shard is too large for plain HTTP."""

    def snapshot(self, repo: str, revision: str) -> Snapshot:
        found = super().snapshot(repo, revision)
        return replace(found, files=tuple(replace(f, vendor_only=f.path == SHARD) for f in found.files))


@dataclass(frozen=True)
class JealousWorld(World):
    """A world with that hub."""

    def hub(self, hub_id: str) -> Hub:
        own = {"endpoint": self.endpoints[hub_id], "network": self.network, "env": self.env, "home": self.home}
        return Jealous(**own) if hub_id == "huggingface" else super().hub(hub_id)  # type: ignore[arg-type]


def world(machine: Machine) -> JealousWorld:
    plain = machine.world()
    return JealousWorld(**{name: getattr(plain, name) for name in World.__dataclass_fields__})


def test_the_vendors_downloader_is_used_for_that_file_alone(
    machine: Machine, hub: HubServer, model: Mapping[str, bytes]
) -> None:
    """It is said, counted as progress, verified and recorded like any other."""
    told: list[events.Event] = []
    result = service.fetch(service.Request(MODEL, ("huggingface",)), world(machine), told.append)
    assert machine.files() == dict(model)
    assert {f.path: f.proof for f in result.files}[SHARD] == "sha256"
    notes = [e.text.en for e in told if isinstance(e, events.Noted)]
    assert [SHARD in note and "--engine official" in note for note in notes] == [True]
    by_theirs = {r.path.rpartition("/")[2] for r in hub.log if "hf_hub" in r.headers.get("user-agent", "")}
    by_ours = {r.path.rpartition("/")[2] for r in hub.log if r.headers["user-agent"].startswith("internlm-setup")}
    assert SHARD in by_theirs
    assert SHARD not in by_ours
    assert {p for p in model if p.endswith(".bin")} - {SHARD} <= by_ours
    moved = sum(e.count_bytes for e in told if isinstance(e, events.Advanced))
    assert result.received_bytes == sum(map(len, model.values())) <= moved  # the vendor's bookkeeping grows too


def test_a_limit_that_would_not_be_kept_is_refused(machine: Machine) -> None:
    request = service.Request(MODEL, ("huggingface",), limit_rate_bytes_per_s=1 << 20)
    with pytest.raises(NoRateLimit):
        service.fetch(request, world(machine))
    assert machine.files() == {}
