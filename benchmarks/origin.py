"""The server that everyone downloads from: nginx, with the addresses of Hugging Face and of ModelScope.

Listings are pages on disk and bytes leave by `sendfile`, so that no Python is in the way. A file at the CDN is reached
through a redirect, as at the real hubs. Every request is logged, and the log is what is counted.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import nginx_conf
from models import Model
from nginx_conf import Where

_PATIENCE_S = 10.0
_DIES_WITH_US = ("setpriv", "--pdeathsig", "TERM", "--")


class Request(NamedTuple):
    """One request as nginx logged it, when it was over; `span` is its Range header, or `-`."""

    ended_s: float
    took_s: float
    method: str
    status: int
    body_bytes: int
    port: int
    span: str
    target: str


class Origin:
    """A running nginx that serves one model; use as a context manager.

    Attributes:
        url: What a hub's client takes for its endpoint.
    """

    def __init__(
        self,
        model: Model,
        folder: Path,
        where: Where,
        *,
        limit_bytes_per_s: int | None = None,
        requests_per_s: int | None = None,
    ) -> None:
        """Prepare the pages and the configuration.

        Args:
            model: What is served.
            folder: For nginx's files; must not exist.
            where: Where it listens.
            limit_bytes_per_s: The most that one connection to the CDN gets.
            requests_per_s: What the hub answers in all; above that it says 429, and to come again in a second.
        """
        self.model = model
        self.url = f"http://{where.host}:{where.port}"
        self._cdn_url = f"http://{where.host}:{where.cdn_port}"
        self._folder = folder
        self._read_from = 0
        (folder / "temp").mkdir(parents=True)
        configuration = nginx_conf.write(model, folder, where, limit_bytes_per_s, requests_per_s)
        self._command = [*_DIES_WITH_US, *where.enter, program()]
        self._command += ["-e", str(folder / "error.log"), "-c", str(configuration)]

    def file_url(self, path: str) -> str:
        """Return a file's own address at the CDN."""
        return f"{self._cdn_url}/{self.model.name}/{path}"

    def __enter__(self) -> Origin:  # noqa: PYI034  # Self needs Python 3.11
        started = self._folder / "nginx.pid"
        started.unlink(missing_ok=True)
        self._nginx = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, start_new_session=True)
        give_up_s = time.monotonic() + _PATIENCE_S
        while not (started.exists() and started.stat().st_size):
            if self._nginx.poll() is not None or time.monotonic() > give_up_s:
                raise RuntimeError("nginx did not start:\n" + (self._folder / "error.log").read_text())
            time.sleep(0.02)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._nginx.terminate()
        self._nginx.wait()

    def signal(self, number: int) -> None:
        """Send a signal to nginx and its workers at once."""
        os.killpg(self._nginx.pid, number)

    def restart(self) -> None:
        """Start again after its death."""
        self._nginx.wait()
        self.__enter__()

    def requests(self) -> list[Request]:
        """Return what was logged since the last call."""
        with (self._folder / "access.log").open("rb") as file:
            file.seek(self._read_from)
            said = file.read()
        whole = said[: said.rfind(b"\n") + 1]
        self._read_from += len(whole)
        return [_parse(line) for line in whole.decode().splitlines()]


def program() -> str:
    """Return nginx's path, also from where ordinary users do not look.

    Raises:
        FileNotFoundError: It is not installed.
    """
    found = shutil.which("nginx", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin"]))
    if found is None:
        raise FileNotFoundError("nginx is not installed")
    return found


def _parse(line: str) -> Request:
    ended_s, took_s, method, status, body_bytes, port, span, target = line.split(" ", 7)
    return Request(float(ended_s), float(took_s), method, int(status), int(body_bytes), int(port), span, target)
