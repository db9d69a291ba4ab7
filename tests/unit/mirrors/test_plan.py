"""From a wish to bytes, and what of it is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from internlm_setup.mirrors.model import Change
from internlm_setup.mirrors.plan import diff, redacted


def shown(before: bytes | None, after: bytes | None) -> list[str]:
    return diff(Change("pip", Path("/h/pip.conf"), before, after, ())).splitlines()


def test_a_new_file() -> None:
    assert shown(None, b"[global]\nindex-url = https://a/simple\n") == [
        "--- /dev/null",
        "+++ /h/pip.conf",
        "@@ -0,0 +1,2 @@",
        "+[global]",
        "+index-url = https://a/simple",
    ]


def test_a_file_that_goes() -> None:
    assert shown(b"[global]\n", None) == ["--- /h/pip.conf", "+++ /dev/null", "@@ -1 +0,0 @@", "-[global]"]


def test_one_line_of_a_file_with_a_mark_and_crlf() -> None:
    """Neither the byte-order mark nor carriage returns are shown."""
    before = b"\xef\xbb\xbf[global]\r\nindex-url = x\r\n"
    assert shown(before, before.replace(b"= x", b"= y"))[2:] == [
        "@@ -1,2 +1,2 @@",
        " [global]",
        "-index-url = x",
        "+index-url = y",
    ]


def test_nothing_can_move_the_cursor() -> None:
    assert shown(None, b"a\x1b[2Jb\n")[-1] == "+a\\x1b[2Jb"


@pytest.mark.parametrize(
    "line",
    [
        "index-url = https://me:hunter2@host/simple",
        "index-url = https://me:hunt@er2/x@host/simple",
        "index-url = https://hunter2@host/simple",
        "extra = https://a/simple https://me:hunter2@host/simple",
        "//npm.example/:_authToken=hunter2",
        "_auth = hunter2",
        "//npm.example/:_password=hunter2",
        'url = "https://me:hunter2@host/t/x"',
    ],
)
def test_what_opens_doors_is_not_shown(line: str) -> None:
    said = redacted(line)
    assert "hunter2" not in said
    assert "er2" not in said
    assert "***" in said


@pytest.mark.parametrize("line", ["index-url = https://mirrors.example/pypi/simple", "  - https://a.example/pkgs/main"])
def test_other_lines_are_shown_as_they_are(line: str) -> None:
    assert redacted(line) == line
