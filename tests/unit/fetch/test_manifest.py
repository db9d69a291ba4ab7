"""The record of a folder: read back as written, refused when it is not one, surviving a cut."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import put, sha256
from internlm_setup.core.errors import ExitCode
from internlm_setup.core.files import CannotWrite
from internlm_setup.fetch.transfer.errors import BadManifest
from internlm_setup.fetch.transfer.manifest import Entry, Finished, Manifest, read_manifest, write_manifest

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
numbers = st.integers(0, 2**60)
proofs: st.SearchStrategy[Any] = st.sampled_from(["sha256", "git-sha1", "none"])
entries = st.builds(Entry, words, numbers, words, st.none() | words, numbers, proofs, st.none() | words, words)
manifests = st.builds(Manifest, words, words, words, words, st.none() | words, st.lists(entries, max_size=3).map(tuple))
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)

ONE = Entry("a.bin", 3, sha256(b"abc"), None, 12, "sha256", "one", "one")
MANIFEST = Manifest("model", "one", "lab/model", "main", None, (ONE,))


def as_value(manifest: Manifest) -> dict[str, Any]:
    """Return the manifest as its file's JSON."""
    return {"schema": 1, **json.loads(json.dumps(asdict(manifest)))}


def write_value(folder: Path, value: object) -> None:
    """Write something as a manifest."""
    (folder / "manifest.json").write_text(json.dumps(value), "utf-8")


@given(manifests)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, manifest: Manifest) -> None:
    """What was written is what is read."""
    state = tmp_path_factory.mktemp("state")
    write_manifest(state, manifest)
    assert read_manifest(state) == manifest


def test_none_there(tmp_path: Path) -> None:
    """No manifest is no error, also where the folder is missing or is a file."""
    (tmp_path / "file").write_text("x")
    assert read_manifest(tmp_path) is None
    assert read_manifest(tmp_path / "gone") is None
    assert read_manifest(tmp_path / "file" / ".internlm-setup") is None


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"7", b'"x"', b"\xff\xfe", b"{}", b'{"files": []}'])
def test_not_a_manifest(tmp_path: Path, text: bytes) -> None:
    """A file that is no manifest is named, with exit code 78."""
    (tmp_path / "manifest.json").write_bytes(text)
    with pytest.raises(BadManifest) as caught:
        read_manifest(tmp_path)
    assert caught.value.path == str(tmp_path / "manifest.json")
    assert caught.value.exit_code is ExitCode.CONFIG


def test_folder_in_its_place(tmp_path: Path) -> None:
    """So is a folder where the manifest should be."""
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(BadManifest):
        read_manifest(tmp_path)


@given(st.sampled_from([*as_value(MANIFEST)]), anything)
def test_any_value_in_any_place(tmp_path_factory: pytest.TempPathFactory, name: str, value: object) -> None:
    """Whatever stands in a field, the manifest is either refused or holds values of the right types."""
    state = tmp_path_factory.mktemp("state")
    write_value(state, {**as_value(MANIFEST), name: value})
    try:
        found = read_manifest(state)
    except BadManifest:
        return
    assert found is not None
    assert [type(v) for v in (found.model, found.hub, found.repo, found.revision)] == [str] * 4
    assert all(isinstance(e, Entry) for e in found.files)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("path", 5),
        ("path", None),
        ("size_bytes", "3"),
        ("size_bytes", 3.0),
        ("size_bytes", True),
        ("sha256", None),
        ("git_sha1", 5),
        ("mtime_ns", "12"),
        ("proof", "md5"),
        ("proof", None),
        ("proof_from", []),
        ("source", {}),
    ],
)
def test_entries_of_the_wrong_type(tmp_path: Path, name: str, value: object) -> None:
    """An entry whose field has another type is refused here, not met later as a crash."""
    good = as_value(MANIFEST)
    write_value(tmp_path, {**good, "files": [{**good["files"][0], name: value}]})
    with pytest.raises(BadManifest, match=name):
        read_manifest(tmp_path)


@pytest.mark.parametrize("name", [*as_value(MANIFEST)])
def test_fields_that_are_missing(tmp_path: Path, name: str) -> None:
    """Every field must be there."""
    write_value(tmp_path, {k: v for k, v in as_value(MANIFEST).items() if k != name})
    with pytest.raises(BadManifest, match=name):
        read_manifest(tmp_path)


def test_later_schema(tmp_path: Path) -> None:
    """A manifest of a later version is not guessed at."""
    write_value(tmp_path, {**as_value(MANIFEST), "schema": 2})
    with pytest.raises(BadManifest, match="schema 2"):
        read_manifest(tmp_path)


def test_sums_agree_with_coreutils(tmp_path: Path) -> None:
    """`sha256sum -c` checks the folder, odd names included, and notices a changed byte."""
    made = [put(tmp_path, path, path.encode()) for path in ("a.bin", "sub/模型 1.bin", "-x", "it's", "$HOME")]
    state = tmp_path / ".internlm-setup"
    write_manifest(state, replace(MANIFEST, files=tuple(made)))
    tool = shutil.which("sha256sum")
    if tool is None:
        pytest.skip("sha256sum is not installed")
    check = [tool, "--check", "--strict", "--quiet", ".internlm-setup/SHA256SUMS"]
    assert subprocess.run(check, cwd=tmp_path, check=False).returncode == 0
    (tmp_path / "a.bin").write_bytes(b"A.bin")
    assert subprocess.run(check, cwd=tmp_path, check=False, capture_output=True).returncode == 1


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (Path.stat, True),
        (lambda path: path.write_bytes(b"abcd"), False),
        (Path.touch, False),
        (Path.unlink, False),
    ],
)
def test_unchanged(tmp_path: Path, change: Any, expected: bool) -> None:
    """A file counts as unchanged while it is there with its recorded size and time."""
    entry = put(tmp_path, "a.bin", b"abc")
    change(tmp_path / "a.bin")
    assert entry.unchanged(tmp_path) is expected


def state_in(folder: Path) -> Path:
    """Make our folder in a destination."""
    state = folder / ".internlm-setup"
    state.mkdir(parents=True)
    return state


def finished_after(state: Path, *known: Entry) -> dict[str, Entry]:
    """Return what the next run finds."""
    return Finished(state, known).entries


def test_finished_files_are_found_again(tmp_path: Path) -> None:
    """A verified file is on record for the next run at once, and wins over the manifest's older entry."""
    state = state_in(tmp_path)
    other, newer = put(tmp_path, "模型.bin", b"x"), replace(put(tmp_path, "a.bin", b"new"), proof="none")
    run = Finished(state, [ONE])
    run.add(other)
    run.add(newer)
    assert run.entries == {"a.bin": newer, "模型.bin": other}
    assert finished_after(state, ONE) == run.entries


def test_killed_between_record_and_name(tmp_path: Path) -> None:
    """A record whose file never got its name does not hide the manifest's record of the older one."""
    state = state_in(tmp_path)
    older = put(tmp_path, "a.bin", b"older")
    run = Finished(state, [older])
    run.add(replace(ONE, path="a.bin"))
    run.add(replace(ONE, path="b.bin"))
    assert finished_after(state, older) == {"a.bin": older}


@given(st.data())
def test_finished_cut_at_any_byte(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Cut anywhere, each whole line still counts, and what the next run adds is not lost in the torn one."""
    folder = tmp_path_factory.mktemp("folder")
    state = state_in(folder)
    path = state / "finished.jsonl"
    made = [put(folder, f"模型{n}", b"x") for n in range(4)]
    run = Finished(state, [])
    for entry in made[:3]:
        run.add(entry)
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    lines = whole[:cut].count(b"\n")
    Finished(state, []).add(made[3])
    found = set(finished_after(state))
    kept = {entry.path for entry in made[:lines]} | {made[3].path}
    assert kept <= found <= kept | {made[lines].path}


@given(st.binary(max_size=200))
def test_finished_survives_any_bytes(tmp_path_factory: pytest.TempPathFactory, rubbish: bytes) -> None:
    """Rubbish in the file is passed over; what is added after it counts."""
    folder = tmp_path_factory.mktemp("folder")
    state = state_in(folder)
    (state / "finished.jsonl").write_bytes(rubbish)
    entry = put(folder, "a.bin", b"abc")
    Finished(state, []).add(entry)
    assert finished_after(state) == {"a.bin": entry}


def test_line_breaks_that_json_leaves_alone(tmp_path: Path) -> None:
    """A name may hold what Unicode, but not JSON, takes for a line's end."""
    state = state_in(tmp_path)
    entry = put(tmp_path, "a\u2028b\x85c", b"x")
    Finished(state, []).add(entry)
    assert finished_after(state) == {entry.path: entry}


def test_wrong_types_in_a_line(tmp_path: Path) -> None:
    """A line that is JSON and no entry is passed over too."""
    good = asdict(put(tmp_path, "a.bin", b"abc"))
    lines: list[object] = [{**good, "size_bytes": "3"}, {**good, "path": "nul\0"}, [], None, {"path": "a.bin"}]
    state = state_in(tmp_path)
    (state / "finished.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert finished_after(state) == {}


def test_the_manifest_ends_the_list(tmp_path: Path) -> None:
    """Once the manifest is written, the list of the run is gone."""
    Finished(tmp_path, []).add(ONE)
    write_manifest(tmp_path, MANIFEST)
    assert not (tmp_path / "finished.jsonl").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["SHA256SUMS", "manifest.json"]


def test_a_list_that_cannot_be_written(tmp_path: Path) -> None:
    """A refusal of the system is named with the file."""
    with pytest.raises(CannotWrite, match=r"finished\.jsonl"):
        Finished(tmp_path / "gone", []).add(ONE)
