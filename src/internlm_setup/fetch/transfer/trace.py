"""What every piece was: `--trace FILE` writes a line of JSON for each, so that a run can be drawn."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from internlm_setup.core.files import check_writable, writing
from internlm_setup.fetch.transfer.errors import NotATrace
from internlm_setup.fetch.transfer.piece import Piece

Tracer = Callable[[Piece], None]
_LONGEST_LINE_BYTES = 1 << 16


def check_place(path: Path) -> None:
    """Say before a fetch whether its trace may be written: over nothing, or over another trace.

    Raises:
        NotATrace: Something else is there.
        CannotWrite: The system refuses.
    """
    with writing(path):
        if path.is_file():
            with path.open("r+b") as file:
                first = file.readline(_LONGEST_LINE_BYTES)
            if first and not _is_line(first):
                raise NotATrace(str(path))
        elif path.is_dir() or not path.exists():  # a pipe or a terminal takes anything
            check_writable(path)


def _is_line(data: bytes) -> bool:
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(told, dict) and {"path", "piece", "source"} <= told.keys()


@contextmanager
def tracing(path: Path | None) -> Iterator[Tracer | None]:
    """Write a line for each piece into a file while the block runs; without a path, give no tracer.

    A line has `path` (in the model), `piece` (its first byte), `source`, `bytes`, and in seconds from the beginning
    `start`, `answer` (null where none came) and `end`.

    Raises:
        CannotWrite: The file cannot be written.
    """
    if path is None:
        yield None
        return
    begun_s, lock = time.monotonic(), threading.Lock()
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w", encoding="utf-8")

    def note(piece: Piece) -> None:
        told = {
            "path": piece.assembly.content.paths[0],
            "piece": piece.start,
            "source": piece.way.supplier.name,
            "start": round(piece.begun_s - begun_s, 4),
            "answer": None if piece.answered_s is None else round(piece.answered_s - begun_s, 4),
            "end": round((piece.came_s or time.monotonic()) - begun_s, 4),
            "bytes": piece.at - piece.start,
        }
        with lock, writing(path):
            if not file.closed:
                file.write(json.dumps(told, ensure_ascii=False) + "\n")

    try:
        yield note
    finally:
        with lock, writing(path):
            file.close()
