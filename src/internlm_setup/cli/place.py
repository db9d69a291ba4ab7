"""The playground as a place to run commands in: its servers, a throw-away HOME, and how a child is run there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from internlm_setup.cli.errors import NoSuchProgram
from internlm_setup.cli.signals import left_to

if TYPE_CHECKING:
    from internlm_setup.playground.hub import HubServer

# What could lead to the user's own folders, logins or hubs.
_LEFT_OUT = ("XDG_", "HF_", "HUGGING_FACE_", "MODELSCOPE_", "OPENXLAB_", "INTERNLM_SETUP_")


@dataclass(frozen=True, slots=True)
class Place:
    """An open playground: its server, and the environment that leads there."""

    server: HubServer
    env: Mapping[str, str]
    home: Path


@contextmanager
def opened(env: Mapping[str, str]) -> Iterator[Place]:
    """Open a playground with a throw-away HOME; both are gone afterwards."""
    from internlm_setup.playground import open_playground

    with tempfile.TemporaryDirectory(prefix="internlm-home-") as folder, open_playground() as server:
        home = Path(folder)
        kept = {k: v for k, v in env.items() if not k.startswith(_LEFT_OUT) or k == "INTERNLM_SETUP_LANG"}
        path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
        own = {"HOME": str(home), "USERPROFILE": str(home), "PATH": path}
        yield Place(server, {**kept, **server.environment(), **own}, home)


def run(line: list[str], env: Mapping[str, str], *, cwd: Path | None = None) -> int:
    """Run a command with our terminal and return its exit code as a shell would give it.

    Raises:
        NoSuchProgram: It cannot be started.
    """
    program = shutil.which(line[0], path=env.get("PATH"))
    if program is None:
        raise NoSuchProgram(line[0])
    child = subprocess.Popen([program, *line[1:]], env=dict(env), cwd=cwd)  # noqa: S603
    with left_to(child):
        code = child.wait()
    return code if code >= 0 else 128 - code
