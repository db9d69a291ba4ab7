"""Conda's files on every system, what is written to them, and what they come to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import pytest

from internlm_setup.core.text import Text
from internlm_setup.mirrors.edit import changed, yaml
from internlm_setup.mirrors.model import (
    Channel,
    Edit,
    Effective,
    Key,
    Layer,
    Machine,
    Reads,
    Scope,
    Serving,
    Site,
    Wish,
)
from internlm_setup.mirrors.targets.conda import TARGET

SITE = "https://mirrors.example.org/anaconda"
WISH = Wish(
    Site("example", Text(en="e", zh="e"), "2026-11-01", {"conda": Serving(SITE, "full", "")}),
    (
        Channel("main", f"{SITE}/pkgs/main", "probed"),
        Channel("r", f"{SITE}/pkgs/r", "catalogue"),
        Channel("conda-forge", f"{SITE}/cloud/conda-forge", "probed"),
        Channel("nvidia", "https://other.example.org/anaconda-r/nvidia", "catalogue"),
    ),
)


def machine(
    platform: str = "linux", env: Mapping[str, str] | None = None, programs: Mapping[str, str] | None = None
) -> Machine:
    """Return a machine of one system."""
    home = PureWindowsPath("C:/Users/李雷") if platform == "win32" else PurePosixPath("/home/u")
    return Machine(platform, env or {}, home, False, {name: Path(path) for name, path in (programs or {}).items()})


def disk(files: Mapping[str, bytes]) -> Reads:
    """Return what reads these files, and a folder's names."""

    def read(path: PurePath) -> bytes | None:
        inside = [name.removeprefix(f"{path.as_posix()}/") for name in files if name.startswith(f"{path.as_posix()}/")]
        return files.get(path.as_posix(), "\n".join(inside).encode() if inside else None)

    return read


def effective(files: Mapping[str, bytes], env: Mapping[str, str] | None = None) -> Effective:
    """Return what the rules make of these files."""
    return TARGET.effective(machine(env={"CONDA_ROOT": "/opt/conda", **(env or {})}), disk(files))


WIN = "C:/Users/李雷"
FILES: dict[str, tuple[str, Scope, dict[str, str], list[str], str | None]] = {
    # The system, the scope, the variables, the files that are there; the file to write.
    "nothing there": ("linux", "user", {}, [], "/home/u/.condarc"),
    "nothing there, macOS": ("darwin", "user", {}, [], "/home/u/.condarc"),
    "nothing there, Windows": ("win32", "user", {}, [], f"{WIN}/.condarc"),
    "the weaker one alone": ("linux", "user", {}, ["/home/u/.conda/.condarc"], "/home/u/.conda/.condarc"),
    "both": ("linux", "user", {}, ["/home/u/.conda/.condarc", "/home/u/.condarc"], "/home/u/.condarc"),
    "without the dot": (
        "linux",
        "user",
        {},
        ["/home/u/.config/conda/.condarc", "/home/u/.config/conda/condarc"],
        "/home/u/.config/conda/condarc",
    ),
    "XDG": ("linux", "user", {"XDG_CONFIG_HOME": "/x"}, ["/x/conda/condarc"], "/x/conda/condarc"),
    "CONDARC": ("linux", "user", {"CONDARC": "/y/my.yml"}, ["/y/my.yml", "/home/u/.condarc"], "/y/my.yml"),
    "CONDARC that is not there": ("linux", "user", {"CONDARC": "/y/my.yml"}, [], "/home/u/.condarc"),
    "CONDARC that conda would not read": ("linux", "user", {"CONDARC": "/y/my.txt"}, ["/y/my.txt"], "/home/u/.condarc"),
    "a folder of files": ("linux", "user", {}, ["/home/u/.conda/condarc.d/a.yml"], "/home/u/.condarc"),
    "Windows, the old folder": ("win32", "user", {}, [f"{WIN}/.conda/.condarc"], f"{WIN}/.conda/.condarc"),
    "no environment": ("linux", "venv", {}, [], None),
    "an environment": ("linux", "venv", {"CONDA_PREFIX": "/e"}, [], "/e/.condarc"),
    "system, no conda": ("linux", "system", {}, [], "/etc/conda/.condarc"),
    "system, Windows, no conda": ("win32", "system", {}, [], "C:/ProgramData/conda/.condarc"),
    "system, of the installation": ("linux", "system", {"CONDA_ROOT": "/opt/c"}, [], "/opt/c/.condarc"),
    "system, by the program": ("linux", "system", {"CONDA_EXE": "/opt/c/bin/conda"}, [], "/opt/c/.condarc"),
    "system, by the program, Windows": (
        "win32",
        "system",
        {"CONDA_EXE": "C:/m3/Scripts/conda.exe"},
        [],
        "C:/m3/.condarc",
    ),
    "system, one there": ("linux", "system", {}, ["/var/lib/conda/.condarc"], "/var/lib/conda/.condarc"),
}


@pytest.mark.parametrize("name", FILES)
def test_files(name: str) -> None:
    """The strongest file of the scope that is there, else the one that conda would make."""
    platform, scope, env, there, expected = FILES[name]
    found = TARGET.files(machine(platform, env), scope, disk(dict.fromkeys(there, b"")))
    assert [path.as_posix() for path in found] == ([expected] if expected else [])


def test_written() -> None:
    """A new file holds what the tutorial means; a channel's base ends where conda puts its name."""
    edits = TARGET.edits({}, WISH, machine())
    assert changed(yaml, b"", edits).decode() == (
        "channels:\n  - defaults\nshow_channel_urls: true\n"
        f"default_channels:\n  - {SITE}/pkgs/main\n  - {SITE}/pkgs/r\n"
        f"custom_channels:\n  conda-forge: {SITE}/cloud\n  nvidia: https://other.example.org/anaconda-r\n"
    )


def test_written_twice() -> None:
    """The second time there is nothing to say, however the file spells it."""
    data = changed(yaml, b"show_channel_urls: yes\n", TARGET.edits({("show_channel_urls",): "yes"}, WISH, machine()))
    assert data.startswith(b"show_channel_urls: yes\n")
    assert TARGET.edits(yaml.look(data), WISH, machine()) == []


@pytest.mark.parametrize("program", ["mamba", "micromamba"])
def test_mamba(program: str) -> None:
    """Where mamba is, it is told full addresses."""
    edits = TARGET.edits({}, WISH, machine(programs={program: f"/opt/{program}"}))
    assert Edit(("mirrored_channels", "conda-forge"), (f"{SITE}/cloud/conda-forge",)) in edits


def test_mirrored_already() -> None:
    """Where mamba is not, its setting is changed for the channel that has it, for it would win over ours."""
    before: dict[Key, object] = {("mirrored_channels", "conda-forge"): ("https://conda.anaconda.org/conda-forge",)}
    mirrored = [edit for edit in TARGET.edits(before, WISH, machine()) if edit.key[0] == "mirrored_channels"]
    assert mirrored == [Edit(("mirrored_channels", "conda-forge"), (f"{SITE}/cloud/conda-forge",))]


@pytest.mark.parametrize(
    ("there", "after"),
    [
        (("conda-forge", "bioconda"), ("conda-forge", "bioconda")),
        (("bioconda",), ("defaults", "bioconda")),
        ((), ("defaults",)),
        (("conda-forge", "nodefaults"), ("conda-forge",)),
        (("https://own.example/a", "conda-forge"), ("defaults",)),
    ],
)
def test_channels_that_somebody_chose(there: tuple[str, ...], after: tuple[str, ...]) -> None:
    """Names stay where nothing but `defaults` is wished for; addresses would lead past the mirror.

    A profile with an opinion, such as conda-forge-only, has its way.
    """

    def channels(order: tuple[str, ...]) -> object:
        edits = TARGET.edits({("channels",): there}, replace(WISH, order=order), machine())
        return next((edit.value for edit in edits if edit.key == ("channels",)), there)

    assert channels(("defaults",)) == after
    assert channels(("conda-forge",)) == ("conda-forge",)


def test_the_other_name_of_channels() -> None:
    """A file that says `channel` is not given `channels` too: conda refuses both."""
    keys = [edit.key for edit in TARGET.edits({("channel",): ("https://own.example/a",)}, WISH, machine())]
    assert ("channel",) in keys
    assert ("channels",) not in keys


def test_never_written() -> None:
    """No alias, no `nodefaults`, no word about certificates, whatever stands there."""
    before: dict[Key, object] = {("channel_alias",): f"{SITE}", ("ssl_verify",): False, ("channels",): ("nodefaults",)}
    edits = TARGET.edits(before, WISH, machine())
    assert not {"channel_alias", "ssl_verify"} & {edit.key[0] for edit in edits}
    assert all("nodefaults" not in edit.value for edit in edits if isinstance(edit.value, tuple))


def test_owned() -> None:
    """`reset` takes out mirrors' addresses and nothing else."""
    data = changed(
        yaml, b"ssl_verify: true\ncustom_channels:\n  lab: https://lab.example.com\n", TARGET.edits({}, WISH, machine())
    )
    data = (
        data.replace(b"/pkgs/r\n", b"/pkgs/r\n  - https://lab.example.com/pkgs\n") + f"channel_alias: {SITE}\n".encode()
    )
    owned = TARGET.owned(yaml.look(data), lambda url: "mirrors.example.org" in url or "other.example.org" in url)
    assert changed(yaml, data, owned).decode() == (
        "ssl_verify: true\ncustom_channels:\n  lab: https://lab.example.com\n"
        "channels:\n  - defaults\nshow_channel_urls: true\ndefault_channels:\n  - https://lab.example.com/pkgs\n"
    )


def test_decided_by_the_key_that_names_the_address() -> None:
    """Who decides is the key that names the first address, not the one that names the channel."""
    found = effective({"/home/u/.condarc": changed(yaml, b"", TARGET.edits({}, WISH, machine()))})
    assert found.urls == (f"{SITE}/pkgs/main", f"{SITE}/pkgs/r")
    assert found.decided_by == Layer("file", "/home/u/.condarc", ("default_channels",), "user")
    assert found.notes == ()


def test_built_in() -> None:
    """Without a file, nobody decides."""
    found = effective({})
    assert found.urls == ("https://repo.anaconda.com/pkgs/main", "https://repo.anaconda.com/pkgs/r")
    assert found.decided_by is None


def test_variable() -> None:
    """A variable comes before every file, and is named."""
    found = effective({"/home/u/.condarc": b"channels: [a]\n"}, {"CONDA_CHANNELS": "b"})
    assert found.urls == ("https://conda.anaconda.org/b", "https://conda.anaconda.org/a")
    assert found.decided_by == Layer("variable", "CONDA_CHANNELS")


def test_merged_root() -> None:
    """What the installation's file adds is told, without a password in it."""
    root = b"channels: ['https://u:secret@lab.example.com/c', conda-forge]\n"
    (note,) = effective({"/home/u/.condarc": b"channels: [defaults]\n", "/opt/conda/.condarc": root}).notes
    assert "`/opt/conda/.condarc` adds `https://u:***@lab.example.com/c`, `conda-forge` to `channels`" in note.en
    assert "/opt/conda/.condarc" in note.zh


def test_overruled() -> None:
    """A weaker address for the same channel is named as overruled."""
    found = effective(
        {
            "/home/u/.condarc": b"channels: [q]\ncustom_channels: {q: https://strong}\n",
            "/opt/conda/.condarc": b"custom_channels: {q: https://weak}\n",
        }
    )
    assert found.urls == ("https://strong/q",)
    assert found.overruled == (Layer("file", "/opt/conda/.condarc", ("custom_channels", "q"), "system"),)


def test_a_file_that_cannot_be_parsed() -> None:
    """It is named with its line, and the others count."""
    found = effective({"/home/u/.condarc": b"channels: - a\n", "/home/u/.conda/.condarc": b"channels: [b]\n"})
    assert found.urls == ("https://conda.anaconda.org/b",)
    assert "`/home/u/.condarc`, line 1" in found.notes[0].en


def test_windows_default() -> None:
    """`defaults` has msys2 on Windows alone."""
    assert TARGET.effective(machine("win32"), disk({})).urls[2:] == ("https://repo.anaconda.com/pkgs/msys2",)


def test_ask() -> None:
    """Conda is asked by its own program, and its answer is put in the order that it sorts away."""
    ask = TARGET.ask(machine(programs={"conda": "/opt/conda/bin/conda"}))
    assert ask is not None
    assert ask.command == ("/opt/conda/bin/conda", "config", "--show-sources", "--json")
    said = {
        "/home/u/.condarc": {"channels": ["home"]},
        "/home/u/.conda/condarc.d/a.yml": {"channels": ["folder"]},
        "/opt/conda/.condarc": {"channels": ["root"]},
        "/somewhere/else/.condarc": {"channels": ["else"]},
        "cmd_line": {"json": True},
        "envvars": {"channels": ["variable"]},
    }
    names = [url.rpartition("/")[2] for url in ask.read(json.dumps(said)).urls]
    assert names == ["variable", "home", "folder", "else", "root"]


@pytest.mark.parametrize("answer", ["", "[]", '{"error": "x"}', "no JSON"])
def test_ask_no_answer(answer: str) -> None:
    """What is no answer is refused."""
    ask = TARGET.ask(machine(programs={"conda": "/c"}))
    assert ask is not None
    with pytest.raises(ValueError):
        ask.read(answer)


def test_nobody_to_ask() -> None:
    """Without conda there is no question."""
    assert TARGET.ask(machine()) is None


def test_advice() -> None:
    """With conda: what to run. Without: who will read the file. With Anaconda's channels: their licence."""
    assert "conda clean -i" in TARGET.advice(WISH, machine(programs={"conda": "/c/bin/conda"}))[0].en
    absent, licence = TARGET.advice(WISH, machine())
    assert "/home/u/.condarc" in absent.en
    assert "licence" in licence.en
    forge = Wish(WISH.site, WISH.channels[2:3], ("conda-forge",))
    (mamba,) = TARGET.advice(forge, machine(programs={"micromamba": "/m"}))
    assert "micromamba reads" in mamba.en
