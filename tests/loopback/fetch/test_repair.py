"""`verify --repair`: only what is bad comes again, and until it is right the old bytes stay."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
from pathlib import Path
from typing import Any

import pytest

from internlm_setup.fetch.transfer.prefixes import PIECE_BYTES
from internlm_setup.fetch.transfer.store import Store
from internlm_setup.playground.hub import Fault, HubServer, Repository
from servers.machine import STATE, Done, Machine, files_in

pytestmark = pytest.mark.loopback
REPO = "lab/big"
FILE = "weights.bin"
SIZE = 8 * PIECE_BYTES
LISTING_BYTES = 64 << 10
HUBS = ("huggingface", "modelscope", "openxlab")


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one file of eight pieces and a small one."""
    folder = tmp_path_factory.mktemp("original")
    (folder / FILE).write_bytes(os.urandom(SIZE))
    (folder / "config.json").write_bytes(b"{}")
    return folder


@pytest.fixture
def published(machine: Machine, hub: HubServer, original: Path) -> HubServer:
    """All three hubs have it. One connection asks, so that no two bring the same bytes where a machine is slow."""
    machine.variables = {**machine.variables, "INTERNLM_SETUP_JOBS": "1"}
    hub.add(Repository(dict.fromkeys(HUBS, REPO), original))
    return hub


@pytest.fixture
def fetched(machine: Machine, published: HubServer) -> Path:
    """The folder after a fetch of ours."""
    folder = machine.fetch(REPO, "modelscope").path
    published.log.clear()
    return folder


def spoil(path: Path, *offsets: int) -> None:
    """Flip one bit at each offset and leave the modification time, as a failing disk does."""
    before = path.stat()
    with path.open("r+b") as file:
        for offset in offsets:
            file.seek(offset)
            byte = file.read(1)
            file.seek(offset)
            file.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def content_bytes(hub: HubServer) -> int:
    """How many bytes of files were served."""
    return sum(r.sent_bytes for r in hub.log if r.origin == "cdn")


def said(done: Done) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(done.out)["data"]
    return data


def test_two_flipped_bits_cost_two_pieces(
    machine: Machine, published: HubServer, fetched: Path, original: Path
) -> None:
    spoil(fetched / FILE, 10 << 20, 50 << 20)
    done = machine.run("verify", str(fetched), "--repair", "--json")
    assert done.code == 0, done.err
    assert published.log.sent_bytes <= 2 * PIECE_BYTES + LISTING_BYTES
    assert files_in(fetched) == files_in(original)
    data = said(done)
    assert (data["bad"], data["missing"], data["received_bytes"]) == ([FILE], [], 2 * PIECE_BYTES)
    expected = {"path": FILE, "size_bytes": SIZE, "fetched_bytes": 2 * PIECE_BYTES, "why": "pieces"}
    assert data["mended"] == [expected]
    assert machine.run("verify", str(fetched)).code == 0
    assert machine.fetch(REPO, "modelscope").received_bytes == 0


def test_over_many_connections(machine: Machine, published: HubServer, fetched: Path, original: Path) -> None:
    """The same with as many connections as usual, of which one may take over what another was asked for."""
    spoil(fetched / FILE, 10 << 20, 50 << 20)
    done = machine.run("verify", str(fetched), "--repair", INTERNLM_SETUP_JOBS="8")
    assert done.code == 0, done.err
    assert 2 * PIECE_BYTES <= content_bytes(published) < 4 * PIECE_BYTES
    assert files_in(fetched) == files_in(original)


def test_every_piece_is_fetched_once(machine: Machine, published: HubServer, fetched: Path, original: Path) -> None:
    """However many are bad, and the last one too."""
    spoil(fetched / FILE, *range(5, SIZE, PIECE_BYTES), SIZE - 1)
    assert machine.run("verify", str(fetched), "--repair").code == 0
    assert content_bytes(published) == SIZE
    assert files_in(fetched) == files_in(original)


def test_a_short_file_and_a_missing_one(machine: Machine, published: HubServer, fetched: Path, original: Path) -> None:
    """Only the tail comes, and the pieces that are bad besides."""
    os.truncate(fetched / FILE, 7 * PIECE_BYTES + 99)
    spoil(fetched / FILE, 3)
    (fetched / "config.json").unlink()
    done = machine.run("verify", str(fetched), "--repair", "--json")
    assert done.code == 0, done.err
    assert [m["why"] for m in said(done)["mended"]] == ["missing", "pieces"]
    assert content_bytes(published) == 2 * PIECE_BYTES - 99
    assert files_in(fetched) == files_in(original)


def test_a_damaged_prefix_file_costs_a_piece_and_no_more(
    machine: Machine, published: HubServer, fetched: Path, original: Path
) -> None:
    """A piece that is wrong twice is believed when the whole file's hash agrees, and the prefixes are written anew."""
    (prefixes,) = (fetched / STATE / "prefixes").iterdir()
    good = prefixes.read_bytes()
    spoil(prefixes, 5 * 32)
    spoil(fetched / FILE, 2 * PIECE_BYTES)
    assert machine.run("verify", str(fetched)).code == 1
    assert machine.run("verify", str(fetched), "--repair").code == 0
    assert content_bytes(published) == 2 * PIECE_BYTES
    assert files_in(fetched) == files_in(original)
    assert prefixes.read_bytes() == good


def test_nothing_bad_asks_nobody(machine: Machine, published: HubServer, fetched: Path) -> None:
    assert machine.run("verify", str(fetched), "--repair").code == 0
    assert len(published.log) == 0


def test_killed_in_the_middle(machine: Machine, published: HubServer, fetched: Path, original: Path) -> None:
    """The bad file stays until the good one takes its place, and the next repair goes on."""
    spoil(fetched / FILE, *range(5, SIZE, PIECE_BYTES))
    bad = (fetched / FILE).read_bytes()
    published.faults.throttle(total_bytes_per_s=32 << 20)
    with machine.start("verify", str(fetched), "--repair") as child:
        published.log.wait_for_bytes(SIZE // 2)
        child.send_signal(signal.SIGKILL)
    assert (fetched / FILE).read_bytes() == bad
    published.faults.clear()
    published.log.clear()
    assert machine.run("verify", str(fetched), "--repair").code == 0
    assert content_bytes(published) < 6 * PIECE_BYTES
    assert files_in(fetched) == files_in(original)


def test_a_hub_that_lies_changes_nothing(machine: Machine, published: HubServer, fetched: Path) -> None:
    spoil(fetched / FILE, 7)
    bad = (fetched / FILE).read_bytes()
    published.faults.add(Fault("flip", FILE, at_byte=7))
    done = machine.run("verify", str(fetched), "--repair", "--json")
    assert (done.code, json.loads(done.out)["errors"][0]["code"]) == (65, "fetch.hash-mismatch")
    assert (fetched / FILE).read_bytes() == bad


def test_the_recorded_hub_publishes_no_hash(machine: Machine, published: HubServer, original: Path) -> None:
    """The record has the hash of what came; it brings the same bytes back, and proves no more than it did."""
    fetched = machine.fetch(REPO, "openxlab").path
    spoil(fetched / FILE, 9 << 20)
    published.log.clear()
    done = machine.run("verify", str(fetched), "--repair", "--json=stream")
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert done.code == 0, done.err
    assert [e["proof"] for e in lines if e.get("event") == "file-finished" and e["path"] == FILE] == ["none", "none"]
    assert content_bytes(published) < PIECE_BYTES + LISTING_BYTES
    assert files_in(fetched) == files_in(original)
    again = machine.run("verify", str(fetched), "--json")
    assert (again.code, said(again)["unverified"]) == (0, ["config.json", FILE])


def test_a_hub_that_moved_on(machine: Machine, hub: HubServer, tmp_path: Path) -> None:
    """Bytes of another version are not put between those of the recorded one."""
    folder = tmp_path / "moving"
    folder.mkdir()
    (folder / "a.bin").write_bytes(b"old" * 1000)
    (folder / "b.bin").write_bytes(b"two" * 1000)  # else it would be where a.bin still is
    hub.add(Repository({"modelscope": "lab/moving"}, folder))
    fetched = machine.fetch("lab/moving", "modelscope").path
    (folder / "a.bin").write_bytes(b"new" * 1000)
    (fetched / "b.bin").unlink()
    assert machine.run("verify", str(fetched), "--repair").code == 0  # b.bin is what it was
    (fetched / "a.bin").write_bytes(b"bad" * 1000)
    done = machine.run("verify", str(fetched), "--repair", "--json")
    (error,) = json.loads(done.out)["errors"]
    assert (done.code, error["code"], error["path"]) == (66, "fetch.no-longer-published", "a.bin")
    assert (fetched / "a.bin").read_bytes() == b"bad" * 1000
    assert machine.run(*shlex.split(error["command"])[1:]).code == 0
    assert (fetched / "a.bin").read_bytes() == b"new" * 1000


def test_links_are_not_written_through(machine: Machine, published: HubServer, fetched: Path, original: Path) -> None:
    """What a link leads to stays as it is; the named commands put a file in the link's place."""
    blob = machine.cwd / "blob"
    (fetched / FILE).rename(blob)
    spoil(blob, 1)
    bad = blob.read_bytes()
    (fetched / FILE).symlink_to(blob)
    done = machine.run("verify", str(fetched), "--repair", "--json")
    (error,) = json.loads(done.out)["errors"]
    assert (done.code, error["code"], error["path"]) == (73, "fetch.linked-file", str(fetched / FILE))
    assert error["remove"] == f"rm {fetched / FILE}"
    (fetched / FILE).unlink()
    assert machine.run(*shlex.split(error["command"])[1:]).code == 0
    assert files_in(fetched) == files_in(original)
    assert blob.read_bytes() == bad


def test_a_folder_in_the_place_of_a_file(machine: Machine, published: HubServer, fetched: Path) -> None:
    (fetched / "config.json").unlink()
    (fetched / "config.json").mkdir()
    done = machine.run("verify", str(fetched), "--repair", "--json")
    assert (done.code, json.loads(done.out)["errors"][0]["code"]) == (73, "fetch.file-in-the-way")


def test_not_while_a_fetch_is_under_way(machine: Machine, published: HubServer, fetched: Path) -> None:
    spoil(fetched / FILE, 1)
    with Store(fetched).locked():
        done = machine.run("verify", str(fetched), "--repair")
    assert (done.code, content_bytes(published)) == (73, 0)


def test_fetch_names_the_repair(machine: Machine, published: HubServer, fetched: Path, original: Path) -> None:
    """A fetched file that changed since is not replaced unasked; the command that mends it is named."""
    spoil(fetched / FILE, 11)
    os.utime(fetched / FILE)
    done = machine.run("fetch", REPO, "--source", "modelscope", "--to", str(fetched))
    assert done.code == 73
    repair = re.search(r"`internlm-setup (verify .+? --repair)`", done.err)
    assert repair is not None, done.err
    assert machine.run(*shlex.split(repair[1])).code == 0
    assert content_bytes(published) == PIECE_BYTES
    assert files_in(fetched) == files_in(original)


# Folders of other tools: no prefix digests


@pytest.fixture
def foreign(machine: Machine, published: HubServer, original: Path) -> Path:
    """A copy that no tool of ours made."""
    folder = machine.cwd / "usb"
    folder.mkdir()
    for path, data in files_in(original).items():
        (folder / path).write_bytes(data)
    return folder


def mend(machine: Machine, folder: Path) -> tuple[str, int]:
    """Repair the folder and say why which bytes were fetched for the large file."""
    done = machine.run("verify", str(folder), "--as", REPO, "--source", "modelscope", "--repair", "--json")
    assert done.code == 0, done.err
    (mended,) = said(done)["mended"]
    return mended["why"], mended["fetched_bytes"]


def test_a_copy_that_was_cut(machine: Machine, published: HubServer, foreign: Path, original: Path) -> None:
    os.truncate(foreign / FILE, SIZE - 12345)
    assert mend(machine, foreign) == ("visible", 12345)
    assert content_bytes(published) == 12345
    assert files_in(foreign) == files_in(original)


def test_a_copy_with_something_behind_it(machine: Machine, published: HubServer, foreign: Path, original: Path) -> None:
    with (foreign / FILE).open("ab") as file:
        file.write(b"more")
    assert mend(machine, foreign) == ("visible", 0)
    assert files_in(foreign) == files_in(original)


def test_a_copy_with_holes(machine: Machine, published: HubServer, foreign: Path, original: Path) -> None:
    data = bytearray((foreign / FILE).read_bytes())
    data[5 << 20 : 6 << 20] = bytes(1 << 20)
    (foreign / FILE).write_bytes(data)
    why, fetched_bytes = mend(machine, foreign)
    assert why == "visible"
    assert 1 << 20 <= fetched_bytes <= (1 << 20) + (128 << 10)
    assert files_in(foreign) == files_in(original)


def test_damage_that_cannot_be_seen(machine: Machine, published: HubServer, foreign: Path, original: Path) -> None:
    """Nothing tells which part is bad, so all of it comes; from then on its pieces are known."""
    spoil(foreign / FILE, 1)
    assert mend(machine, foreign) == ("whole", SIZE)
    assert files_in(foreign) == files_in(original)
    published.log.clear()
    spoil(foreign / FILE, 1)
    assert mend(machine, foreign) == ("pieces", PIECE_BYTES)


def test_what_was_seen_was_not_all(machine: Machine, published: HubServer, foreign: Path, original: Path) -> None:
    os.truncate(foreign / FILE, SIZE - 4096)
    spoil(foreign / FILE, 1)
    assert mend(machine, foreign) == ("whole", SIZE + 4096)
    assert files_in(foreign) == files_in(original)


def test_a_git_lfs_pointer(machine: Machine, published: HubServer, foreign: Path, original: Path) -> None:
    """What `git clone` without LFS leaves is not the beginning of the file."""
    (foreign / FILE).write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64)
    assert mend(machine, foreign) == ("whole", SIZE)
    assert files_in(foreign) == files_in(original)


def test_good_files_gain_prefix_digests(machine: Machine, published: HubServer, foreign: Path) -> None:
    """A repair records the whole folder, so the files that were good are protected as well."""
    (foreign / "config.json").unlink()
    assert mend(machine, foreign) == ("missing", 2)
    spoil(foreign / FILE, 1, SIZE - 1)
    published.log.clear()
    assert machine.run("verify", str(foreign), "--repair").code == 0
    assert content_bytes(published) == 2 * PIECE_BYTES
