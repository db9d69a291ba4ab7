"""pixi: where its files are on each system, which decides, and what is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import pytest

from internlm_setup.core.text import Text
from internlm_setup.mirrors.edit import changed
from internlm_setup.mirrors.model import Channel, Layer, Machine, Reads, Site, Wish
from internlm_setup.mirrors.targets.pixi import TARGET

LINUX = Machine("linux", {}, PurePosixPath("/home/me"), False, {})
LINUX_XDG = replace(LINUX, env={"XDG_CONFIG_HOME": "/x"})
MAC = Machine("darwin", {}, PurePosixPath("/Users/me"), False, {})
WINDOWS = Machine("win32", {}, PureWindowsPath("C:/Users/me"), False, {})
FORGE = ("mirrors", "https://conda.anaconda.org/conda-forge")
CLOUD = "https://mirror.test/anaconda/cloud"
WISH = Wish(
    Site("mirror", Text(en="Mirror", zh="镜像"), "2026-09-01", {}),
    channels=(
        Channel("main", "https://mirror.test/anaconda/pkgs/main", "catalogue"),
        Channel("conda-forge", f"{CLOUD}/conda-forge", "probed"),
    ),
)


def disk(files: dict[str, str]) -> Reads:
    """Return a disk with these files."""
    return lambda path: files[str(path)].encode() if str(path) in files else None


def written(before: str) -> str:
    """Return what becomes of a file."""
    syntax, data = TARGET.syntax(PurePath("x")), before.encode()
    return changed(syntax, data, TARGET.edits(syntax.look(data), WISH, LINUX)).decode()


@pytest.mark.parametrize(
    ("machine", "there", "user", "system"),
    [
        (LINUX, "", "/home/me/.pixi/config.toml", "/etc/pixi/config.toml"),
        (LINUX, "/home/me/.config/pixi/config.toml", "/home/me/.config/pixi/config.toml", "/etc/pixi/config.toml"),
        (replace(LINUX, env={"PIXI_HOME": "/opt/pixi"}), "", "/opt/pixi/config.toml", "/etc/pixi/config.toml"),
        (replace(LINUX, env={"PIXI_HOME": "relative"}), "", "/home/me/.pixi/config.toml", "/etc/pixi/config.toml"),
        (LINUX_XDG, "/x/pixi/config.toml", "/x/pixi/config.toml", "/etc/pixi/config.toml"),
        (replace(LINUX, env={"PIXI_CONFIG_FILE": "/y.toml"}), "/home/me/.pixi/config.toml", "/y.toml", None),
        (MAC, "", "/Users/me/.pixi/config.toml", "/etc/pixi/config.toml"),
        (
            MAC,
            "/Users/me/Library/Application Support/pixi/config.toml",
            "/Users/me/Library/Application Support/pixi/config.toml",
            "/etc/pixi/config.toml",
        ),
        (MAC, "/Users/me/.config/pixi/config.toml", "/Users/me/.pixi/config.toml", "/etc/pixi/config.toml"),
        (replace(LINUX_XDG, platform="darwin"), "/x/pixi/config.toml", "/x/pixi/config.toml", "/etc/pixi/config.toml"),
        (WINDOWS, "", r"C:\Users\me\.pixi\config.toml", r"C:\ProgramData\pixi\config.toml"),
        (
            replace(WINDOWS, env={"APPDATA": r"D:\Roaming"}),
            r"D:\Roaming\pixi\config.toml",
            r"D:\Roaming\pixi\config.toml",
            r"C:\ProgramData\pixi\config.toml",
        ),
    ],
)  # fmt: skip
def test_files(machine: Machine, there: str, user: str, system: str | None) -> None:
    """The strongest that is there, else the one in pixi's own folder."""
    read = disk({there: ""})
    assert [str(path) for path in TARGET.files(machine, "user", read)] == [user]
    assert [str(path) for path in TARGET.files(machine, "system", read)] == ([system] if system else [])


def test_new_file() -> None:
    """Each channel is led to the site."""
    assert TARGET.syntax(PurePath("x")).look(written("").encode()) == {
        ("mirrors", "https://repo.anaconda.com/pkgs/main"): ("https://mirror.test/anaconda/pkgs/main",),
        FORGE: (f"{CLOUD}/conda-forge",),
    }


def test_the_spelling_of_the_file_is_kept() -> None:
    """An address with a slash at its end is the same channel; what else is there stays."""
    head, others = "# mine\nchange-ps1 = false\n[mirrors]\n", '"oci://x" = ["oci://y"]\n'
    after = written(f'{head}"{FORGE[1]}/" = ["https://old.test/conda-forge"] # old\n{others}')
    assert after.startswith(head)
    assert after.endswith(f'"{FORGE[1]}/" = ["{CLOUD}/conda-forge"] # old\n{others}')
    assert written(after) == after


def test_reset_takes_mirrors_out() -> None:
    """An entry that held nothing else goes; others keep what is not a mirror's."""
    before = {
        FORGE: (f"{CLOUD}/conda-forge", FORGE[1]),
        ("mirrors", "https://conda.anaconda.org/own"): ("https://own.test/own", f"{CLOUD}/own"),
        ("mirrors", "oci://x"): ("oci://y",),
        ("change-ps1",): False,
    }
    edits = TARGET.owned(before, lambda url: url.startswith(CLOUD))
    assert [(edit.key, edit.value) for edit in edits] == [
        (FORGE, None),
        (("mirrors", "https://conda.anaconda.org/own"), ("https://own.test/own",)),
    ]


def test_the_strongest_file_decides_on_a_channel() -> None:
    """Files add up; of two that name one channel the user's own wins over the system's."""
    read = disk(
        {
            "/home/me/.pixi/config.toml": f'[mirrors]\n"{FORGE[1]}" = ["https://a.test/conda-forge"]\n',
            "/home/me/.config/pixi/config.toml": "this is not TOML",
            "/etc/pixi/config.toml": f'[mirrors]\n"{FORGE[1]}" = ["https://b.test"]\n"oci://x" = ["https://c.test"]\n',
        }
    )
    found = TARGET.effective(LINUX, read)
    assert found.urls == ("https://a.test/conda-forge", "https://c.test")
    assert found.decided_by == Layer("file", "/home/me/.pixi/config.toml", FORGE, "user")
    assert found.overruled == (Layer("file", "/etc/pixi/config.toml", FORGE, "system"),)
    assert "/home/me/.config/pixi/config.toml" in found.notes[0].en
    assert TARGET.effective(LINUX, disk({})).decided_by is None


def test_answer_of_pixi() -> None:
    """Its table, as JSON."""
    ask = TARGET.ask(replace(LINUX, programs={"pixi": Path("/usr/bin/pixi")}))
    assert ask is not None
    assert ask.read('{"mirrors": {"https://a/": ["https://b/", "https://c/"]}}').urls == ("https://b/", "https://c/")
    assert ask.read("{}").urls == ()
    with pytest.raises(ValueError, match="line"):
        ask.read("no json")
    with pytest.raises(ValueError, match="table"):
        ask.read('{"mirrors": 1}')
    assert TARGET.ask(LINUX) is None
