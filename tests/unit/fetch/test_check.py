"""Every file of a folder against its record, or against what a hub publishes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fakes import put, snapshot_of
from internlm_setup.core.errors import ExitCode
from internlm_setup.fetch.check import Report, verify, verify_as
from internlm_setup.fetch.errors import NotAtHub, UnknownModel
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.transfer.errors import BadManifest, NoManifest
from internlm_setup.fetch.transfer.manifest import Entry, Manifest, write_manifest
from internlm_setup.fetch.world import World


def record(folder: Path, *entries: Entry) -> None:
    """Write the folder's manifest."""
    write_manifest(folder / ".internlm-setup", Manifest("chat", "one", "lab/chat", "main", None, entries))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of three files, one of them without proof."""
    files = [put(tmp_path, path, path.encode() * 9) for path in ("a.bin", "sub/b.bin")]
    record(tmp_path, *files, replace(put(tmp_path, "c.bin", b"unproved"), proof="none", proof_from=None))
    return tmp_path


def test_as_it_was(folder: Path) -> None:
    """An untouched folder is good; what no published hash ever proved is said all the same."""
    report = verify(folder)
    assert (report.bad, report.missing, report.unverified, report.good) == ((), (), ("c.bin",), True)
    assert (report.folder, report.model, report.snapshot.repo, report.extra) == (folder, "chat", "lab/chat", ())


def test_one_flipped_bit(folder: Path) -> None:
    """A changed byte is found, also when size and time are as recorded, and the file that has it is named."""
    path = folder / "sub" / "b.bin"
    data = bytearray(path.read_bytes())
    data[7] ^= 1
    path.write_bytes(data)
    report = verify(folder)
    assert (report.bad, report.missing, report.good) == (("sub/b.bin",), (), False)


@pytest.mark.parametrize("data", [b"", b"a.bin" * 10])
def test_another_length(folder: Path, data: bytes) -> None:
    """A file that lost or gained bytes is bad."""
    (folder / "a.bin").write_bytes(data)
    assert verify(folder).bad == ("a.bin",)


def test_touched_only(folder: Path) -> None:
    """A new modification time is no damage."""
    (folder / "a.bin").touch()
    assert verify(folder).good


def test_missing_files(folder: Path) -> None:
    """A file that is gone, or is a folder now, is missing; the others are checked."""
    (folder / "a.bin").unlink()
    (folder / "c.bin").unlink()
    (folder / "c.bin").mkdir()
    (folder / "sub" / "b.bin").write_bytes(b"x")
    report = verify(folder)
    assert (report.bad, report.missing, report.good) == (("sub/b.bin",), ("a.bin", "c.bin"), False)


def test_other_files_do_not_matter(folder: Path) -> None:
    """Files that were not fetched are not looked at."""
    (folder / "notes.txt").write_text("mine")
    assert verify(folder).good


def test_no_record(tmp_path: Path) -> None:
    """A folder that fetch did not make, a missing one and a file have nothing to be checked against."""
    (tmp_path / "file").write_text("x")
    for place in (tmp_path, tmp_path / "gone", tmp_path / "file"):
        with pytest.raises(NoManifest) as caught:
            verify(place)
        assert (caught.value.folder, caught.value.exit_code) == (str(place), ExitCode.NOT_FOUND)


def test_damaged_record(folder: Path) -> None:
    """A record that cannot be read is said to be that."""
    (folder / ".internlm-setup" / "manifest.json").write_text("{")
    with pytest.raises(BadManifest):
        verify(folder)


def test_what_is_told(folder: Path) -> None:
    """The plan comes first; then the bytes of every file add up to its size, and each ends with its proof."""
    (folder / "a.bin").write_bytes(b"A.bin" * 9)
    told: list[events.Event] = []
    verify(folder, told.append)
    assert told[0] == events.Planned("lab/chat", "one", 3, 45 + 81 + 8, 0)
    advanced = [e for e in told if isinstance(e, events.Advanced)]
    assert sum(e.count_bytes for e in advanced) == 45 + 81 + 8
    ended = {e.path: e.proof for e in told if isinstance(e, events.FileFinished)}
    assert ended == {"a.bin": "none", "sub/b.bin": "sha256", "c.bin": "none"}


def test_interrupted(tmp_path: Path) -> None:
    """When one file's check is interrupted, the other large files are not read to their end first."""
    size = 8 << 30
    entries = [put(tmp_path, path, b"") for path in ("a.bin", "b.bin")]
    for path in ("a.bin", "b.bin"):
        with (tmp_path / path).open("r+b") as file:
            file.truncate(size)  # sparse: no room on the disk, but seconds to read
    record(tmp_path, *(replace(e, size_bytes=size) for e in entries))
    read_of_b: list[int] = []

    def interrupt(event: events.Event) -> None:
        if isinstance(event, events.Advanced):
            if event.path == "a.bin":
                raise KeyboardInterrupt
            read_of_b.append(event.count_bytes)

    with pytest.raises(KeyboardInterrupt):
        verify(tmp_path, interrupt)
    assert sum(read_of_b) < size


def test_a_report_of_nothing() -> None:
    """A folder with no recorded files is good."""
    assert Report(Path("/x"), "m", snapshot_of(), ()).good


# Against what a hub publishes

LISTED = {"config.json": b"{}", "sub/model.bin": b"weights" * 99, "README.md": b"read me"}


@pytest.fixture
def usb(world: World, tmp_path: Path) -> Path:
    """A copy, made by no tool of ours, of what the hub `alpha` publishes as `chat`."""
    for path, data in LISTED.items():
        put(tmp_path / "alpha" / "lab" / "chat", path, data)
        put(tmp_path / "usb", path, data)
    return tmp_path / "usb"


def everything(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("model", ["chat", "Lab_CN/chat", "lab/CHAT"])
def test_a_good_copy(world: World, usb: Path, model: str) -> None:
    """A right copy is good under any of the model's names, what proves it is told, and nothing is written there."""
    report = verify_as(usb, model, world, sources=("alpha",))
    assert (report.good, report.unverified, report.extra) == (True, (), ())
    assert (report.model, report.snapshot.hub, report.snapshot.repo) == ("chat", "alpha", "lab/chat")
    assert {(f.entry.proof, f.entry.proof_from, f.entry.source) for f in report.findings if f.entry} == {
        ("sha256", "alpha", "disk")
    }
    assert everything(usb) == LISTED


def test_bad_missing_and_extra(world: World, usb: Path) -> None:
    """Each kind of difference is named; a file that the hub does not have is no reason to say no."""
    (usb / "config.json").write_bytes(b"[]")
    (usb / "README.md").unlink()
    (usb / "notes" / "mine").mkdir(parents=True)
    (usb / "notes" / "mine" / "a.txt").write_text("mine")
    report = verify_as(usb, "chat", world)
    assert (report.bad, report.missing, report.extra) == (("config.json",), ("README.md",), ("notes/mine/a.txt",))
    assert not report.good
    put(usb, "config.json", LISTED["config.json"])
    put(usb, "README.md", LISTED["README.md"])
    assert verify_as(usb, "chat", world).good


@pytest.mark.parametrize(
    "path",
    [
        ".git/objects/ab/cdef",
        ".git",
        ".cache/huggingface/download/config.json.metadata",
        ".internlm-setup/manifest.json",
        "._____temp/sub/model.bin",
        ".msc",
        ".mdl",
        ".mv",
        ".lock/x",
        "model.bin.incomplete",
        "model.bin.aria2",
    ],
)
def test_what_tools_leave_is_not_extra(world: World, usb: Path, path: str) -> None:
    """The folders and files that downloaders keep for themselves are passed over."""
    put(usb, path, b"a tool's own")
    assert verify_as(usb, "chat", world, sources=("alpha",)).extra == ()


def test_a_folder_of_a_tools_name_elsewhere_is_extra(world: World, usb: Path) -> None:
    """Only where the tools put them: the same name deeper down is somebody's."""
    put(usb, "sub/.cache/huggingface/x", b"mine")
    assert verify_as(usb, "chat", world).extra == ("sub/.cache/huggingface/x",)


def test_names_compare_as_they_read(world: World, tmp_path: Path) -> None:
    """A file system that takes letters and accents apart does not make a file extra."""
    put(tmp_path / "alpha" / "lab" / "chat", "caf\u00e9.bin", b"x")
    put(tmp_path / "usb", "cafe\u0301.bin", b"x")
    assert verify_as(tmp_path / "usb", "chat", world).extra == ()


def test_links_into_a_cache_are_followed(world: World, usb: Path, tmp_path: Path) -> None:
    """A snapshot folder of links, as Hugging Face's cache has, is checked by what they lead to."""
    blob = tmp_path / "blobs" / "ab"
    blob.parent.mkdir()
    (usb / "sub" / "model.bin").rename(blob)
    (usb / "sub" / "model.bin").symlink_to(blob)
    assert verify_as(usb, "chat", world).good
    blob.write_bytes(b"WEIGHTS" * 99)
    assert verify_as(usb, "chat", world).bad == ("sub/model.bin",)
    blob.unlink()
    assert verify_as(usb, "chat", world).missing == ("sub/model.bin",)


def test_another_revision(world: World, usb: Path) -> None:
    """What was asked for is what the folder is compared with."""
    assert verify_as(usb, "chat", world, revision="v2").snapshot.revision == "v2"
    assert verify_as(usb, "chat", world).snapshot.revision == "trunk"


def test_errors_name_the_check_again(world: World, usb: Path) -> None:
    """When a hub does not have the model, the command to try instead is a check, not a fetch."""
    with pytest.raises(NotAtHub) as caught:
        verify_as(usb, "prover", world, sources=("alpha",))
    assert caught.value.command == f"internlm-setup verify {usb} --as prover --source beta"
    with pytest.raises(UnknownModel):
        verify_as(usb, "chta", world)
