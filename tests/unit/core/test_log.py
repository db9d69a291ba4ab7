"""The log is lazy, private, and keeps no secret."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from internlm_setup.core.log import VENDORS, close_log, mask, open_log, record_failure, traceback_of


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    """An open log."""
    path = tmp_path / "state" / "log" / "x.log"
    handler = open_log(path)
    yield path
    close_log(handler)


def test_no_file_until_something_is_said(log: Path) -> None:
    """Nothing logged, nothing there."""
    assert not log.parent.exists()
    logging.getLogger("internlm_setup.fetch").info("hello")
    assert "hello" in log.read_text(encoding="utf-8")


def test_words_that_a_terminal_would_obey(log: Path) -> None:
    """A server's greeting does nothing to whoever reads the log there; lines stay lines."""
    logging.getLogger("paramiko.transport").warning("greeting: %s", "SSH-2.0-\x1b]0;x\x07\x9b1A\nnext")
    said = log.read_text(encoding="utf-8")
    assert not any(c in said for c in "\x1b\x07\x9b")
    assert said.endswith("\nnext\n")


@pytest.mark.parametrize("name", [name for name in VENDORS if name != "py.warnings"])
def test_vendors_cannot_reach_the_terminal(log: Path, name: str) -> None:
    """A handler that a library adds later is not taken."""
    stream = io.StringIO()
    logging.getLogger(name).addHandler(logging.StreamHandler(stream))
    logging.getLogger(f"{name}.part").warning("retrying")
    assert stream.getvalue() == ""
    assert "retrying" in log.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", VENDORS)
def test_vendors_cannot_reach_the_terminal_afterwards(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A thread that goes on when the log is closed says nothing."""
    close_log(open_log(tmp_path / "x.log"))
    logging.getLogger(f"{name}.part").warning("retrying")
    assert capsys.readouterr().err == ""


def test_warnings_go_to_the_log(log: Path) -> None:
    """Python's warnings do not reach the terminal."""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old thing", DeprecationWarning, stacklevel=1)
    assert "old thing" in log.read_text(encoding="utf-8")


def test_rotation(log: Path) -> None:
    """Three files of a mebibyte at most, all private."""
    logger = logging.getLogger("internlm_setup")
    for _ in range(50):
        logger.info("x" * 100_000)
    files = sorted(log.parent.iterdir())
    assert [f.name for f in files] == ["x.log", "x.log.1", "x.log.2"]
    assert {f.stat().st_mode & 0o777 for f in files} == {0o600}
    assert max(f.stat().st_size for f in files) <= 1024 * 1024


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("token hf_AbCdEfGhIjKl.", "token hf_***."),
        ("Authorization: Bearer abc.def", "Authorization: ***"),
        ("{'authorization': 'Basic abc=', 'x': 1}", "{'authorization': '***', 'x': 1}"),
        ("got bearer abcdef now", "got bearer *** now"),
        ("cookie m_session_id=abc; other=1", "cookie m_session_id=***; other=1"),
        ("GET https://c.test/f?x=1&Signature=abc&y=2 ok", "GET https://c.test/f?*** ok"),
        ("https://me:pass@proxy.test/", "https://me:***@proxy.test/"),
        ("OPENXLAB_SK=abc OPENXLAB_AK: 'def'", "OPENXLAB_SK=*** OPENXLAB_AK: '***'"),
        ("a plain line?", "a plain line?"),
        ("https://h.test/list?page=2", "https://h.test/list?page=2"),
    ],
)
def test_mask(text: str, expected: str) -> None:
    """What opens a door is hidden; the rest stays readable."""
    assert mask(text) == expected


def test_record_failure(tmp_path: Path) -> None:
    """A failure is written with its traceback, also without an open log."""
    path = tmp_path / "log" / "x.log"
    with pytest.raises(ValueError, match="hf_") as caught:
        int("hf_abcdefgh")
    assert record_failure(path, "it failed", caught.value)
    assert "hf_***" in traceback_of(caught.value)
    written = path.read_text(encoding="utf-8")
    assert "it failed" in written
    assert "ValueError: " in written
    assert "hf_***" in written
    assert "abcdefgh" not in written


def test_log_that_cannot_be_written(tmp_path: Path) -> None:
    """That is said to the caller, and stops nothing."""
    (tmp_path / "log").write_text("in the way", encoding="utf-8")
    assert not record_failure(tmp_path / "log" / "x.log", "it failed", ValueError())
