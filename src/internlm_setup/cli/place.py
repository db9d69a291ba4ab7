"""The playground as a place to run commands in: its servers, a throw-away HOME, and how a child is run there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from internlm_setup.cli.errors import NoSuchProgram
from internlm_setup.cli.signals import left_to
from internlm_setup.core.errors import SetupError
from internlm_setup.core.paths import Paths
from internlm_setup.core.text import Language

if TYPE_CHECKING:
    from internlm_setup.playground.hub import HubServer
    from internlm_setup.playground.mirror import Mirrors
    from internlm_setup.playground.sshd import DevMachine

# What could lead to the user's own folders, logins, hubs or package indexes.
_LEFT_OUT = (
    *("XDG_", "HF_", "HUGGING_FACE_", "MODELSCOPE_", "OPENXLAB_", "INTERNLM_SETUP_"),
    *("SSH_AUTH_SOCK", "SSH_AGENT_"),
    *("PIP_", "UV_", "PDM_", "CONDA", "MAMBA", "NPM_CONFIG_", "npm_config_", "VIRTUAL_ENV"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """An open playground: its servers, the variables that lead there, and the whole environment of a child."""

    server: HubServer
    mirrors: Mirrors
    machine: DevMachine
    variables: Mapping[str, str]
    env: Mapping[str, str]
    home: Path


@contextmanager
def opened(env: Mapping[str, str], language: Language) -> Iterator[Place]:
    """Open a playground with a throw-away HOME, where our commands speak a language; both are gone afterwards."""
    from internlm_setup.cli.standins import dev_machine, stand_ins
    from internlm_setup.mirrors.world import SITES_VARIABLE
    from internlm_setup.playground import open_playground

    with ExitStack() as stack:
        home, sites = (
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"internlm-{what}-")))
            for what in ("home", "sites")
        )
        server, mirrors = stack.enter_context(open_playground()), stack.enter_context(stand_ins(sites))
        machine = stack.enter_context(dev_machine(home))
        variables = {**server.environment(), SITES_VARIABLE: str(sites)}
        kept = {k: v for k, v in env.items() if not k.startswith(_LEFT_OUT)}
        path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
        own = {"HOME": str(home), "USERPROFILE": str(home), "PATH": path, "INTERNLM_SETUP_LANG": language}
        inside = {**kept, **variables, **own}
        stack.callback(_stop_tunnels, Paths.of(inside, home).state)
        yield Place(server, mirrors, machine, variables, inside, home)


def _stop_tunnels(state: Path) -> None:
    """End those that were left in the background: they lead nowhere any more."""
    from internlm_setup.tunnel import records

    for record, _ in records.held(state):
        with suppress(SetupError):
            records.stop(record)


def run(line: list[str], env: Mapping[str, str], *, cwd: Path | None = None, stdout: TextIO | None = None) -> int:
    """Run a command with our terminal and return its exit code as a shell would give it.

    Args:
        line: The command line.
        env: Its whole environment.
        cwd: Where; None for here.
        stdout: Where its stdout goes; None for ours.

    Raises:
        NoSuchProgram: It cannot be started.
    """
    program = shutil.which(line[0], path=env.get("PATH"))
    if program is None:
        raise NoSuchProgram(line[0])
    child = subprocess.Popen([program, *line[1:]], env=dict(env), cwd=cwd, stdout=stdout)  # noqa: S603
    with left_to(child):
        code = child.wait()
    return code if code >= 0 else 128 - code
