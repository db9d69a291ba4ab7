"""Somebody else's code in a process of its own: watched while it works, silent on the terminal, ended with us.

A function is sent by its source, so that it also runs in an environment that we are not installed in. What it prints
goes to the log. It ends when it makes no progress, when we are interrupted, and when we are killed: it lives only as
long as we hold its standard input open.
"""

from __future__ import annotations

import inspect
import json
import logging
import math
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from internlm_setup.core.log import mask

LOG = logging.getLogger(__name__)
LOOK_EVERY_S = 0.25
LONGEST_WORDS = 300
_GOODBYE_S = 5.0

# What the other interpreter runs. The folder it starts in is taken off the module path first of all: it may hold
# files of a model. Standard output is for the one answer at the end, so whatever prints there is sent to stderr.
_PROGRAM = """
import sys
sys.path[:] = [place for place in sys.path if place]
import __future__, json, os, threading
answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)
sent = json.loads(sys.stdin.buffer.readline())

def ended_with_us():
    sys.stdin.buffer.read()
    os._exit(1)

def told(error):
    seen, status, number = set(), None, None
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        held = getattr(error, "response", None)
        status = status or getattr(held, "status_code", None) or getattr(error, "status_code", None)
        number = number or getattr(error, "errno", None)
        error = error.__cause__ or error.__context__
    return {"status": status if isinstance(status, int) else None, "errno": number if isinstance(number, int) else None}

threading.Thread(target=ended_with_us, daemon=True).start()
said = {"ok": True}
try:
    room, flag = {}, __future__.annotations.compiler_flag
    exec(compile("\\n" * sent["line"] + sent["source"], sent["file"], "exec", flag), room)
    room[sent["name"]](**sent["given"])
except BaseException as error:
    import traceback
    traceback.print_exc()
    said = {"ok": False, "words": f"{type(error).__name__}: {error}", **told(error)}
json.dump(said, answer)
for stream in (answer, sys.stdout, sys.stderr):
    stream.flush()
os._exit(0)  # threads that it left behind are not waited for
"""


class Failed(Exception):
    """It failed, in its own words; `status` is an HTTP status and `errno` the system's number, where it told them."""

    def __init__(self, words: str, status: int | None = None, errno: int | None = None) -> None:
        super().__init__(words)
        self.words = mask(" ".join(words.split()))[:LONGEST_WORDS]
        self.status, self.errno = status, errno


class Stalled(Exception):
    """It was ended, because nothing moved for `patience_s` seconds."""

    def __init__(self, patience_s: float) -> None:
        super().__init__(patience_s)
        self.patience_s = patience_s


def call(
    function: Callable[..., None],
    given: Mapping[str, object],
    *,
    python: str,
    env: Mapping[str, str],
    folder: Path,
    grown: Callable[[int], None],
    patience_s: float,
) -> None:
    """Run a function in another process and wait for it, however long it takes, while its folder keeps changing.

    Args:
        function: At the top level of a module, importing what it needs inside itself.
        given: Its keyword arguments, as JSON has them. No secrets: those belong into `env`.
        python: The interpreter, which may be of another environment.
        env: The whole environment of the process.
        folder: Where it writes; it starts there, and is judged by what changes there.
        grown: Told how many bytes the folder has gained, or lost, from time to time.
        patience_s: After so long without any change there, it is ended.

    Raises:
        Failed: It raised, or died.
        Stalled: It was ended.
    """
    lines, first = inspect.getsourcelines(function)
    sent = {
        "file": inspect.getsourcefile(function) or "",
        "line": first - 1,
        "source": "".join(lines),
        "name": function.__name__,
        "given": dict(given),
    }
    words: list[str] = []
    with running([python, "-c", _PROGRAM], env, folder, stdin=subprocess.PIPE) as child:
        said: list[bytes] = []
        readers = [_reader(child.stdout, said.append), _reader(child.stderr, _logging(words))]
        with suppress(BrokenPipeError):
            _pipe(child.stdin).write(json.dumps(sent).encode() + b"\n")
            _pipe(child.stdin).flush()
        _watch(child, folder, grown, patience_s)
        for reader in readers:
            reader.join(_GOODBYE_S)
    try:
        answer: dict[str, Any] = json.loads(b"".join(said))
    except ValueError:
        raise Failed(f"exit {child.returncode}; {words[-1] if words else 'no word'}") from None
    if not answer["ok"]:
        raise Failed(answer["words"], answer["status"], answer["errno"])


def finished(
    command: Sequence[str], env: Mapping[str, str], folder: Path, limit_s: float = math.inf
) -> tuple[int, str]:
    """Run a program to its end; return its exit code and the last line it said. All it says goes to the log.

    One that takes longer than `limit_s` is killed, and counts as failed.
    """
    words: list[str] = []
    give_up_s = time.monotonic() + limit_s
    with running(command, env, folder) as child:
        readers = [_reader(pipe, _logging(words)) for pipe in (child.stdout, child.stderr)]
        while child.poll() is None:
            if time.monotonic() > give_up_s:
                return 1, f"no end after {limit_s:.0f} s"
            _pause(child, LOOK_EVERY_S)
        for reader in readers:
            reader.join(_GOODBYE_S)
    return child.returncode, words[-1] if words else ""


@contextmanager
def running(
    command: Sequence[str], env: Mapping[str, str], folder: Path, stdin: int = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program, away from our terminal's signals; whatever is left of it at the end of the block is killed."""
    if os.name == "nt":
        apart: dict[str, Any] = {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
    else:
        apart = {"start_new_session": True}
    child = subprocess.Popen(  # noqa: S603
        list(command),
        env={**env, "PYTHONUTF8": "1"},
        cwd=folder,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **apart,
    )
    try:
        yield child
    finally:
        _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill it and what it started, and let go of its pipes."""
    if child.poll() is None:
        if os.name == "nt":
            child.kill()
        else:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    if child.stdin is not None:
        with suppress(OSError):
            child.stdin.close()


def _watch(child: subprocess.Popen[bytes], folder: Path, grown: Callable[[int], None], patience_s: float) -> None:
    """Wait for its end, telling how its folder grows."""
    before = _extent(folder)
    moved_s, look_s, running = time.monotonic(), LOOK_EVERY_S, True
    while running:
        _pause(child, look_s)
        running = child.poll() is None
        looked_s = time.monotonic()
        now = _extent(folder)
        look_s = max(LOOK_EVERY_S, 20 * (time.monotonic() - looked_s))  # many files: look less often
        if now[0] != before[0]:
            grown(now[0] - before[0])
        if now != before:
            before, moved_s = now, looked_s
        elif running and looked_s - moved_s > patience_s:
            raise Stalled(patience_s)


def _pause(child: subprocess.Popen[bytes], seconds: float) -> None:
    with suppress(subprocess.TimeoutExpired):
        child.wait(seconds)


def _extent(folder: Path) -> tuple[int, int]:
    """Return the size of all files below a folder, and the newest modification time: either changes with any write."""
    size, newest = 0, 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # it was just renamed
                found = (Path(place) / name).lstat()
                size, newest = size + found.st_size, max(newest, found.st_mtime_ns)
    return size, newest


def _reader(pipe: IO[bytes] | None, take: Callable[[bytes], None]) -> threading.Thread:
    """Hand on what comes out of a pipe, line by line, from a thread."""

    def read() -> None:
        with _pipe(pipe) as lines:
            for line in lines:
                take(line)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def _logging(words: list[str]) -> Callable[[bytes], None]:
    """Make what logs each line, a progress bar's last state only, and keeps the last one."""

    def take(line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip().rpartition("\r")[2].strip()
        if text:
            LOG.info("%s", text[:2000])
            words[:] = [text]

    return take


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise AssertionError("the program was started without this pipe")
    return pipe
