"""A listing that would harm this machine is refused, the entry named, before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from internlm_setup.core.errors import SetupError
from internlm_setup.playground import open_playground
from internlm_setup.playground.door import MODEL_IDS
from internlm_setup.playground.hub import Entry, HubServer, Repository
from servers.machine import MODEL, Machine

pytestmark = pytest.mark.loopback
SHA256, SHA1 = "ab" * 32, "cd" * 20
GOOD = "config.json"
BOTH = ["huggingface", pytest.param("modelscope", marks=pytest.mark.full)]
# A bad path, and how the refusal shows it.
PATHS = {
    "../escape.txt": "../escape.txt",
    "a/../../escape.txt": "a/../../escape.txt",
    "/etc/escape": "/etc/escape",
    "C:/escape": "C:/escape",
    "~/escape": "~/escape",
    "a\\..\\escape": "a\\..\\escape",
    "NUL": "NUL",
    "sub/aux.txt": "sub/aux.txt",
    "trailing.": "trailing.",
    "CONFIG.JSON": "CONFIG.JSON",
    "two\nlines": "two\\nlines",
    "red\x1b[31m": "red\\x1b[31m",
    "right\u202eleft": "right\\u202eleft",
    "config.json/inside": GOOD,
    ".internlm-setup/manifest.json": ".internlm-setup/manifest.json",
}


def serve(hub: HubServer, folder: Path, *bad: Entry) -> None:
    folder.mkdir(exist_ok=True)
    (folder / GOOD).write_bytes(b"{}")
    good = Entry(GOOD, 2, SHA256, SHA1)
    hub.add(Repository(MODEL_IDS, folder, entries=(good, *bad)))


def refused(machine: Machine, source: str) -> SetupError:
    with pytest.raises(SetupError) as caught:
        machine.fetch(source=source)
    assert list(machine.cwd.iterdir()) == []
    assert sorted(p.name for p in machine.root.iterdir()) == ["home", "served", "work"]
    return caught.value


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("source", BOTH)
def test_a_bad_path_is_refused(machine: Machine, hub: HubServer, tmp_path: Path, path: str, source: str) -> None:
    serve(hub, tmp_path / "served", Entry(path, 3, SHA256, SHA1))
    error = refused(machine, source)
    assert (error.code, int(error.exit_code)) == ("fetch.hostile-listing", 76)
    assert f"`{PATHS[path]}`" in error.message("en")
    assert error.message("en").isprintable()


@pytest.mark.parametrize("path", ["../escape.txt", "NUL", "two\nlines"])
def test_openxlabs_listing_is_no_better(machine: Machine, hub: HubServer, tmp_path: Path, path: str) -> None:
    serve(hub, tmp_path / "served", Entry(path, 3, SHA256, SHA1, source=tmp_path / "served" / GOOD))
    error = refused(machine, "openxlab")
    assert (error.code, int(error.exit_code)) == ("fetch.hostile-listing", 76)


@pytest.mark.parametrize("source", BOTH)
@pytest.mark.parametrize(
    "entry",
    [
        Entry("huge.bin", 1 << 60, SHA256, SHA1),
        Entry("negative.bin", -1, SHA256, SHA1),
        Entry("hash.bin", 3, "../../x", "../../x", lfs=True),
    ],
    ids=lambda e: e.path,
)
def test_an_absurd_value_is_refused(
    machine: Machine, hub: HubServer, tmp_path: Path, entry: Entry, source: str
) -> None:
    serve(hub, tmp_path / "served", entry)
    error = refused(machine, source)
    assert int(error.exit_code) == 76
    assert entry.path in error.message("en")


@pytest.mark.full
def test_a_hundred_thousand_entries_are_refused(tmp_path: Path) -> None:
    with open_playground(weights_bytes=1 << 20, page_size=200_000) as hub:
        machine = Machine(tmp_path, hub.environment())
        serve(hub, tmp_path / "served", *(Entry(f"f{n}", 1, SHA256, SHA1) for n in range(100_000)))
        error = refused(machine, "huggingface")
    assert (error.code, "100001 entries" in error.message("en")) == ("fetch.hostile-listing", True)


def test_a_folder_that_modelscope_lists_in_part_is_refused(machine: Machine, hub: HubServer, tmp_path: Path) -> None:
    """It sends the first 3000 entries and calls that success."""
    serve(hub, tmp_path / "served", *(Entry(f"sub/f{n}", 1, SHA256, SHA1) for n in range(3001)))
    error = refused(machine, "modelscope")
    assert (error.code, int(error.exit_code)) == ("fetch.bad-answer", 76)
    assert "a folder holds more files than its listing can show" in error.message("en")


def test_the_command_names_the_entry(machine: Machine, hub: HubServer, tmp_path: Path) -> None:
    serve(hub, tmp_path / "served", Entry("../../.ssh/authorized_keys", 3, SHA256, SHA1))
    done = machine.run("fetch", MODEL, "--source", "huggingface")
    assert (done.code, done.out) == (76, "")
    assert done.err.endswith(
        "error: refused the listing of Hugging Face: `../../.ssh/authorized_keys`: "
        "it would land outside the model's folder\n\n"
        "nothing was written; use another `--source`, and report this to the hub\n"
    )


def test_a_link_at_the_destination_is_not_followed_out_of_it(machine: Machine, hub: HubServer, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = tmp_path / "served"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "file.txt").write_bytes(b"hub's")
    hub.add(Repository(MODEL_IDS, folder))
    (machine.cwd / MODEL).mkdir()
    (machine.cwd / MODEL / "sub").symlink_to(outside)
    with pytest.raises(SetupError) as caught:
        machine.fetch(source="modelscope")
    assert int(caught.value.exit_code) == 73
    assert list(outside.iterdir()) == []
