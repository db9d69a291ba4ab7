"""The disk fills up while a fetch runs: exit 73 with the folder named, what came is kept, and room is all it takes.

Two real file systems, mounted for the test: ext4 on a loop device, which allocates blocks late and writes short
before it says no, and tmpfs. Root only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from internlm_setup.fetch.transfer.store import Store
from internlm_setup.playground import make_standin
from internlm_setup.playground.door import MODEL_IDS
from internlm_setup.playground.hub import HubServer, Repository
from servers.machine import Machine, files_in

pytestmark = [
    pytest.mark.loopback,
    pytest.mark.full,
    pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="only root may mount"),
]
WEIGHTS_BYTES = 48 << 20
DISK_BYTES = 96 << 20
BEFORE_IT_FILLS_BYTES = 8 << 20
RATE = 12 << 20
SLACK_BYTES = 4 << 20  # what eight connections have under way, at most 256 KiB each, and listings


def run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


@pytest.fixture(params=["ext4", "tmpfs"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own."""
    folder, image = tmp_path / "disk", tmp_path / "image"
    folder.mkdir()
    if request.param == "ext4":
        with image.open("wb") as file:
            file.truncate(DISK_BYTES)
        run("mkfs.ext4", "-q", "-F", "-m", "0", str(image))
        run("mount", "-o", "loop", str(image), str(folder))
    else:
        run("mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder))
    yield folder
    run("umount", str(folder))


@pytest.fixture
def served(hub: HubServer, tmp_path: Path) -> dict[str, bytes]:
    """A model that fits the disk when nobody else does."""
    folder = make_standin(tmp_path / "served", weights_bytes=WEIGHTS_BYTES)
    hub.add(Repository(MODEL_IDS, folder))
    return files_in(folder)


def eat(disk: Path) -> Path:
    """Take all the room that is left, as another program would."""
    eaten = disk / "other-program.log"
    with eaten.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return eaten


def kept_bytes(folder: Path) -> int:
    store = Store(folder)
    partials = (store.state / "partial").glob("*.bytes")
    return sum(store.present_bytes(p.stem, p.stat().st_size) for p in partials) + sum(
        map(len, files_in(folder).values())
    )


def test_the_disk_fills_up_under_way(machine: Machine, hub: HubServer, served: dict[str, bytes], disk: Path) -> None:
    folder = disk / "model"
    words = ("fetch", "internlm-chat-7b", "--source", "huggingface", "--to", str(folder))
    hub.faults.throttle(total_bytes_per_s=RATE)
    with machine.start(*words) as child:
        try:
            hub.log.wait_for_bytes(BEFORE_IT_FILLS_BYTES)
            eaten = eat(disk)
            out, err = child.communicate(timeout=40)
        except BaseException:
            child.kill()
            raise
    assert (child.returncode, out) == (73, ""), err
    assert f"error: cannot write `{folder}" in err
    assert "the disk is full" in err
    assert "run the same command again; what is there is kept" in err
    assert files_in(folder).items() <= served.items()
    sent, total = hub.log.sent_bytes, sum(map(len, served.values()))
    assert kept_bytes(folder) >= BEFORE_IT_FILLS_BYTES - SLACK_BYTES

    full = machine.run(*words)  # nothing has changed: told before a byte moves
    assert (full.code, full.out) == (73, "")
    assert f"are still to come and `{folder}` has room for" in full.err
    assert hub.log.sent_bytes - sent < SLACK_BYTES

    kept, sent = kept_bytes(folder), hub.log.sent_bytes
    eaten.unlink()
    hub.faults.throttle()
    done = machine.run(*words)
    assert (done.code, files_in(folder)) == (0, served), done.err
    assert hub.log.sent_bytes - sent <= total - kept + (64 << 10)
    assert machine.run("verify", str(folder)).code == 0


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="prlimit comes with util-linux")
def test_a_file_system_that_takes_no_large_file(machine: Machine, hub: HubServer, served: dict[str, bytes]) -> None:
    """FAT's 4 GiB, or a limit of the shell's, met on the first large file: named, and over when the limit is."""
    words = ("fetch", "internlm-chat-7b", "--source", "huggingface", "--to", "model")
    done = machine.run(*words, prefix=("prlimit", "--fsize=1048576"))
    assert (done.code, done.out) == (73, "")
    assert f"cannot write `{machine.cwd / 'model'}" in done.err
    assert "takes no file this large" in done.err
    assert machine.run(*words).code == 0
    assert machine.files("model") == served
