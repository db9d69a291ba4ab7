"""The file that `--trace` writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fakes import sha256
from internlm_setup.core.files import CannotWrite
from internlm_setup.fetch.model import Location
from internlm_setup.fetch.transfer.assembly import Assembly
from internlm_setup.fetch.transfer.errors import NotATrace
from internlm_setup.fetch.transfer.plan import Content, Source
from internlm_setup.fetch.transfer.store import Store
from internlm_setup.fetch.transfer.trace import check_place, tracing

DATA = b"some bytes"


def test_a_line_for_each_piece(tmp_path: Path) -> None:
    """Which file, which part of it, from whom, when, and how much came."""
    source = Source("one", lambda: Location("https://one.test/", "https://one.test:443"))
    content = Content("key", len(DATA), sha256(DATA), None, ("配置.json",), (source,))
    assembly = Assembly(content, Store(tmp_path), jobs=1)
    assembly.open()
    with tracing(tmp_path / "trace.jsonl") as trace:
        assert trace is not None
        piece = assembly.take(0.0)
        assert piece is not None
        assembly.store_block(piece, DATA)
        trace(piece)
        trace(piece)
    trace(piece)  # by a worker that was left behind
    first, second = (json.loads(line) for line in (tmp_path / "trace.jsonl").read_text("utf-8").splitlines())
    assert (first["path"], first["piece"], first["source"], first["bytes"]) == ("配置.json", 0, "one", len(DATA))
    assert (set(first), first["answer"]) == ({"path", "piece", "source", "start", "answer", "end", "bytes"}, None)
    assert first["start"] <= first["end"] <= second["end"]


def test_none_asked_for() -> None:
    """Without a file nothing is written."""
    with tracing(None) as trace:
        assert trace is None


def test_it_cannot_be_written(tmp_path: Path) -> None:
    """Said before a byte moves."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CannotWrite), tracing(tmp_path / "file" / "trace.jsonl"):
        pass


@pytest.mark.parametrize("data", [b"precious\n", b"7\n", b'{"path": 1}\n', b"\xff", b"[" * 70_000, b"\n"])
def test_what_is_no_trace_stays(tmp_path: Path, data: bytes) -> None:
    """Only nothing and another trace are written over."""
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(NotATrace):
        check_place(tmp_path / "file")
    (tmp_path / "file").write_bytes(b"")
    check_place(tmp_path / "file")
    for path in (tmp_path, tmp_path / "file" / "trace"):
        with pytest.raises(CannotWrite):
            check_place(path)
