"""Where a model's files go."""

from __future__ import annotations

from pathlib import Path

import pytest

from internlm_setup.core.errors import ExitCode
from internlm_setup.fetch import layouts
from internlm_setup.fetch.errors import UnknownLayout

CWD, CACHE, TO = Path("/work"), Path("/home/me/.cache"), Path("/data/models")


@pytest.mark.parametrize(
    ("layout", "to", "revision", "expected"),
    [
        ("dir", None, "main", "/work/internlm-chat-7b"),
        ("dir", TO, "main", "/data/models"),
        ("modelscope-cache", None, "v1", "/home/me/.cache/modelscope/models/lab--internlm-chat-7b/snapshots/v1"),
        ("modelscope-cache", TO, "", "/data/models/models/lab--internlm-chat-7b/snapshots/master"),
    ],
)
def test_folders(layout: str, to: Path | None, revision: str, expected: str) -> None:
    """`--to` is the folder itself, or the vendor's cache folder; the default needs no question."""
    found = layouts.get(layout).folder(to, CWD, CACHE, "lab/internlm-chat-7b", revision)
    assert found == Path(expected)


def test_every_layout_says_what_it_is() -> None:
    """Each layout has a title in both languages and gives an absolute folder."""
    for name, layout in layouts.known().items():
        assert layout.id == name
        assert layout.title.en != layout.title.zh
        assert layout.folder(None, CWD, CACHE, "lab/model", "main").is_absolute()


def test_unknown_layout() -> None:
    """An unknown name is refused with the known ones."""
    with pytest.raises(UnknownLayout) as caught:
        layouts.get("pile")
    assert (caught.value.name, caught.value.known) == ("pile", "dir, modelscope-cache")
    assert caught.value.exit_code is ExitCode.NOT_FOUND
