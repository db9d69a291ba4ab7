"""Where a model's files go."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from internlm_setup.core.errors import ExitCode
from internlm_setup.fetch import layouts
from internlm_setup.fetch.errors import UnknownLayout
from internlm_setup.fetch.layouts import Called
from internlm_setup.fetch.model import RemoteFile, Snapshot

CWD, HOME, TO = Path("/work"), Path("/home/me"), Path("/data/models")
COMMIT = "c0ffee" * 6 + "c0ff"


@pytest.mark.parametrize(
    ("layout", "to", "revision", "expected"),
    [
        ("dir", None, "main", "/work/internlm-chat-7b"),
        ("dir", TO, "main", "/data/models"),
        ("modelscope-cache", None, "v1", "/home/me/.cache/modelscope/models/lab--internlm-chat-7b/snapshots/v1"),
        (
            "hf-cache",
            None,
            "main",
            f"/home/me/.cache/huggingface/hub/models--lab--internlm-chat-7b/snapshots/{COMMIT}",
        ),
        ("hf-cache", TO, "main", f"/data/models/models--lab--internlm-chat-7b/snapshots/{COMMIT}"),
        ("modelscope-cache", TO, "", "/data/models/models/lab--internlm-chat-7b/snapshots/master"),
    ],
)
def test_folders(layout: str, to: Path | None, revision: str, expected: str) -> None:
    """`--to` is the folder itself, or the vendor's cache folder; the default needs no question."""
    found = layouts.get(layout).folder(to, CWD, HOME, {}, Called("lab/internlm-chat-7b", revision, COMMIT))
    assert found == Path(expected)


def test_modelscopes_own_variable_moves_its_cache() -> None:
    """MODELSCOPE_CACHE is obeyed, as ModelScope's library does."""
    env = {"MODELSCOPE_CACHE": "/data/cache"}
    found = layouts.get("modelscope-cache").folder(None, CWD, HOME, env, Called("lab/model", "master", COMMIT))
    assert found == Path("/data/cache/models/lab--model/snapshots/master")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HF_HUB_CACHE": "/data/hub", "HF_HOME": "/data/hf"}, "/data/hub"),
        ({"HF_HOME": "~/hf"}, "/home/me/hf/hub"),
        ({"XDG_CACHE_HOME": "/data/cache"}, "/data/cache/huggingface/hub"),
    ],
)
def test_hugging_faces_own_variables_move_its_cache(variables: dict[str, str], expected: str) -> None:
    """As its library reads them, the most special one first."""
    assert layouts.get("hf-cache").cache(HOME, variables) == Path(expected)


def test_what_a_repository_is_called_at_the_layouts_own_hub() -> None:
    """The library that reads it knows neither another hub's name, nor its branches, nor a missing commit."""
    hf, ms = "org/m", "Org_CN/m"
    ids = {"huggingface": hf, "modelscope": ms}
    there = Snapshot("modelscope", ms, "master", None, (RemoteFile("a", 1, "0" * 64),))
    found = layouts.called(layouts.get("hf-cache"), ids, there, None)
    assert (found.repo, found.revision, len(found.commit)) == (hf, "main", 40)
    assert layouts.called(layouts.get("hf-cache"), ids, there, "v1").revision == "v1"
    assert layouts.called(layouts.get("dir"), ids, there, None) == Called(ms, "master", found.commit)
    other = replace(there, files=(RemoteFile("a", 1, "1" * 64),))
    assert layouts.called(layouts.get("hf-cache"), ids, other, None).commit != found.commit
    assert layouts.called(layouts.get("hf-cache"), {}, there, None).repo == ms


def test_every_layout_says_what_it_is() -> None:
    """Each layout has a title in both languages and gives an absolute folder."""
    for name, layout in layouts.known().items():
        assert layout.id == name
        assert layout.title.en != layout.title.zh
        assert layout.folder(None, CWD, HOME, {}, Called("lab/model", "main", COMMIT)).is_absolute()


def test_unknown_layout() -> None:
    """An unknown name is refused with the known ones."""
    with pytest.raises(UnknownLayout) as caught:
        layouts.get("pile")
    assert (caught.value.name, caught.value.known) == ("pile", "dir, hf-cache, modelscope-cache")
    assert caught.value.exit_code is ExitCode.NOT_FOUND


@pytest.mark.parametrize(
    ("folder", "inside", "hub"),
    [
        ("models--o--n/snapshots/abc", "x", "huggingface"),
        ("to", ".cache/huggingface/x", "huggingface"),
        ("models/o--n/snapshots/master", "x", "modelscope"),
        ("to", ".msc", "modelscope"),
        ("home/.cache/modelscope/hub/models/o/n", "x", "modelscope"),
        ("to", "x", None),
        ("models--o--n/snapshots/abc", ".mdl", None),
    ],
)
def test_whose_library_made_a_folder(tmp_path: Path, folder: str, inside: str, hub: str | None) -> None:
    """A cache, an older one too, or what a library leaves in a folder; signs of two tell nothing."""
    path = tmp_path / folder / inside
    path.parent.mkdir(parents=True)
    path.touch()
    assert layouts.maker(tmp_path / folder, tmp_path / "home", {}) == hub
    assert layouts.maker(Path("/"), tmp_path / "home", {}) is None
