"""What `mirrors` may know of the machine it runs on, built once a run."""

from __future__ import annotations

import os
import platform as system
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from internlm_setup.core.clock import Clock, SystemClock
from internlm_setup.core.http import Network, user_agent
from internlm_setup.core.paths import Paths, shipped_configs
from internlm_setup.mirrors.model import Machine
from internlm_setup.mirrors.sites import Sites, load_sites

SITES_VARIABLE = "INTERNLM_SETUP_MIRRORS"
_SYSTEMS = {"linux": "linux", "darwin": "osx", "win32": "win"}
_PROCESSORS = {"x86_64": "64", "amd64": "64", "i686": "32", "arm64": "arm64", "aarch64": "aarch64"}


class OnPath(Mapping[str, Path]):
    """The programs that a PATH leads to, each looked for when somebody asks for it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._found: dict[str, Path | None] = {}

    def __getitem__(self, name: str) -> Path:
        if name not in self._found:
            found = (shutil.which(word, path=self._path) for word in (name, f"{name}3"))  # Debian has pip3, python3
            self._found[name] = next((Path(where) for where in found if where), None)
        where = self._found[name]
        if where is None:
            raise KeyError(name)
        return where

    def __iter__(self) -> Iterator[str]:
        folders = [Path(folder) for folder in self._path.split(os.pathsep) if folder]
        names = {entry.stem for folder in folders if folder.is_dir() for entry in folder.iterdir()}
        return (name for name in sorted(names) if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True, slots=True)
class World:
    """What a run may know.

    Attributes:
        machine: The values that the path rules are told.
        subdir: What conda calls this machine: `linux-64`, `osx-arm64`, …
        sites: The catalogue, the user's own files merged over it.
        paths: This tool's own folders.
        network: The way out.
        clock: The time.
        cwd: Where programs are asked; some read a project's files there.
    """

    machine: Machine
    subdir: str
    sites: Sites
    paths: Paths
    network: Network
    clock: Clock
    cwd: Path

    @property
    def journal(self) -> Path:
        """The folder that remembers what files were before."""
        return self.paths.state / "mirrors"


def make_world(env: Mapping[str, str], home: Path, cwd: Path, paths: Paths) -> World:
    """Build the world of one run.

    Raises:
        ConfigError: A file of the catalogue, or a variable of the network, cannot be used.
    """
    folders = [shipped_configs() / "mirrors", paths.config / "mirrors"]
    if env.get(SITES_VARIABLE):
        folders.append(Path(env[SITES_VARIABLE]))
    programs = OnPath(env.get("PATH", os.defpath))
    return World(
        machine=Machine(sys.platform, env, home, _is_admin(), programs),
        subdir=env.get("CONDA_SUBDIR") or conda_subdir(sys.platform, system.machine()),
        sites=load_sites(folders),
        paths=paths,
        network=Network.from_env(env, user_agent()),
        clock=SystemClock(),
        cwd=cwd,
    )


def conda_subdir(platform: str, processor: str) -> str:
    """Return the folder of a conda channel that holds a machine's packages."""
    part = _PROCESSORS.get(processor.lower(), processor.lower())
    if platform == "darwin" and part == "aarch64":
        part = "arm64"
    return f"{_SYSTEMS.get(platform, platform)}-{part}"


def read(path: PurePath) -> bytes | None:
    """Return what `model.Reads` promises, or None where nothing can be read."""
    try:
        return content(path)
    except OSError:
        return None


def content(path: PurePath) -> bytes:
    """Return a file's bytes, or the names of what is in a folder, one a line.

    Raises:
        OSError: Nothing can be read.
    """
    here = Path(path)
    if here.is_dir():
        return "\n".join(sorted(entry.name for entry in here.iterdir())).encode("utf-8", "surrogateescape")
    return here.read_bytes()


def _is_admin() -> bool:
    if sys.platform == "win32":
        import ctypes

        return bool(ctypes.windll.shell32.IsUserAnAdmin())
    return os.geteuid() == 0
