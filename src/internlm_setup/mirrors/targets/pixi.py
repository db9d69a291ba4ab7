"""pixi: the `[mirrors]` table of its `config.toml`, which sends a channel's address elsewhere.

Only conda channels are sent: a mirror of PyPI would need its files' host under the same path, which few have.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath, PurePosixPath, PureWindowsPath

from internlm_setup.core.text import Text
from internlm_setup.mirrors.edit import keys_in, toml
from internlm_setup.mirrors.model import (
    Ask,
    Edit,
    Effective,
    Family,
    Key,
    Layer,
    Machine,
    Mirrored,
    Reads,
    Scope,
    Syntax,
    Wish,
)

_OFFICIAL = {"main", "r", "msys2"}


class Pixi:
    """See the module."""

    id = "pixi"
    title = "pixi"
    families: tuple[Family, ...] = ("conda",)
    scopes: tuple[Scope, ...] = ("user", "system")
    program = "pixi"
    always = False
    about = Text(
        en=(
            "`[mirrors]` of `config.toml` sends each channel's address to the site; `pixi.lock` keeps the usual "
            "addresses. pixi reads no `.condarc`. PyPI is not sent anywhere: `[mirrors]` would have to name the host "
            "of its files too."
        ),
        zh=(
            "`config.toml` 的 `[mirrors]` 把各频道的地址转到镜像站；`pixi.lock` 中仍是通常的地址。"
            "pixi 不读 `.condarc`。PyPI 不作转向：`[mirrors]` 还必须写明其文件所在的主机。"
        ),
    )

    def files(self, machine: Machine, scope: Scope, read: Reads) -> Sequence[PurePath]:
        """Return the strongest file that exists, else the one that `pixi config set` would make."""
        paths = [path for owner, path in _layers(machine) if owner == scope]
        return [next((path for path in paths if read(path) is not None), paths[0])] if paths else ()

    def syntax(self, path: PurePath) -> Syntax:
        """Return TOML."""
        del path
        return toml

    def edits(self, before: Mapping[Key, object], wish: Wish, machine: Machine) -> Sequence[Edit]:
        """Return one entry for each channel, under the address as the file spells it already."""
        del machine
        spelled = {key[1].rstrip("/"): key for key in before if len(key) == 2 and key[0] == "mirrors"}
        usual = {channel.name: ("mirrors", _address(channel.name)) for channel in wish.channels}
        return [Edit(spelled.get(usual[c.name][1], usual[c.name]), (c.url,)) for c in wish.channels]

    def owned(self, before: Mapping[Key, object], is_mirror: Mirrored) -> Sequence[Edit]:
        """Return the removal of every mirror; an entry in which others are left keeps those."""
        edits = []
        for key, urls in _mirrors(before):
            kept = tuple(url for url in urls if not is_mirror(url))
            if kept != urls:
                edits.append(Edit(key, kept if set(kept) - {key[1]} else None))
        return edits

    def effective(self, machine: Machine, read: Reads) -> Effective:
        """Return where channels are sent: every file adds to the table, and the strongest decides on a channel."""
        winners: dict[str, tuple[str, ...]] = {}
        said: list[Layer] = []
        beaten: list[Layer] = []
        notes: list[Text] = []
        for scope, path in _layers(machine):
            for key, urls in _mirrors(keys_in(path, toml, read, notes)):
                layer = Layer("file", str(path), key, scope)
                if winners.setdefault(key[1], urls) == urls:
                    said.append(layer)
                else:
                    beaten.append(layer)
        urls = tuple(dict.fromkeys(url for some in winners.values() for url in some))
        return Effective(urls, said[0] if said else None, tuple(beaten), notes=tuple(notes))

    def ask(self, machine: Machine) -> Ask | None:
        """Ask pixi for its table."""
        program = machine.programs.get("pixi")
        return Ask((str(program), "config", "list", "--json", "mirrors"), _answer) if program else None

    def advice(self, wish: Wish, machine: Machine) -> Sequence[Text]:
        """Return what pixi still fetches elsewhere."""
        del wish, machine
        return [_STILL]


TARGET = Pixi()

_STILL = Text(
    en="pixi still asks `conda-mapping.prefix.dev` which PyPI package a conda package is",
    zh="pixi 仍会向 `conda-mapping.prefix.dev` 查询 conda 软件包与 PyPI 软件包的对应关系",
)


def _layers(machine: Machine) -> list[tuple[Scope, PurePath]]:
    """Return every file that pixi merges, the strongest first; one that a variable names is read alone."""
    flavour = type(machine.home)
    alone = machine.env.get("PIXI_CONFIG_FILE")
    if alone:
        return [("user", flavour(alone))]
    folders = [machine.folder("PIXI_HOME", machine.home / ".pixi")]
    if machine.platform == "win32":
        folders.append(machine.folder("APPDATA", machine.home / "AppData" / "Roaming") / "pixi")
        system: PurePath = PureWindowsPath(r"C:\ProgramData\pixi")
    else:
        xdg = machine.folder("XDG_CONFIG_HOME", machine.home / ".config") / "pixi"
        if machine.platform == "darwin":
            folders.append(machine.home / "Library" / "Application Support" / "pixi")
        if machine.platform != "darwin" or machine.env.get("XDG_CONFIG_HOME"):
            folders.append(xdg)
        system = PurePosixPath("/etc/pixi")
    user: list[tuple[Scope, PurePath]] = [("user", folder / "config.toml") for folder in folders]
    return [*user, ("system", system / "config.toml")]


def _address(channel: str) -> str:
    """Return the address that pixi takes a channel's name for."""
    return (
        f"https://repo.anaconda.com/pkgs/{channel}" if channel in _OFFICIAL else f"https://conda.anaconda.org/{channel}"
    )


def _mirrors(keys: Mapping[Key, object]) -> Iterator[tuple[Key, tuple[str, ...]]]:
    for key, urls in keys.items():
        if len(key) == 2 and key[0] == "mirrors" and isinstance(urls, tuple):
            yield key, urls


def _answer(stdout: str) -> Effective:
    """Read the table.

    Raises:
        ValueError: It is none.
    """
    said = json.loads(stdout)
    table = said.get("mirrors", {}) if isinstance(said, dict) else None
    if not isinstance(table, dict):
        raise ValueError("no table of mirrors")  # noqa: TRY004
    urls = dict.fromkeys(str(url) for some in table.values() for url in some)
    return Effective(tuple(urls), None, asked="pixi config list")
