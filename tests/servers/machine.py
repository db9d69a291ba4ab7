"""A person's machine in a temporary folder: fetch runs there in this process, or as the installed command."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3

from internlm_setup.core.clock import Clock
from internlm_setup.core.http import Network
from internlm_setup.core.paths import Paths, shipped_configs
from internlm_setup.core.settings import hub_defaults, resolve_settings
from internlm_setup.fetch import service
from internlm_setup.fetch.model import FetchResult
from internlm_setup.fetch.transfer.events import Event
from internlm_setup.fetch.world import World, make_world

MODEL = "internlm-chat-7b"
STATE = ".internlm-setup"
_INHERITED = ("PATH", "SYSTEMROOT", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")


class QuickClock:
    """A clock that runs twenty times as fast as the real one."""

    FACTOR = 20.0

    def now(self) -> float:
        """See `Clock.now`."""
        return time.time()

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return time.monotonic() * self.FACTOR

    def wait(self, seconds: float, cancelled: threading.Event) -> bool:
        """See `Clock.wait`."""
        return cancelled.wait(seconds / self.FACTOR)


class HastyNetwork(Network):
    """A network with a second of patience for an answer."""

    def pool(self, url: str) -> urllib3.PoolManager:
        """See `Network.pool`."""
        manager = super().pool(url)
        manager.connection_pool_kw["timeout"] = urllib3.Timeout(connect=5, read=1.0)
        return manager


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str
    wall_s: float


@dataclass
class Machine:
    """An empty HOME, a working folder, and the variables that lead to the hubs."""

    root: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home, self.cwd = self.root / "home", self.root / "work"
        for folder in (self.home, self.cwd):
            folder.mkdir(parents=True, exist_ok=True)

    @property
    def env(self) -> dict[str, str]:
        """The whole environment of a program here."""
        kept = {k: v for k, v in os.environ.items() if k in _INHERITED or k.startswith("COVERAGE_")}
        own = {"HOME": str(self.home), "USERPROFILE": str(self.home), "LANG": "C.UTF-8"}
        return {**kept, **own, **self.variables}

    def world(self, *, hasty: bool = False, clock: Clock | None = None) -> World:
        """What fetch may know of this machine."""
        env = self.env
        paths = Paths.of(env, self.home)
        defaults = hub_defaults(shipped_configs() / "hubs.yaml")
        settings = resolve_settings(env=env, config_file=paths.config_file, hubs=defaults)
        world = make_world(env, self.home, self.cwd, paths, settings)
        network = world.network
        if hasty:
            network = HastyNetwork(network.user_agent, network.proxies, network.no_proxy, network.ca_files)
        return World(
            world.env, world.home, world.cwd, world.state, world.catalog, world.endpoints, world.auto,
            network, clock or QuickClock(),
        )  # fmt: skip

    def fetch(self, model: str = MODEL, source: str = "", *, hasty: bool = False, **asked: Any) -> FetchResult:
        """Fetch in this process, waiting little between tries; what was told is in `events`."""
        sources = tuple(source.split(",")) if source else ()
        request = service.Request(model=model, sources=sources, **asked)
        self.events.clear()
        return service.fetch(request, self.world(hasty=hasty), self.events.append)

    def told(self, kind: type[Event]) -> list[Any]:
        """The events of one kind that the last fetch told."""
        return [event for event in self.events if isinstance(event, kind)]

    def start(self, *words: str, prefix: Sequence[str] = (), **variables: str) -> subprocess.Popen[str]:
        """Start the installed command here, through another program if `prefix` names one."""
        return subprocess.Popen(
            [*prefix, *installed_command(), *words],
            env={**self.env, **variables},
            cwd=self.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )

    def run(self, *words: str, timeout_s: float = 50, prefix: Sequence[str] = (), **variables: str) -> Done:
        """Run the installed command here to its end."""
        started_s = time.monotonic()
        with self.start(*words, prefix=prefix, **variables) as child:
            try:
                out, err = child.communicate(timeout=timeout_s)
            except BaseException:
                child.kill()
                raise
        return Done(child.returncode, out, err, time.monotonic() - started_s)

    def run_on_terminal(
        self, *words: str, prefix: Sequence[str] = (), **variables: str
    ) -> tuple[list[float], str, int]:
        """Run the installed command on a terminal of 80 columns.

        Returns:
            When it began and when each piece of output came, all that was shown, and the exit code.
        """
        import fcntl
        import pty
        import struct
        import termios

        ours, its = pty.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        times_s, shown = [time.monotonic()], b""
        command = [*prefix, *installed_command(), *words]
        env = {**self.env, **variables}
        with subprocess.Popen(command, env=env, cwd=self.cwd, stdin=its, stdout=its, stderr=its) as child:
            os.close(its)
            with contextlib.suppress(OSError):  # the terminal's end
                while block := os.read(ours, 1 << 16):
                    times_s.append(time.monotonic())
                    shown += block
            os.close(ours)
        return times_s, shown.decode(), child.returncode

    def files(self, folder: str = MODEL) -> dict[str, bytes]:
        """The files under their final names, ours left out."""
        return files_in(self.cwd / folder)


def installed_command() -> list[str]:
    """The command as it was installed beside this Python."""
    program = Path(sys.executable).parent / "internlm-setup"
    return [str(program)] if program.exists() else [sys.executable, "-m", "internlm_setup"]


def files_in(folder: Path) -> dict[str, bytes]:
    """Relative path to bytes of every file, those of our state folder left out."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and STATE not in file.relative_to(folder).parts
    }
