"""A name with a revision behind it."""

from __future__ import annotations

import pytest

from internlm_setup.fetch.names import split_revision


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("chat", ("chat", None)),
        ("chat@v1.0", ("chat", "v1.0")),
        (" lab/chat@refs/pr/1 ", ("lab/chat", "refs/pr/1")),
        ("chat@a@b", ("chat", "a@b")),
        ("chat@", ("chat", None)),
        ("https://user:secret@hub.test/lab/chat", ("https://user:secret@hub.test/lab/chat", None)),
    ],
)
def test_split(typed: str, expected: tuple[str, str | None]) -> None:
    """What follows the first `@` is the revision; the `@` of an address is its own."""
    assert split_revision(typed) == expected
