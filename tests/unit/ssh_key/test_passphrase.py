"""What may be a passphrase, typed or from a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from internlm_setup.core.files import CannotRead
from internlm_setup.ssh_key.errors import BadPassphrase
from internlm_setup.ssh_key.passphrase import checked, from_file


@pytest.mark.parametrize("words", ["abcde", "口令口令口", "with spaces ", "a" * 200])
def test_good_ones(tmp_path: Path, words: str) -> None:
    """They come out as they are, also from a file with or without a newline, and as Notepad saves it."""
    assert checked(words, words) == words
    for data in (words, f"{words}\n", f"{words}\r\n", f"\ufeff{words}\r\n"):
        (tmp_path / "it").write_bytes(data.encode())
        assert from_file(tmp_path / "it") == words


@pytest.mark.parametrize("data", [b"", b"\n", b"abcd", b"one line\nand another", b"\xff\xfe\x00\x01\x02\x03"])
def test_bad_files(tmp_path: Path, data: bytes) -> None:
    """Too short, more than a line, or no text."""
    (tmp_path / "it").write_bytes(data)
    with pytest.raises(BadPassphrase):
        from_file(tmp_path / "it")


def test_other_bad_ones(tmp_path: Path) -> None:
    """Typed differently the second time; a file that is not there."""
    with pytest.raises(BadPassphrase, match="differ"):
        checked("abcde", "abcdf")
    with pytest.raises(CannotRead):
        from_file(tmp_path / "it")
