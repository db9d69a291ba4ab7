"""What every piece was: `--trace FILE` writes a line of JSON for each, so that a run can be drawn."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from internlm_setup.core.files import writing
from internlm_setup.fetch.transfer.piece import Piece

Tracer = Callable[[Piece], None]


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
