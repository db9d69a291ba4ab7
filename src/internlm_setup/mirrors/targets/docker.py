"""Docker: the public mirrors of its hub have closed, so nothing is written; what the daemon has is shown."""

from __future__ import annotations

import json
from pathlib import PurePath, PurePosixPath, PureWindowsPath

from internlm_setup.core.text import Text
from internlm_setup.mirrors.model import Ask, Effective, Family, Layer, Machine, Reads
from internlm_setup.mirrors.targets import Unwritten

_KEY = "registry-mirrors"


class Docker(Unwritten):
    """See the module."""

    id = "docker"
    title = "Docker"
    families: tuple[Family, ...] = ("docker",)
    program = "docker"
    about = Text(
        en=(
            "The public mirrors of Docker Hub closed in 2024. What is left are private proxies: they could hand "
            "out other images than you asked for, and the daemon would have to be restarted. So nothing is written."
        ),
        zh=(
            "公共的 Docker Hub 镜像已于 2024 年关闭。剩下的是私人代理：它们可能给出与您要求不同的镜像，"
            "而且需要重启守护进程。因此不写入任何内容。"
        ),
    )

    def effective(self, machine: Machine, read: Reads) -> Effective:
        """Return the mirrors that the first daemon's file with any names."""
        for path in _files(machine):
            try:
                found = json.loads(read(path) or b"{}")
            except ValueError:
                return Effective((), None, notes=(_BROKEN.fill(path=path),))
            urls = found.get(_KEY) if isinstance(found, dict) else None
            if isinstance(urls, list) and urls:
                return Effective(tuple(map(str, urls)), Layer("file", str(path), (_KEY,)), notes=(_WHY,))
        return Effective((), None, notes=(_WHY,))

    def ask(self, machine: Machine) -> Ask | None:
        """Ask the daemon, by its client."""
        program = machine.programs.get("docker")
        return Ask((str(program), "info", "--format", "{{json .RegistryConfig.Mirrors}}"), _answer) if program else None


TARGET = Docker()

_WHY = Text(
    en="nothing is written for Docker: the public mirrors of its hub have closed",
    zh="不为 Docker 写入任何内容：公共的 Docker Hub 镜像已经关闭",
)
_BROKEN = Text(en="`{path}` is not valid JSON", zh="`{path}` 不是有效的 JSON")


def _files(machine: Machine) -> list[PurePath]:
    """Return where a daemon's file may be: the system's, then one of its own user."""
    if machine.platform == "win32":
        system: PurePath = PureWindowsPath(r"C:\ProgramData\docker\config\daemon.json")
    else:
        system = PurePosixPath("/etc/docker/daemon.json")
    rootless = machine.folder("XDG_CONFIG_HOME", machine.home / ".config") / "docker" / "daemon.json"
    return [system, rootless, machine.home / ".docker" / "daemon.json"]


def _answer(stdout: str) -> Effective:
    """Read a list of addresses, or null.

    Raises:
        ValueError: It is neither.
    """
    urls = json.loads(stdout) or []
    if not isinstance(urls, list):
        raise ValueError("not a list of mirrors")  # noqa: TRY004
    return Effective(tuple(str(url).rstrip("/") for url in urls), None, asked="docker info", notes=(_WHY,))
