"""apt: which addresses are the distribution's own, and what becomes of them."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import pytest

from cases.mirrors.apt import CASES, HOSTS, MIRROR, SITE, WISH, WITH_SECURITY, Case
from internlm_setup.mirrors.edit import Unparseable, changed
from internlm_setup.mirrors.errors import ArchiveMissing
from internlm_setup.mirrors.model import Layer, Machine, Reads, Wish
from internlm_setup.mirrors.targets.apt import TARGET

MACHINE = Machine(
    "linux", {}, PurePosixPath("/home/me"), True, {"update-ca-certificates": Path("/usr/sbin/update-ca-certificates")}
)
FOLDER = "/etc/apt/sources.list.d"


def disk(files: Mapping[str, bytes]) -> Reads:
    """Return a disk with these files; a folder is the names in it."""
    names = "\n".join(PurePosixPath(path).name for path in files if path.startswith(FOLDER))
    whole = {**files, FOLDER: names.encode()}
    return lambda path: whole.get(str(path))


def edited(name: str, data: bytes, wish: Wish = WISH, machine: Machine = MACHINE) -> bytes:
    """Return what becomes of a file."""
    syntax = TARGET.syntax(PurePath(name))
    return changed(syntax, data, TARGET.edits(syntax.look(data), wish, machine))


def addresses(name: str, data: bytes) -> list[str]:
    """Return the web addresses that are in force in a file."""
    found = TARGET.syntax(PurePath(name)).look(data)
    off = {number for (number, field), value in found.items() if field == "Enabled" and value != "yes"}
    values = [str(value) for key, value in found.items() if key[-1] in {"URIs", "uri"} and key[0] not in off]
    return [word.rstrip("/") + "/" for value in values for word in value.split() if word.startswith("http")]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
class TestCase:
    """What holds for every file of the corpus."""

    def test_becomes(self, case: Case) -> None:
        """The distribution's own addresses change, no other byte does."""
        assert edited(case.name, case.before, case.wish) == case.after

    def test_twice_is_once(self, case: Case) -> None:
        """There is nothing left to do."""
        assert edited(case.name, case.after, case.wish) == case.after

    @pytest.mark.full
    def test_apt_agrees(self, case: Case, tmp_path: Path) -> None:
        """Apt reads both files, and would fetch just what we say; only what was to change differs."""
        for data in (case.before, case.after):
            (tmp_path / case.name).write_bytes(data)
            options = ["Dir::Etc::sourceparts=-", f"Dir::Etc::sourcelist={tmp_path / case.name}"]
            command = ["apt-get", "update", "--print-uris", *(word for option in options for word in ("-o", option))]
            said = subprocess.run(command, capture_output=True, text=True, check=False)
            assert [line for line in said.stderr.splitlines() if "method driver" not in line] == []
            asked = {line[1:].split("'")[0] for line in said.stdout.splitlines()}
            bases = addresses(case.name, data)
            assert all(any(line.startswith(base) for line in asked) for base in bases)
            assert all(line.startswith(tuple(bases)) for line in asked if line.startswith("http"))


def test_plain_http_stays_where_certificates_cannot_be_checked() -> None:
    """Apt could not even fetch the package that would let it."""
    bare = replace(MACHINE, programs={})
    lines = b"deb http://mirrors.example/debian sid main\ndeb https://mirrors.example/ubuntu noble main\n"
    after = b"deb http://mirror.test/debian sid main\ndeb https://mirror.test/ubuntu noble main\n"
    assert edited("x.list", lines, machine=bare) == after
    advice = " ".join(text.en for text in TARGET.advice(WISH, bare))
    assert "apt-get install ca-certificates" in advice
    assert "ca-certificates" not in " ".join(text.en for text in TARGET.advice(WISH, MACHINE))


def test_archive_that_the_site_lacks() -> None:
    """It is named, and nothing is written; security's counts only where it was asked for."""
    apt = replace(SITE.families["apt"], paths={"debian": "os/debian"})
    wish = Wish(replace(SITE, families={"apt": apt}))
    security = b"deb http://mirrors.example/debian-security sid-security main\n"
    lines = b"deb http://mirrors.example/debian/ sid main\n" + security
    assert edited("x.list", lines, wish) == f"deb {MIRROR}/os/debian/ sid main\n".encode() + security
    for archive, data, asked in (
        ("ubuntu", b"deb http://mirrors.example/ubuntu noble main\n", wish),
        ("debian-security", lines, replace(wish, security=True)),
    ):
        with pytest.raises(ArchiveMissing) as caught:
            edited("x.list", data, asked)
        assert caught.value.archive == archive


@pytest.mark.parametrize("case", [case for case in CASES if case.before != case.after], ids=lambda case: case.name)
def test_files_with_something_of_the_distribution_are_written(case: Case) -> None:
    """Wherever they are; `sources.list` comes first."""
    path = f"{FOLDER}/{case.name}"
    assert TARGET.files(MACHINE, "system", disk({path: case.before})) == [PurePosixPath(path)]
    if case.name.endswith(".list"):
        both = {path: case.before, "/etc/apt/sources.list": case.before}
        assert [str(p) for p in TARGET.files(MACHINE, "system", disk(both))] == ["/etc/apt/sources.list", path]


def test_other_files_are_not() -> None:
    """Strangers', those whose names apt ignores, other systems' and other scopes'; none is made."""
    strangers = next(case for case in CASES if case.name == "strangers.list").before
    own = next(case for case in CASES if case.name == "ports.list").before
    files = {f"{FOLDER}/{name}": own for name in ("a.list.save", "b.sources.bak", "c d.list", "readme")}
    read = disk({**files, f"{FOLDER}/strangers.list": strangers, "/etc/apt/sources.list": b"# empty\n"})
    assert TARGET.files(MACHINE, "system", read) == []
    assert TARGET.files(MACHINE, "user", disk({"/etc/apt/sources.list": own})) == ()
    assert TARGET.files(replace(MACHINE, platform="darwin"), "system", disk({"/etc/apt/sources.list": own})) == ()
    windows = Machine("win32", {}, PureWindowsPath("C:/Users/me"), True, {})
    assert TARGET.files(windows, "system", lambda _: None) == ()
    assert TARGET.effective(windows, lambda _: None).urls == ()


def test_a_file_that_apt_refuses() -> None:
    """It is reported by whoever wants to write, and by the status."""
    read = disk({f"{FOLDER}/bad.list": b"\nnonsense\n"})
    assert TARGET.files(MACHINE, "system", read) == [PurePosixPath(f"{FOLDER}/bad.list")]
    with pytest.raises(Unparseable):
        edited("bad.list", b"\nnonsense\n")
    assert "line 2" in TARGET.effective(MACHINE, read).notes[0].en


def test_effective() -> None:
    """The archive's address and where it stands; security updates that come from elsewhere are told of."""
    ubuntu = next(case for case in CASES if case.name == "ubuntu.sources")
    read = disk(
        {f"{FOLDER}/ubuntu.sources": ubuntu.after, f"{FOLDER}/b.list": b"deb https://x.example/debian sid main\n"}
    )
    found = TARGET.effective(MACHINE, read)
    assert found.urls == (f"{MIRROR}/ubuntu",)
    assert found.decided_by == Layer("file", f"{FOLDER}/ubuntu.sources", ("0", "URIs"), "system")
    assert [note.en for note in found.notes] == [f"security updates come from `http://{HOSTS['@ubusec@']}/ubuntu`"]
    assert TARGET.effective(MACHINE, disk({})).decided_by is None


def test_effective_hides_passwords_in_its_notes() -> None:
    """The words are shown to people as they are."""
    archive = b"deb http://mirrors.example/debian sid main\n"
    security = b"deb http://u:secret@mirrors.b.example/debian-security sid-security main\n"
    notes = TARGET.effective(MACHINE, disk({"/etc/apt/sources.list": archive + security})).notes
    assert "secret" not in notes[0].en
    assert "mirrors.b.example" in notes[0].zh


def test_reset_leaves_lists_alone() -> None:
    """An entry cannot be without an address, and the distribution's own is not ours to write."""
    data = b"deb https://mirror.test/debian sid main\n"
    assert TARGET.owned(TARGET.syntax(PurePath("x.list")).look(data), lambda _: True) == ()


def test_advice() -> None:
    """What to run next, as whom; whether security updates moved."""
    user = replace(MACHINE, is_admin=False)
    assert "`sudo apt-get update`" in TARGET.advice(WISH, user)[0].en
    assert "`apt-get update`" in TARGET.advice(WISH, MACHINE)[0].zh
    assert any("security" in text.en for text in TARGET.advice(WISH, user))
    assert not any("security" in text.en for text in TARGET.advice(WITH_SECURITY, user))


def test_answer_of_apt() -> None:
    """Releases are read, strangers are left out where the distribution is known; other words are refused."""
    ask = TARGET.ask(replace(MACHINE, programs={"apt-get": Path("/usr/bin/apt-get")}))
    assert ask is not None
    assert ask.command == ("/usr/bin/apt-get", "update", "--print-uris")
    own = "'https://mirror.test/debian/dists/sid/InRelease' mirror.test_debian_dists_sid_InRelease 0 \n"
    other = "'https://x.example/debian/dists/sid/InRelease' x.example_debian_dists_sid_InRelease 0 \n"
    assert ask.read(other + own).urls == ("https://mirror.test/debian",)
    assert ask.read(other).urls == ("https://x.example/debian",)
    assert ask.read("").urls == ()
    with pytest.raises(ValueError, match="release"):
        ask.read("E: The list of sources could not be read.")
    assert TARGET.ask(replace(MACHINE, programs={})) is None
