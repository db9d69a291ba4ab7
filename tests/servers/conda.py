"""The real conda 24.7.1, which the wheel of conda-lock carries inside, and channels on loopback for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import threading
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

VERSION = "24.7.1"
_PACKAGES = ("conda-lock==4.0.3", "pluggy", "tqdm", "conda-package-handling", "pycosat", "archspec")
_ADDRESSES = """
import json, os, sys
from conda.base.context import context, reset_context
from conda.models.channel import Channel
for home in sys.argv[1:]:
    os.environ["HOME"] = home
    reset_context()
    urls = [url for name in context.channels for url in Channel(name).base_urls]
    print(json.dumps(list(dict.fromkeys(urls))))
"""


@dataclass(frozen=True, slots=True)
class Conda:
    """The program.

    Attributes:
        python: Runs it as `-m conda`.
        library: The folder that makes `conda` importable.
    """

    python: Path
    library: Path

    def run(self, words: Sequence[str], env: Mapping[str, str]) -> str:
        """Run one command and return what it printed."""
        return self._python(["-m", "conda", *words], env)

    def addresses(self, homes: Sequence[Path], env: Mapping[str, str]) -> list[tuple[str, ...]]:
        """Return the channels' addresses in force in each home, strongest first, by conda's own functions."""
        lines = self._python(["-c", _ADDRESSES, *map(str, homes)], env).splitlines()
        return [tuple(json.loads(line)) for line in lines]

    def _python(self, words: Sequence[str], env: Mapping[str, str]) -> str:
        own = {"PATH": os.environ["PATH"], "PYTHONPATH": str(self.library), "CONDA_NUMBER_CHANNEL_NOTICES": "0"}
        command = [str(self.python), *words]
        done = subprocess.run(command, env={**own, **env}, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        return done.stdout


def there(folder: Path) -> Conda:
    """Return the program that was installed into a folder."""
    return Conda(folder / "venv" / "bin" / "python", folder / "library")


def install(folder: Path) -> Conda:
    """Make an environment with conda-lock and lay conda out of it bare."""
    venv.create(folder / "venv", with_pip=True)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    pip = [str(there(folder).python), "-m", "pip", "install", "--quiet", *_PACKAGES]
    subprocess.run(pip, env=env, check=True, capture_output=True)
    inside = folder / "venv" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    (folder / "library").mkdir()
    (folder / "library" / "conda").symlink_to(inside / "conda_lock" / "_vendor" / "conda")
    return there(folder)


def make_channel(folder: Path, package: str) -> None:
    """Lay out a channel that has one package without dependencies, which installs `share/PACKAGE.txt`."""
    name = f"{package}-1.0-0.tar.bz2"
    index = {"name": package, "version": "1.0", "build": "0", "build_number": 0, "depends": [], "subdir": "noarch"}
    paths = {"paths": [{"_path": f"share/{package}.txt", "path_type": "hardlink"}], "paths_version": 1}
    files = {
        "info/index.json": json.dumps(index),
        "info/files": f"share/{package}.txt\n",
        "info/paths.json": json.dumps(paths),
        f"share/{package}.txt": f"{package} came by {folder.name}\n",
    }
    (folder / "noarch").mkdir(parents=True)
    with tarfile.open(folder / "noarch" / name, "w:bz2") as archive:
        for path, text in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(text)
            archive.addfile(entry, BytesIO(text.encode()))
    size = (folder / "noarch" / name).stat().st_size
    _describe(folder / "noarch", {name: {**index, "size": size}})
    _describe(folder / "linux-64", {})


def _describe(folder: Path, packages: Mapping[str, object]) -> None:
    folder.mkdir(exist_ok=True)
    repodata = {"info": {"subdir": folder.name}, "packages": packages, "packages.conda": {}, "repodata_version": 1}
    (folder / "repodata.json").write_text(json.dumps(repodata))


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing; the server keeps the paths that were asked for."""
        del format, args
        self.server.asked.append(self.path)  # type: ignore[attr-defined]


@contextmanager
def serve(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Serve a folder until the block ends; yields the address and the paths asked for so far."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        asked: list[str] = []
        server.asked = asked  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()
