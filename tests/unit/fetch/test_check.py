"""Every file of a fetched folder against its record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fakes import put
from internlm_setup.core.errors import ExitCode
from internlm_setup.fetch.check import Report, verify
from internlm_setup.fetch.transfer import events
from internlm_setup.fetch.transfer.errors import BadManifest, NoManifest
from internlm_setup.fetch.transfer.manifest import Entry, Manifest, write_manifest


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
    assert (report.folder, report.manifest.model) == (folder, "chat")


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
    assert Report(Path("/x"), Manifest("m", "h", "r", "v", None, ()), (), (), ()).good
