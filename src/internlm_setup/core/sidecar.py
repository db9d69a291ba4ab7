"""Side environments: packages that cannot live beside ours, each set in a virtual environment of its own.

Made on first use, from the user's own package index; used again; made anew when broken; deleted without harm. Each is
one folder in `home(state)`; what is being made or thrown away is in folders that begin with a dot.
"""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from internlm_setup.core.child import finished
from internlm_setup.core.errors import NotFoundError, UnavailableError, WriteError
from internlm_setup.core.files import REASONS, CannotWrite, write_atomically, writing
from internlm_setup.core.text import Text

MARK = "internlm-setup.json"
PATIENCE_S = 900.0
FULL_BYTES = 1 << 20
_LED_ASTRAY = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
_MAKING = Text(
    en="making an environment of its own for {what}, once: about {size} in `{folder}`",
    zh="正在为 {what} 建立独立环境（仅此一次）：约 {size}，位于 `{folder}`",
)


@dataclass(eq=False)
class SidecarFailed(UnavailableError):
    """The packages could not be installed. `command` asks the index for one of them."""

    code = "core.side-environment-failed"
    text = Text(
        en="no environment could be made for {what}: {reason}",
        zh="无法为 {what} 建立独立环境：{reason}",
    )
    hint = Text(
        en="see whether the package index answers: `{command}`; then run the same command again",
        zh="请检查软件源是否可用：`{command}`；然后重新运行同一条命令",
    )
    what: str
    reason: str
    command: str


@dataclass(eq=False)
class NoInstaller(NotFoundError):
    """Neither uv nor a pip is there to make an environment with."""

    code = "core.no-installer"
    text = Text(
        en="{what} needs an environment of its own, and neither `uv` nor `pip` is there to make it",
        zh="{what} 需要独立环境，但既没有 `uv` 也没有 `pip` 可用来建立它",
    )
    hint = Text(
        en="install either, for example `apt-get install python3-pip`, then run the same command again",
        zh="请安装其中之一，例如 `apt-get install python3-pip`，然后重新运行同一条命令",
    )
    what: str


@dataclass(eq=False)
class SidecarBusy(WriteError):
    """Another run has been making the same environment for very long."""

    code = "core.side-environment-busy"
    text = Text(
        en="another `internlm-setup` is still making `{folder}`", zh="另一个 `internlm-setup` 仍在建立 `{folder}`"
    )
    hint = Text(en="wait for it, then run the same command again", zh="请等待它结束，然后重新运行同一条命令")
    folder: str


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A set of packages.

    Attributes:
        name: The folder's name.
        requirements: Pinned, as pip reads them.
        module: What must be importable for the environment to be whole.
        size: About how large it is, for people.
    """

    name: str
    requirements: tuple[str, ...]
    module: str
    size: str


@dataclass(frozen=True, slots=True)
class Found:
    """One side environment on the disk, or the remains of one."""

    name: str
    folder: Path
    size_bytes: int


def home(state: Path) -> Path:
    """Return the folder that holds one sub-folder for each side environment. It need not exist."""
    return state / "environments"


def found(state: Path) -> tuple[Found, ...]:
    """Return what is there, in order of name, unfinished remains included; each may be given to `remove`."""
    folder = home(state)
    places = sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
    return tuple(Found(p.name, p, _size_bytes(p)) for p in places)


def apart(env: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for a side environment's interpreter: without what leads it to other packages."""
    return {name: value for name, value in env.items() if name not in _LED_ASTRAY}


def remove(folder: Path) -> None:
    """Remove one side environment; the next use makes it again.

    Raises:
        CannotWrite: The system refused.
    """
    with writing(folder):
        gone = Path(tempfile.mkdtemp(prefix=".gone-", dir=folder.parent))
        folder.replace(gone / folder.name)
        shutil.rmtree(gone)


def ready(
    wanted: Sidecar,
    state: Path,
    env: Mapping[str, str],
    tell: Callable[[Text], None],
    attempts: Sequence[Sequence[str]] | None = None,
) -> Path:
    """Return the interpreter of a side environment that works, making it where it is missing or broken.

    Args:
        wanted: Its packages.
        state: Our state folder.
        env: The environment; its settings of uv and pip hold.
        tell: Told before something large is made.
        attempts: Command lines that install, tried in order, with `{python}` for the interpreter to install into;
            None for `installers`.

    Raises:
        SidecarFailed: The index does not answer, or a package cannot be installed.
        NoInstaller: There is nothing to install with.
        SidecarBusy: Another run is making it, and does not end.
        CannotWrite: The disk is full, or the state folder not ours.
    """
    folder = home(state) / wanted.name
    clean = apart(env)
    if _works(wanted, folder, clean):
        return _python(folder)
    with _locked(folder):
        if not _works(wanted, folder, clean):  # another run may have made it meanwhile
            what = ", ".join(wanted.requirements)
            tell(_MAKING.fill(what=what, size=wanted.size, folder=folder))
            _make(wanted, folder, clean, installers(clean) if attempts is None else attempts)
    return _python(folder)


def installers(env: Mapping[str, str]) -> list[list[str]]:
    """Return the ways to install: uv where it is, then pip, then pip without the user's configuration.

    uv does not read pip's configuration, so a mirror that only pip knows is still tried after it. The last way is for
    a configured index that is out of reach.
    """
    ways = []
    uv = shutil.which("uv", path=env.get("PATH"))
    if uv:
        ways.append([uv, "pip", "install", "--quiet", "--python", "{python}"])
    pip = python_with_pip()
    if finished([pip, "-m", "pip", "--version"], env, Path.home())[0] == 0:
        for isolated in ([], ["--isolated"]):
            start = [pip, "-m", "pip", *isolated, "--python", "{python}", "install", "--quiet", "--retries", "2"]
            ways.append([*start, "--no-warn-script-location", "--disable-pip-version-check"])
    return ways


def python_with_pip() -> str:
    """Return our own interpreter when it has pip, else the one that our environment was made from."""
    if importlib.util.find_spec("pip"):
        return sys.executable
    base = Path(sys.base_prefix)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    places = (base / "bin" / version, base / "bin" / "python3", base / "python.exe")
    return next((str(place) for place in places if place.exists()), sys.executable)


def _make(wanted: Sidecar, folder: Path, env: Mapping[str, str], attempts: Sequence[Sequence[str]]) -> None:
    """Build beside the place, then rename: whoever looks finds a whole environment or none."""
    if not attempts:
        raise NoInstaller(", ".join(wanted.requirements))
    with writing(folder):
        for remains in folder.parent.glob(f".{wanted.name}.*"):
            shutil.rmtree(remains)
        made = Path(tempfile.mkdtemp(prefix=f".{wanted.name}.", dir=folder.parent))
    try:
        _install(wanted, made, env, attempts)
        write_atomically(made / MARK, json.dumps(_mark(wanted)).encode())
        if folder.exists():
            remove(folder)
        with writing(folder):
            made.replace(folder)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    if not _works(wanted, folder, env):
        raise _failed(wanted, f"`import {wanted.module}` fails in it")


def _install(wanted: Sidecar, made: Path, env: Mapping[str, str], attempts: Sequence[Sequence[str]]) -> None:
    code, said = finished([sys.executable, "-m", "venv", "--without-pip", str(made)], env, made, PATIENCE_S)
    if code:
        raise _failed(wanted, said)
    for attempt in attempts:
        line = [str(_python(made)) if word == "{python}" else word for word in attempt]
        code, said = finished([*line, *wanted.requirements], env, made, PATIENCE_S)
        if code == 0:
            return
        if shutil.disk_usage(made).free < FULL_BYTES:
            raise CannotWrite(str(made.parent), REASONS[errno.ENOSPC])
    raise _failed(wanted, said)


def _failed(wanted: Sidecar, reason: str) -> SidecarFailed:
    what = ", ".join(wanted.requirements)
    return SidecarFailed(what, reason[:300], f"python -m pip download --no-deps {wanted.requirements[0]}")


def _works(wanted: Sidecar, folder: Path, env: Mapping[str, str]) -> bool:
    """Say whether it is the wanted one, and its interpreter starts and finds the packages."""
    try:
        if json.loads((folder / MARK).read_text(encoding="utf-8")) != _mark(wanted):
            return False
        return finished([str(_python(folder)), "-c", f"import {wanted.module}"], env, folder)[0] == 0
    except (OSError, ValueError):
        return False


def _mark(wanted: Sidecar) -> dict[str, object]:
    return {"requirements": list(wanted.requirements), "python": platform.python_version()}


def _python(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    import filelock

    with writing(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder.parent / f".{folder.name}-lock")
        try:
            lock.acquire(timeout=PATIENCE_S)
        except filelock.Timeout as error:  # an OSError too, so it must be caught first
            raise SidecarBusy(str(folder)) from error
    try:
        yield
    finally:
        lock.release()


def _size_bytes(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file() or file.is_symlink())
