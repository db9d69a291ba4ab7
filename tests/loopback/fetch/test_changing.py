"""Files that change on a hub or on the disk while a fetch runs, or between two runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from internlm_setup.core.errors import ExitCode
from internlm_setup.fetch import service
from internlm_setup.fetch.errors import BadAnswer
from internlm_setup.fetch.transfer.errors import ChangedMeanwhile, FileInTheWay
from internlm_setup.fetch.transfer.events import Advanced, FileFinished
from internlm_setup.playground.hub import Entry, HubServer, Repository
from servers.machine import STATE, Machine

pytestmark = pytest.mark.loopback
XLAB = "OpenLMLab/changing"
SIZE_BYTES = 6 << 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository with one large file, whose hub publishes no hash."""
    made = tmp_path / "changing"
    made.mkdir()
    (made / "weights.bin").write_bytes(b"a" * SIZE_BYTES)
    return made


class Killed(BaseException):
    """What stops a run from inside."""


def cut_off(machine: Machine) -> None:
    """Run until a third of the large file is here, then stop as if killed."""
    came = 0

    def count(event: object) -> None:
        nonlocal came
        came += event.count_bytes if isinstance(event, Advanced) else 0
        if came > SIZE_BYTES // 3:
            raise Killed

    with pytest.raises(Killed):
        service.fetch(service.Request(model=XLAB, sources=("openxlab",), jobs=1), machine.world(), count)


def test_bytes_of_two_versions_are_never_mixed(machine: Machine, hub: HubServer, folder: Path) -> None:
    """A run without published hashes is cut off; the file is replaced by another of the same size; the rerun is new."""
    hub.add(Repository({"openxlab": XLAB}, folder))
    cut_off(machine)
    (folder / "weights.bin").write_bytes(b"b" * SIZE_BYTES)
    result = machine.fetch(XLAB, "openxlab")
    assert (result.path / "weights.bin").read_bytes() == b"b" * SIZE_BYTES
    assert result.unverified == ("weights.bin",)


def test_an_unchanged_file_without_a_hash_is_continued(machine: Machine, hub: HubServer, folder: Path) -> None:
    """The server's tag is the same, so what came before the cut is kept."""
    hub.add(Repository({"openxlab": XLAB}, folder))
    cut_off(machine)
    result = machine.fetch(XLAB, "openxlab")
    assert (result.path / "weights.bin").read_bytes() == b"a" * SIZE_BYTES
    assert 0 < result.received_bytes < SIZE_BYTES


def test_a_finished_file_without_a_hash_is_known_after_a_kill(machine: Machine, hub: HubServer, folder: Path) -> None:
    """Killed right after the rename: the record was written before it, so the rerun does not call the file foreign."""
    hub.add(Repository({"openxlab": XLAB}, folder))
    done = machine.fetch(XLAB, "openxlab")
    state = done.path / STATE
    (state / "manifest.json").unlink()

    (done.path / "weights.bin").unlink()

    def stop(event: object) -> None:
        if isinstance(event, FileFinished):
            raise Killed

    request = service.Request(model=XLAB, sources=("openxlab",))
    with pytest.raises(Killed):
        service.fetch(request, machine.world(), stop)
    assert not (state / "manifest.json").exists()
    assert machine.fetch(XLAB, "openxlab").received_bytes == 0


def test_a_file_touched_meanwhile_is_no_success(machine: Machine, hub: HubServer) -> None:
    """Somebody removes a verified file before the run ends: the run says so instead of naming a folder as complete."""
    hub.faults.throttle(total_bytes_per_s=16 << 20)
    removed: list[Path] = []
    target = machine.cwd / "internlm-chat-7b" / "config.json"

    def meddle(event: object) -> None:
        if isinstance(event, Advanced) and target.exists() and not removed:
            target.unlink()
            removed.append(target)

    with pytest.raises(ChangedMeanwhile) as caught:
        service.fetch(service.Request(model="internlm-chat-7b"), machine.world(), meddle)
    assert caught.value.path == str(target)
    assert caught.value.exit_code is ExitCode.WRITE


def test_a_listing_cut_off_at_the_hubs_limit_is_refused(machine: Machine, hub: HubServer, tmp_path: Path) -> None:
    """ModelScope shows at most 3000 entries of one folder and says nothing; a part must not pass for the whole."""
    entries = tuple(Entry(f"{n:05}.txt", 1, "a" * 64, "b" * 40) for n in range(3500))
    hub.add(Repository({"modelscope": "lab/flat"}, tmp_path, entries=entries))
    with pytest.raises(BadAnswer, match="more files than its listing can show"):
        machine.fetch("lab/flat", "modelscope")


def test_a_link_in_our_own_folder_is_not_followed(machine: Machine, hub: HubServer, tmp_path: Path) -> None:
    """A symbolic link waiting where partial files go must not have its target overwritten."""
    victim = tmp_path / "victim"
    victim.mkdir()
    state = machine.cwd / "internlm-chat-7b" / STATE
    state.mkdir(parents=True)
    (state / "partial").symlink_to(victim)
    with pytest.raises(FileInTheWay):
        machine.fetch()
    assert list(victim.iterdir()) == []
